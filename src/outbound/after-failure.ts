/** What becomes of a mail that could not be sent. Pure: the caller has the clock and the dice. */
import { type ErrorCode, type PenstockError, TOKEN_REFUSALS } from '../errors.ts';
import { LIMITS } from '../limits.ts';

export interface Attempt {
  /** Whether the mail had been handed over, so that the server may have sent it. */
  handedOver: boolean;
  /** This one included. */
  attempts: number;
  ageSeconds: number;
  /** Failures of the mailbox in a row before this one. */
  mailboxErrors: number;
}

export type AfterFailure =
  /** It may have been sent. */
  | { kind: 'doubt' }
  /** No fault of the mail: the whole mailbox waits, and the attempt does not count. */
  | { kind: 'pause'; seconds: number }
  | { kind: 'retry'; seconds: number }
  | { kind: 'fail'; code: ErrorCode };

/** Errors that every mail of the mailbox would meet. Trying each of them would lock the account. */
const OF_MAILBOX: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'dns_failed',
  'connect_failed',
  'connect_timeout',
  'tls_failed',
  'starttls_missing',
  'greeting_failed',
  'auth_failed',
  'permission_denied',
  'mailbox_missing',
  ...TOKEN_REFUSALS,
  'server_busy',
  'connection_lost',
  'stalled',
  'send_not_configured',
  'validation_failed',
  'unsupported',
  'key_missing',
]);

/** Minutes between attempts, then every two hours: RFC 5321 section 4.5.4.1 asks for at least 30 minutes on average. */
const RETRY_MINUTES = [1, 5, 15, 30, 60, 120];
const PAUSE_SECONDS = [15, 60, 300, 900];

/** What is met before a request leaves, also where the hand-over comes before the connection (Graph, Gmail). */
const BEFORE_REQUEST: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'dns_failed',
  'connect_failed',
  'tls_failed',
  ...TOKEN_REFUSALS,
]);

/** Whether an error says for certain that the server did not send the mail. */
export function saysNotSent({ code, fields: { answered, status } }: PenstockError): boolean {
  if (BEFORE_REQUEST.has(code)) return true;
  return answered === true || (typeof status === 'number' && status >= 400 && status < 500 && status !== 408);
}

/** Decides about a failed attempt. `random` is in [0, 1). */
export function afterSendFailure(error: PenstockError, attempt: Attempt, random: number): AfterFailure {
  if (attempt.handedOver && !saysNotSent(error)) return { kind: 'doubt' };
  if (attempt.ageSeconds > LIMITS.outgoingDays * 86_400) return { kind: 'fail', code: 'send_gave_up' };
  if (OF_MAILBOX.has(error.code)) {
    const asked = error.fields.backoffMs;
    const wait = pick(PAUSE_SECONDS, attempt.mailboxErrors);
    return { kind: 'pause', seconds: Math.max(wait, typeof asked === 'number' ? asked / 1000 : 0) };
  }
  if (!error.temporary) return { kind: 'fail', code: error.code };
  return { kind: 'retry', seconds: retrySeconds(attempt.attempts, random) };
}

/** Seconds until the next attempt after so many. */
export function retrySeconds(attempts: number, random: number): number {
  return Math.round(pick(RETRY_MINUTES, attempts - 1) * 60 * (1 + random / 4));
}

const pick = (steps: readonly number[], index: number): number =>
  steps[Math.min(Math.max(index, 0), steps.length - 1)]!;
