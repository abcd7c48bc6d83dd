/** Turns what Graph, Node or the network reports into an error of ours that names the real cause. Pure. */
import { type ErrorCode, fail, PenstockError } from '../../errors.ts';
import { tlsReason } from '../trouble.ts';

/** An answer that is no success. */
export interface Refusal {
  status: number;
  /** Graph's error code, as in `{"error": {"code": ...}}`; empty when the answer was none of Graph's. */
  code: string;
  message: string;
  /** What Retry-After asked for (RFC 9110 section 10.2.3); null when it said nothing. */
  retryAfterMs: number | null;
}

const TEXT_LENGTH = 300;
/** A server that asks for more is asked again by then: it may have been a slip. */
const LONGEST_WAIT_MS = 60 * 60_000;

/** Codes whose meaning does not depend on the status. Case is not reliable: Exchange and the docs differ. */
const BY_CODE: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['invalidauthenticationtoken', 'auth_failed'],
  ['erroraccessdenied', 'permission_denied'],
  ['authorization_requestdenied', 'permission_denied'],
  ['mailboxnotenabledforrestapi', 'mailbox_missing'],
  ['errorinvaliduser', 'mailbox_missing'],
  ['errornonexistentmailbox', 'mailbox_missing'],
  ['request_resourcenotfound', 'mailbox_missing'],
  ['errorfoldernotfound', 'folder_missing'],
  ['erroritemnotfound', 'message_gone'],
  // No message can have such an id.
  ['errorinvalididmalformed', 'message_gone'],
  ['syncstatenotfound', 'folder_changed'],
  ['syncstateinvalid', 'folder_changed'],
  ['resyncrequired', 'folder_changed'],
  ['applicationthrottled', 'server_busy'],
  ['mailboxconcurrency', 'server_busy'],
  ['toomanyrequests', 'server_busy'],
  ['errorserverbusy', 'server_busy'],
  ['errortimeoutexpired', 'server_busy'],
  ['errormailboxmoveinprogress', 'server_busy'],
  ['errormailboxstoreunavailable', 'server_busy'],
  ['errorinternalservertransienterror', 'server_busy'],
]);

const BY_STATUS: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [401, 'auth_failed'],
  [403, 'permission_denied'],
  [408, 'server_busy'],
  [410, 'folder_changed'],
  [429, 'server_busy'],
  [503, 'server_busy'],
  [504, 'server_busy'],
  [509, 'server_busy'],
]);

const SENTENCES: Partial<Record<ErrorCode, string>> = {
  auth_failed: 'Graph refused the access token',
  permission_denied: 'The application may not do this with the mailbox',
  mailbox_missing: 'There is no such mailbox online',
  folder_missing: 'The folder does not exist',
  message_gone: 'The message is not there',
  folder_changed: 'Graph no longer knows the position in the folder',
  server_busy: 'Graph limits us',
};

/** The error of ours for a refusal. `what` names the request, for the fields. */
export function refusalError(refusal: Refusal, what: string): PenstockError {
  const { status, retryAfterMs } = refusal;
  const said = clean(refusal.message);
  const ours = BY_CODE.get(refusal.code.toLowerCase()) ?? BY_STATUS.get(status) ?? 'server_protocol';
  const about = [refusal.code, said].filter((text) => text !== '').join(': ') || `status ${status}`;
  const fields = { request: what, status, graphCode: clean(refusal.code), server: said };
  const busy = ours === 'server_busy' ? { backoffMs: retryAfterMs } : {};
  return fail(ours, `${SENTENCES[ours] ?? `Graph refused ${what}`} (${about})`, { ...fields, ...busy });
}

const DNS_CODES = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME']);
const REFUSED_CODES = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EACCES']);

/** The error of ours for a request that got no answer, or half of one. Errors of ours pass unchanged. */
export function networkError(thrown: unknown, what: string): PenstockError {
  if (thrown instanceof PenstockError) return thrown;
  const {
    code: given,
    message = '',
    errors,
  } = thrown as { code?: unknown; message?: string; errors?: unknown[] };
  // With several addresses Node reports all failures in one error.
  const first = (errors?.[0] as { code?: unknown } | undefined)?.code;
  const code = typeof given === 'string' ? given : typeof first === 'string' ? first : '';
  const fields = { request: what, detail: code };
  if (DNS_CODES.has(code)) return fail('dns_failed', 'The host name could not be resolved', fields, thrown);
  if (REFUSED_CODES.has(code))
    return fail('connect_failed', `No connection to Graph: ${code}`, fields, thrown);
  if (code === 'ETIMEDOUT')
    return fail('connect_timeout', 'Graph could not be reached in time', fields, thrown);
  const reason = tlsReason(code);
  if (reason !== null || code.startsWith('ERR_TLS')) {
    return fail('tls_failed', `TLS failed: ${reason ?? message}`, fields, thrown);
  }
  return fail('connection_lost', `The connection to Graph broke: ${code || clean(message)}`, fields, thrown);
}

/** Retry-After in milliseconds: seconds, or a date that is compared with the server's own clock (`date`). */
export function retryAfterMs(header: string | null, date: string | null, nowMs: number): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header.trim())) return Math.min(Number(header) * 1000, LONGEST_WAIT_MS);
  const until = Date.parse(header);
  if (Number.isNaN(until)) return null;
  const serverNow = date === null ? Number.NaN : Date.parse(date);
  const wait = until - (Number.isNaN(serverNow) ? nowMs : serverNow);
  return Math.min(Math.max(0, wait), LONGEST_WAIT_MS);
}

/** Shortened and without control characters. Never more: it may quote mail. */
function clean(text: string): string {
  return text
    .slice(0, TEXT_LENGTH)
    .replace(/\p{Cc}/gu, ' ')
    .trim();
}
