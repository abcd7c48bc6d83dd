/**
 * Every error an operator or a client can meet is one of these. Each code says once whether trying again can
 * help, which HTTP status it maps to, and what to do. Unknown faults become `internal`.
 */
interface ErrorKind {
  /** True when the same call may succeed later without anybody changing anything. */
  temporary: boolean;
  /** HTTP status when the error leaves through the API. */
  status: number;
  /** What to do about it, for a person. */
  hint: string;
}

const kind = (temporary: boolean, status: number, hint: string): ErrorKind => ({ temporary, status, hint });

export const ERROR_KINDS = {
  // Configuration and start
  config_invalid: kind(false, 400, 'Correct the named setting; `penstock config check` shows all of them.'),
  engine_failed: kind(false, 500, 'The embedded database did not start; see the log lines before this one.'),
  database_unavailable: kind(true, 503, 'Check that PostgreSQL is running and DATABASE_URL is right.'),
  queue_unavailable: kind(true, 503, 'Check that Redis is running and REDIS_URL is right.'),
  data_directory_in_use: kind(false, 500, 'Another Penstock uses this data directory; stop it first.'),
  disk_low: kind(true, 503, 'Free disk space below the data directory; intake goes on by itself.'),
  key_missing: kind(
    false,
    500,
    'Restore the key file of this data directory; without it secrets cannot be read.',
  ),

  // Requests
  validation_failed: kind(false, 400, 'Correct the named field.'),
  unauthorized: kind(false, 401, 'Get a new token from /auth/token.'),
  invalid_client: kind(false, 401, 'Check client_id and client_secret.'),
  forbidden: kind(false, 403, 'The token lacks the scope for this call.'),
  not_found: kind(false, 404, 'Check the id.'),
  conflict: kind(false, 409, 'The record changed or is in a state that does not allow this.'),
  rate_limited: kind(true, 429, 'Wait as long as Retry-After says.'),
  request_too_large: kind(false, 413, 'Send less at once, or fewer items.'),
  overloaded: kind(true, 503, 'Try again as soon as Retry-After says.'),
  stopping: kind(
    true,
    503,
    'Try again in a moment: another process, or this one after its restart, will answer.',
  ),
  media_type_unsupported: kind(false, 415, 'Send JSON, with the content type application/json.'),
  mailbox_test_failed: kind(false, 400, 'Follow the advice of the step that failed.'),
  unsupported: kind(false, 400, 'This kind is not supported.'),

  // Mail servers
  dns_failed: kind(true, 502, 'Check the host name.'),
  connect_failed: kind(true, 502, 'Check host, port and firewall.'),
  connect_timeout: kind(true, 504, 'Check host, port and firewall.'),
  tls_failed: kind(false, 502, 'Check the TLS mode, and that the certificate is valid for this host name.'),
  starttls_missing: kind(false, 502, 'The server does not offer STARTTLS; use implicit TLS (port 993).'),
  greeting_failed: kind(true, 502, 'The server did not greet as expected; check the port.'),
  auth_failed: kind(false, 502, 'Check user name and password, or get a new token.'),
  permission_denied: kind(
    false,
    502,
    'Grant the application the permission that is named, for this mailbox, with consent of an administrator.',
  ),
  mailbox_missing: kind(false, 502, 'Check the address of the mailbox, and that it has a mailbox online.'),
  sign_in_needed: kind(false, 502, 'Sign in again for this mailbox; the permission it had has ended.'),
  consent_needed: kind(false, 502, 'An administrator must grant the application what the message names.'),
  credential_expired: kind(false, 502, 'Make a new client secret, certificate or key and enter it here.'),
  credential_refused: kind(false, 502, 'Check client id and secret, certificate or key of the application.'),
  application_unknown: kind(false, 502, 'Check tenant, client id and cloud of the application.'),
  token_request_refused: kind(false, 502, 'Check grant and scope of the credential; see the message.'),
  folder_changed: kind(true, 502, 'The server renumbered the folder while it was read; it is listed anew.'),
  folder_missing: kind(false, 502, 'Create the folder on the server, or take it out of the mailbox.'),
  server_busy: kind(true, 503, 'The server limits us; the next attempt waits longer.'),
  server_refused: kind(
    false,
    502,
    'The server says that this does not pass by itself; ask its administrator.',
  ),
  mailbox_in_use: kind(
    true,
    503,
    'One POP3 session at a time: another program, or an earlier session, has the mailbox; it is tried again.',
  ),
  server_protocol: kind(true, 502, 'The server answered against the protocol; see the fields.'),
  connection_lost: kind(true, 502, 'The connection broke; a new one is made by itself.'),
  stalled: kind(true, 504, 'The session made no progress and was ended; a new one is made by itself.'),
  push_refused: kind(
    true,
    502,
    'Make server.publicUrl reachable from the internet over https with a valid certificate; see docs/operator/push.md. Polling goes on.',
  ),
  message_gone: kind(false, 404, 'The message is no longer on the server.'),
  message_oversized: kind(
    false,
    413,
    'Raise the size limit of the mailbox, then ask for it with `penstock mailbox refetch ID --oversized`.',
  ),
  fetch_failed: kind(
    true,
    502,
    'The server could not deliver this message; it is tried again, then set aside.',
  ),

  // Sending
  send_not_configured: kind(
    false,
    400,
    'Give the mailbox a server to send by (smtpserver, smtpport, smtpusername, smtppassword), or use a Graph or Gmail mailbox.',
  ),
  send_deferred: kind(true, 503, 'The server does not take this mail now; it is tried again by itself.'),
  send_refused: kind(
    false,
    502,
    'The server refuses this mail for good; correct what its answer names, then send it again.',
  ),
  send_gave_up: kind(false, 504, 'It was tried for days; find out why, then send it again.'),
  send_in_doubt: kind(
    false,
    409,
    'Look in the sent mail of the server, or ask a recipient. If it did not arrive, send it again; else mark it as sent (`penstock outgoing`).',
  ),

  // Intake
  lease_lost: kind(true, 409, 'Another process owns this mailbox now.'),
  raw_missing: kind(false, 500, 'The stored bytes are not where they should be; restore them from a backup.'),
  raw_corrupt: kind(false, 500, 'The stored bytes do not match their checksum; restore them from a backup.'),

  // Destinations
  egress_blocked: kind(
    false,
    400,
    'Use a public address, or name host, address or network in destinations.allow.',
  ),
  destination_failed: kind(true, 502, 'The other system failed; it is tried again by itself.'),
  destination_busy: kind(true, 503, 'The other system limits us; it is left alone for a while.'),
  destination_refused: kind(
    true,
    502,
    'Correct the URL or the credentials of the destination; what waits is sent then.',
  ),
  destination_gone: kind(
    false,
    502,
    'The receiver wants no more deliveries. `penstock destination resume ID` begins again, `remove` ends it.',
  ),
  delivery_refused: kind(
    false,
    422,
    'The other system does not take this content; see its answer. `penstock destination replay ID` tries again.',
  ),

  // Processing
  mime_limit: kind(false, 422, 'The message breaks a structural limit; it is kept in quarantine.'),
  parse_failed: kind(false, 422, 'The parser failed on this message; it is kept in quarantine.'),
  parse_timeout: kind(false, 422, 'The parser took too long; the message is kept in quarantine.'),
  parse_memory: kind(false, 422, 'The parser used too much memory; the message is kept in quarantine.'),
  rule_invalid: kind(false, 400, 'Correct the named part of the rule.'),
  rule_timeout: kind(false, 422, 'A pattern of this rule is too slow for this text.'),

  internal: kind(true, 500, 'Unexpected; the log has the cause.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

/**
 * The provider of the tokens has refused, and only a person can mend that. The refusal is remembered with the credential,
 * so looking again costs no request; it is how a process learns that somebody has mended it.
 */
export const TOKEN_REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'sign_in_needed',
  'consent_needed',
  'credential_expired',
  'credential_refused',
  'application_unknown',
  'token_request_refused',
]);

