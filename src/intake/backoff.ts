/** How long to wait after a failed session. Pure: timers belong to the poller. */
import { type ErrorCode, type PenstockError, TOKEN_REFUSALS } from '../errors.ts';

export interface BackoffState {
  /** Failures in a row, short-lived sessions included. */
  failures: number;
  /** Refused logins in a row. */
  refusals: number;
}

export const NO_FAILURES: BackoffState = { failures: 0, refusals: 0 };

/** Who we are is not good enough; asking often makes it worse. */
export const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  ...TOKEN_REFUSALS,
  'auth_failed',
  'permission_denied',
  'mailbox_missing',
]);

const BASE_MS = 1_000;
const MAX_MS = 5 * 60_000;
/** A server that says it is busy gets a minute at least. */
const BUSY_MS = 60_000;
/** After this many refusals a person must act; more attempts lock accounts. */
const REFUSALS_BEFORE_BLOCK = 3;
const BLOCKED_MS = 60 * 60_000;
/**
 * Only a session that lived this long clears the count. A server that accepts everything and then drops would
 * otherwise be logged in to without pause.
 */
const STABLE_MS = 5 * 60_000;

export interface Backoff {
  state: BackoffState;
  waitMs: number;
  /** True when waiting does not help and a person must act. */
  blocked: boolean;
}

/**
 * The wait before the next connection. `livedMs` is how long the session was logged in (0 when it never was);
 * `random` is in [0, 1).
 */
export function backOff(
  before: BackoffState,
  error: PenstockError,
  livedMs: number,
  random: number,
): Backoff {
  const failures = livedMs >= STABLE_MS ? 1 : before.failures + 1;
  if (REFUSALS.has(error.code)) {
    const refusals = before.refusals + 1;
    if (TOKEN_REFUSALS.has(error.code))
      return { state: { failures, refusals }, waitMs: jittered(MAX_MS, random), blocked: true };
    const blocked = refusals >= REFUSALS_BEFORE_BLOCK;
    const waitMs = blocked ? BLOCKED_MS : jittered(BUSY_MS, random);
    return { state: { failures, refusals }, waitMs, blocked };
  }
  const state = { failures, refusals: livedMs > 0 ? 0 : before.refusals };
  if (!error.temporary)
    return { state, waitMs: jittered(MAX_MS, random), blocked: failures >= REFUSALS_BEFORE_BLOCK };
  const exponential = Math.min(BASE_MS * 2 ** Math.min(failures - 1, 16), MAX_MS);
  if (error.code === 'server_busy') {
    const asked = typeof error.fields.backoffMs === 'number' ? error.fields.backoffMs : 0;
    // Never sooner than asked; spread above it, so that many mailboxes do not come back at once.
    return { state, waitMs: Math.max(asked, BUSY_MS, exponential) * (1 + random / 4), blocked: false };
  }
  return { state, waitMs: jittered(exponential, random), blocked: false };
}

function jittered(ms: number, random: number): number {
  return Math.round(ms * (0.5 + random / 2));
}
