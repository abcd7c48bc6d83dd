/** Turns what a POP3 server, or Node about its connection, reports into an error of ours that names the real cause. */
import { type ErrorFields, fail, PenstockError } from '../../errors.ts';
import { isTlsCode, networkError, type Stage, soundsBusy, tidyServerText, tlsReason } from '../trouble.ts';
import type { Reply } from './reply.ts';

/** Without a response code, words tell a mailbox that somebody else has open from a wrong password. */
const IN_USE_TEXTS = [
  'in use',
  'locked',
  'lock busy',
  'already open',
  'another session',
  'another pop3 session',
];

/** What ended or prevented the connection. Errors of ours pass unchanged. */
export function connectionError(thrown: unknown, stage: Stage, command: string): PenstockError {
  if (thrown instanceof PenstockError) return thrown;
  const { code: given, message } = (thrown ?? {}) as { code?: unknown; message?: unknown };
  const code = typeof given === 'string' ? given : '';
  const fields: ErrorFields = { command, ...(code ? { detail: code } : {}) };
  const network = networkError(code, stage, fields, thrown);
  if (network) return network;
  if (isTlsCode(code)) {
    const reason = tlsReason(code) ?? tidyServerText(String(message ?? code));
    return fail('tls_failed', `TLS failed: ${reason}`, fields, thrown);
  }
  return fail('connection_lost', 'The connection broke', fields, thrown);
}

/**
 * Why the server refused `command`, when that concerns the whole session: by its response code (RFC 2449 section
 * 8.1, RFC 3206), else by its words. Null when it says nothing of the kind. `delaySeconds` is the pause between
 * logins that the server asks for (RFC 2449 section 6.5), as far as it is known.
 */
export function sessionRefusal(
  reply: Reply,
  command: string,
  delaySeconds: number | null,
): PenstockError | null {
  const fields: ErrorFields = { command, server: reply.text, status: reply.code ?? 'ERR' };
  switch (reply.code) {
    case 'IN-USE':
      return inUse(reply, fields);
    case 'LOGIN-DELAY': {
      const backoffMs = delaySeconds === null ? null : delaySeconds * 1000;
      const message = `The server wants more time between two logins: ${reply.text}`;
      return fail('server_busy', message, { ...fields, backoffMs });
    }
    case 'SYS/TEMP':
      return fail('server_busy', `The server has a problem that should pass: ${reply.text}`, fields);
    case 'SYS/PERM':
      return fail(
        'server_refused',
        `The server has a problem that does not pass by itself: ${reply.text}`,
        fields,
      );
    case 'AUTH':
      return fail('auth_failed', `The server refused the login: ${reply.text}`, fields);
    default:
  }
  const lower = reply.text.toLowerCase();
  if (IN_USE_TEXTS.some((known) => lower.includes(known))) return inUse(reply, fields);
  if (soundsBusy(reply.text)) return fail('server_busy', `The server limits us: ${reply.text}`, fields);
  return null;
}

/** The error for a refused login. */
export function loginError(reply: Reply, command: string, delaySeconds: number | null): PenstockError {
  const refusal = sessionRefusal(reply, command, delaySeconds);
  if (refusal) return refusal;
  const why = reply.text || 'no reason given';
  return fail('auth_failed', `The server refused the login: ${why}`, { command, server: reply.text });
}

/** The error for any other refused command. */
export function commandError(reply: Reply, command: string): PenstockError {
  const refusal = sessionRefusal(reply, command, null);
  if (refusal && refusal.code !== 'auth_failed') return refusal;
  const why = reply.text || 'no reason given';
  const fields = { command, server: reply.text, status: reply.code ?? 'ERR' };
  return fail('server_protocol', `The server refused ${command}: ${why}`, fields);
}

function inUse(reply: Reply, fields: ErrorFields): PenstockError {
  return fail('mailbox_in_use', `Somebody else has the mailbox open: ${reply.text}`, fields);
}
