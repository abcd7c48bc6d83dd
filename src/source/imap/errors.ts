/** Turns whatever imapflow, Node or the server reports into an error of ours that names the real cause. */
import { type ErrorFields, fail, PenstockError } from '../../errors.ts';
import { isTlsCode, networkError, type Stage, soundsBusy, tidyServerText, tlsReason } from '../trouble.ts';

/** The properties that imapflow and Node put on their errors. */
interface Trouble {
  code?: unknown;
  message?: unknown;
  /** `NO` or `BAD` when the server refused a command. */
  responseStatus?: unknown;
  responseText?: unknown;
  response?: unknown;
  serverResponseCode?: unknown;
  /** What the server said in its BYE. */
  reason?: unknown;
  authenticationFailed?: unknown;
  tlsFailed?: unknown;
  mailboxMissing?: unknown;
  throttleReset?: unknown;
}

const CONNECTION_CODES = new Set([
  'NoConnection',
  'EConnectionClosed',
  'StateLogout',
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
]);
const CLOSED_EARLY_CODES = new Set(['ClosedAfterConnectText', 'ClosedAfterConnectTLS']);
const STALL_CODES = new Set(['ETIMEOUT', 'UPGRADE_TIMEOUT', 'LockTimeout']);
const LIMIT_CODES = new Set([
  'LiteralTooLarge',
  'ResponseTooLarge',
  'LineTooLarge',
  'TooManyTokens',
  'TooManyResponses',
]);
/** Response codes of RFC 5530 that pass by themselves. */
const BUSY_RESPONSE_CODES = new Set(['UNAVAILABLE', 'INUSE', 'LIMIT']);
const MISSING_RESPONSE_CODES = new Set(['TRYCREATE', 'NONEXISTENT']);

/**
 * Exchange says this when the token is right but the mailbox cannot be reached: IMAP is switched off for it, the
 * user name is that of another mailbox, or it throttles without saying so. The last passes, so it counts as busy.
 */
const NOT_CONNECTED_TEXT = 'authenticated but not connected';
const BACKOFF = /Backoff Time[:=\s]{1,5}(\d{1,9})/i;
const RESPONSE_CODE = /\[([A-Z-]{1,30})[\] ]/i;
const TEXT_LENGTH = 300;

/**
 * Classifies `thrown`. Errors of ours pass unchanged. `command` names what was tried and goes into the fields.
 */
export function classifyImapError(thrown: unknown, stage: Stage, command: string): PenstockError {
  if (thrown instanceof PenstockError) return thrown;
  const trouble: Trouble = typeof thrown === 'object' && thrown !== null ? thrown : { message: thrown };
  const code = typeof trouble.code === 'string' ? trouble.code : '';
  const said = serverText(trouble);
  const fields: ErrorFields = { command };
  if (said) fields.server = said;
  if (code) fields.detail = code;
  const status = text(trouble.responseStatus);
  if (status) fields.status = status;

  const busy = busyError(trouble, code, said, fields, thrown);
  if (busy) return busy;
  if (trouble.tlsFailed === true || isTlsCode(code)) return tlsError(trouble, code, fields, thrown);
  if (isLoginFailure(trouble)) {
    const why = said || text(trouble.message) || 'no reason given';
    return fail('auth_failed', `The server refused the login: ${why}`, fields, thrown);
  }
  const network = networkError(code, stage, fields, thrown);
  if (network) return network;
  if (code === 'GREETING_TIMEOUT')
    return fail('greeting_failed', 'The server sent no greeting', fields, thrown);
  if (STALL_CODES.has(code)) return fail('stalled', 'The server stopped answering', fields, thrown);
  if (CLOSED_EARLY_CODES.has(code)) {
    const why = said ? `: ${said}` : '';
    return fail(
      'connection_lost',
      `The server closed the connection before the login was done${why}`,
      fields,
      thrown,
    );
  }
  if (CONNECTION_CODES.has(code) || code === 'ETIMEDOUT') {
    return fail(
      'connection_lost',
      said ? `The server closed the connection: ${said}` : 'The connection broke',
      fields,
      thrown,
    );
  }
  if (LIMIT_CODES.has(code)) {
    return fail(
      'server_protocol',
      'The server sent more than the limits of this mailbox allow',
      fields,
      thrown,
    );
  }
  if (
    trouble.mailboxMissing === true ||
    code === 'NotFound' ||
    MISSING_RESPONSE_CODES.has(responseCode(trouble))
  ) {
    return fail('folder_missing', 'The folder does not exist on the server', fields, thrown);
  }
  if (status)
    return fail('server_protocol', `The server refused ${command}: ${said || status}`, fields, thrown);
  const message = text(trouble.message) || 'unknown';
  return fail('server_protocol', `Unexpected trouble with ${command}: ${message}`, fields, thrown);
}

