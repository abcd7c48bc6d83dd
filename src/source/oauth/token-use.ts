/** When a token is used and when it is renewed. Pure: ages come from one clock, wherever that is. */

/** What is known of a credential. Ages are milliseconds at the time of the question. */
export interface TokenState {
  access: { ageMs: number; lifeMs: number } | null;
  failure: { terminal: boolean; ageMs: number; waitMs: number } | null;
}

export type TokenStep =
  /** The token is good. */
  | 'use'
  /** A new one is due; the old one, if it still lives, serves when that fails. */
  | 'renew'
  /** Nothing to use, and asking again would not help or is too early. */
  | 'refuse';

/** Renewed at this part of its life. */
const RENEW_AT = 0.8;
/** Not used any more this short before its end: a request with it takes time. */
const LAST_MS = 30_000;

export function tokenStep({ access, failure }: TokenState): TokenStep {
  // Below zero when the clock went back: as good as new then. The server says when it is not.
  const age = access === null ? Number.POSITIVE_INFINITY : Math.max(0, access.ageMs);
  const life = access?.lifeMs ?? 0;
  if (renewAfter(age, life) > 0) return 'use';
  const mayAsk = failure === null || (!failure.terminal && failure.ageMs >= failure.waitMs);
  if (mayAsk) return 'renew';
  return usableFor(age, life) > 0 ? 'use' : 'refuse';
}

/** Milliseconds until a token is due for renewal; not above zero when it is. */
export function renewAfter(ageMs: number, lifeMs: number): number {
  return lifeMs * RENEW_AT - Math.max(0, ageMs);
}

/** Milliseconds for which a token may still be used. */
export function usableFor(ageMs: number, lifeMs: number): number {
  return lifeMs - Math.min(LAST_MS, lifeMs / 10) - Math.max(0, ageMs);
}

const BASE_MS = 5_000;
const MAX_MS = 15 * 60_000;

/**
 * The wait after temporary failure number `attempts` (from 1): twice as long each time, never sooner than the server
 * asked. `random` is in [0, 1).
 */
export function tokenBackOff(attempts: number, askedMs: number | null, random: number): number {
  const exponential = Math.min(BASE_MS * 2 ** Math.min(attempts - 1, 16), MAX_MS);
  return Math.round(Math.max(askedMs ?? 0, exponential * (0.5 + random / 2)));
}
