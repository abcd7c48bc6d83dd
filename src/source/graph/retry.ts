/** Whether a failed request is sent again, and when. Pure: the caller has timers and dice. */
import type { PenstockError } from '../../errors.ts';
import type { GraphOptions } from './settings.ts';

const ATTEMPTS = 4;

export interface Failure {
  error: PenstockError;
  /** How often it was sent, this time included. */
  attempt: number;
  /** How long it has waited between attempts so far. */
  waitedMs: number;
  /** Sending it twice does no harm. */
  repeatable: boolean;
}

/**
 * Milliseconds until the next attempt; null when there is none. A server that answers 429 has not done what was asked,
 * so anything may be sent again. After 503, 504 or a broken connection it may have been done: a POST is not repeated,
 * because that sends a mail twice or moves what somebody has moved elsewhere since. `random` is in [0, 1).
 */
export function retryInMs(
  { error, attempt, waitedMs, repeatable }: Failure,
  { patienceMs, retryMs }: Pick<GraphOptions, 'patienceMs' | 'retryMs'>,
  random: number,
): number | null {
  if (error.code === 'connection_lost') return repeatable && attempt === 1 ? 0 : null;
  if (error.code !== 'server_busy' || attempt >= ATTEMPTS) return null;
  if (!repeatable && error.fields.status !== 429) return null;
  const asked = error.fields.backoffMs;
  const wait = typeof asked === 'number' ? asked : retryMs * 2 ** (attempt - 1);
  // Never sooner than asked; spread above it, so that many mailboxes do not come back at once.
  return waitedMs + wait <= patienceMs ? Math.ceil(wait * (1 + random / 4)) : null;
}