/** What to do about an error of which only the code was kept; null when there is none, or none of this version's. */
export function hintFor(code: string | null): string | null {
  return code !== null && Object.hasOwn(ERROR_KINDS, code) ? ERROR_KINDS[code as ErrorCode].hint : null;
}

/** Facts about an error, for logs and answers. Never secrets, never message bodies. */
export type ErrorFields = Record<string, string | number | boolean | null | undefined>;

/** The one error class. Make it with {@link fail}. */
export class PenstockError extends Error {
  readonly code: ErrorCode;
  readonly fields: ErrorFields;

  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'PenstockError';
    this.code = code;
    this.fields = fields;
  }

  get temporary(): boolean {
    return ERROR_KINDS[this.code].temporary;
  }

  get status(): number {
    return ERROR_KINDS[this.code].status;
  }

  get hint(): string {
    return ERROR_KINDS[this.code].hint;
  }
}

/** Makes an error of ours. `message` says what happened, in one sentence; what to do comes from the code. */
export function fail(code: ErrorCode, message: string, fields?: ErrorFields, cause?: unknown): PenstockError {
  return new PenstockError(code, message, fields, cause);
}

/** Turns anything thrown into an error of ours; ours pass unchanged. */
export function asPenstockError(thrown: unknown, code: ErrorCode = 'internal'): PenstockError {
  if (thrown instanceof PenstockError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PenstockError(code, message, {}, thrown);
}