/** The error for a server that asks to be left alone; `backoffMs` is how long, null when it did not say. */
export function busyImapError(
  said: string,
  backoffMs: number | null,
  command: string,
  cause?: unknown,
): PenstockError {
  const fields = { command, backoffMs, server: said };
  return fail('server_busy', `The server limits us: ${said}`, fields, cause);
}

function busyError(
  trouble: Trouble,
  code: string,
  said: string,
  fields: ErrorFields,
  thrown: unknown,
): PenstockError | null {
  const lower = said.toLowerCase();
  const backoff = BACKOFF.exec(said);
  const hinted = typeof trouble.throttleReset === 'number' ? trouble.throttleReset : null;
  const backoffMs = backoff ? Number(backoff[1]) : hinted;
  if (lower.includes(NOT_CONNECTED_TEXT)) {
    const message =
      'The login was taken but the mailbox cannot be reached: IMAP may be switched off for it, the user name may be ' +
      'wrong, or the server limits us';
    return fail('server_busy', message, { ...fields, backoffMs }, thrown);
  }
  const busy = code === 'ETHROTTLE' || BUSY_RESPONSE_CODES.has(responseCode(trouble)) || soundsBusy(said);
  if (!busy) return null;
  return fail('server_busy', `The server limits us: ${said || code}`, { ...fields, backoffMs }, thrown);
}

function tlsError(trouble: Trouble, code: string, fields: ErrorFields, thrown: unknown): PenstockError {
  const message = text(trouble.message);
  if (message.includes('does not support STARTTLS')) {
    return fail('starttls_missing', 'The server does not offer STARTTLS on this port', fields, thrown);
  }
  const reason = tlsReason(code) ?? (message || code);
  return fail(
    'tls_failed',
    `TLS failed: ${reason}`,
    { ...fields, reason: message.slice(0, TEXT_LENGTH) },
    thrown,
  );
}

function isLoginFailure(trouble: Trouble): boolean {
  // imapflow sets this on a refused LOGIN or AUTHENTICATE, and on logins that it cannot even try.
  if (trouble.authenticationFailed === true) return true;
  return text(trouble.message) === 'Unsupported authentication mechanism';
}

function responseCode(trouble: Trouble): string {
  if (typeof trouble.serverResponseCode === 'string') return trouble.serverResponseCode.toUpperCase();
  const code = RESPONSE_CODE.exec(serverText(trouble)) ?? RESPONSE_CODE.exec(parsedCode(trouble.response));
  return code ? (code[1] as string).toUpperCase() : '';
}

/** The response code of an answer that imapflow has parsed but not yet put into words. */
function parsedCode(response: unknown): string {
  const section = (response as { attributes?: [{ section?: [{ value?: unknown }] }] } | null)?.attributes?.[0]
    ?.section;
  const value = section?.[0]?.value;
  return typeof value === 'string' ? `[${value}]` : '';
}

/** What the server said, shortened and without control characters. Never more: it may quote mail. */
function serverText(trouble: Trouble): string {
  const said = text(trouble.responseText) || text(trouble.reason) || text(trouble.response);
  return tidyServerText(said);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
