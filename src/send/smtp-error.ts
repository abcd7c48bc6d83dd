/** What SMTP servers and nodemailer report, as errors of ours. Pure. */
import { type ErrorCode, fail, type PenstockError } from '../errors.ts';
import { isTlsCode, networkError, soundsBusy, tidyServerText, tlsReason } from '../source/trouble.ts';
import type { Sent } from './mail.ts';

/** The fields of nodemailer's errors that say something. */
export interface SmtpFailure {
  code?: string;
  /** The last command. */
  command?: string;
  message?: string;
  /** What the server answered: all of it, and the number (RFC 5321 section 4.2). */
  response?: string;
  responseCode?: number;
  recipient?: string;
  rejectedErrors?: SmtpFailure[];
  cause?: unknown;
}

/** Recipients that were refused, each with whether that may pass; null when the error is about something else. */
export function allRefused({ rejectedErrors }: SmtpFailure): Sent['refused'] | null {
  if (rejectedErrors === undefined || rejectedErrors.length === 0) return null;
  return rejectedErrors.map(({ recipient = '', response, message = '', responseCode = 0 }) => ({
    address: recipient,
    temporary: responseCode >= 400 && responseCode < 500,
    message: tidyServerText(response ?? message),
  }));
}

/** What OpenSSL and Node say of certificates and handshakes. */
const TLS_TEXT = /certificate|self[- ]signed|altnames|ssl routines|tls alert|wrong version number/i;

/** An answer to the mail itself says that it was not taken: such an error carries `answered`. */
export function smtpError(
  thrown: SmtpFailure,
  step: 'connect' | 'login' | 'send',
  host: string,
): PenstockError {
  const { code = '', responseCode = 0, command = '', message = '' } = thrown;
  const said = tidyServerText(thrown.response ?? message);
  // nodemailer's codes are coarser than those of Node, which its text still names.
  const cause = /\b(E[A-Z]{4,14}|CERT_\w+)\b/.exec(message)?.[1] ?? code;
  const fields = { host, command, server: said, reply: responseCode || null, answered: responseCode > 0 };
  const make = (ours: ErrorCode, sentence: string): PenstockError =>
    fail(ours, `${sentence}: ${said}`, fields, thrown);
  if (code === 'EDNS') return fail('dns_failed', 'The host name could not be resolved', fields, thrown);
  if (responseCode === 421 || (responseCode >= 400 && responseCode < 500 && soundsBusy(said))) {
    return make('server_busy', 'The server wants to be left alone for a while');
  }
  if (step === 'login' && (code === 'EAUTH' || responseCode >= 500)) {
    return responseCode >= 400 && responseCode < 500
      ? make('server_busy', 'The server takes no login now')
      : make('auth_failed', 'The server refuses the login');
  }
  if (code === 'ETLS' && /starttls/i.test(message) && tlsReason(cause) === null) {
    return make('starttls_missing', 'The server does not offer STARTTLS');
  }
  if (code === 'ETLS' || isTlsCode(cause) || (step === 'connect' && TLS_TEXT.test(message))) {
    return fail('tls_failed', `TLS failed: ${tlsReason(cause) ?? tidyServerText(message)}`, fields, thrown);
  }
  if (step === 'send' && responseCode > 0) {
    return responseCode < 500
      ? make('send_deferred', 'The server does not take the mail now')
      : make('send_refused', 'The server refuses the mail');
  }
  if (step === 'send' && code === 'EMESSAGE') return make('send_refused', 'The server refuses the mail');
  if (step === 'connect' && responseCode >= 400)
    return make('greeting_failed', 'The server does not let us in');
  const network = networkError(cause, step === 'connect' ? 'connecting' : 'connected', fields, thrown);
  if (network !== null) return network;
  if (code === 'ETIMEDOUT') {
    return step === 'connect'
      ? fail('connect_timeout', 'The server could not be reached in time', fields, thrown)
      : fail('stalled', 'The server fell silent', fields, thrown);
  }
  return fail('connection_lost', `The connection broke: ${said}`, fields, thrown);
}
