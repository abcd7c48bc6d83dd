/**
 * When a delivery is tried again, and when a destination is left alone. Pure; the caller has the clock and the dice.
 * docs/decisions/0020-order-and-breaker-of-deliveries.md has the reasons.
 */
import { LIMITS } from '../limits.ts';

const MINUTE = 60;
const HOUR = 3_600;

/** Seconds before the second, third, ... attempt: the schedule that Standard Webhooks gives as an example. */
const RETRY_SECONDS = [
  5,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];
/** Attempts of the schedule, and the time they take. */
const ATTEMPTS = RETRY_SECONDS.length + 1;
const SPAN_SECONDS = RETRY_SECONDS.reduce((sum, seconds) => sum + seconds, 0);

/**
 * Seconds until the next attempt; null when the delivery is given up. Both must be used up, attempts and time: a
 * destination that comes and goes uses up attempts fast, and one that is away for days uses up none.
 */
export function retryAfterFailure(attempts: number, ageSeconds: number, random: number): number | null {
  // A tenth less than the sum: jitter may have made every wait a little shorter.
  if (attempts >= ATTEMPTS && ageSeconds >= SPAN_SECONDS * 0.9) return null;
  const base = RETRY_SECONDS[Math.min(attempts, RETRY_SECONDS.length) - 1] ?? RETRY_SECONDS[0]!;
  return base * (0.9 + random * 0.2);
}

/** How long a destination is left alone after so many failed attempts in a row, in seconds; 0 = not at all. */
export function openSeconds(consecutiveFailures: number, random: number): number {
  const beyond = consecutiveFailures - LIMITS.breakerFailures;
  if (beyond < 0) return 0;
  const seconds = Math.min(LIMITS.breakerSecondsMost, LIMITS.breakerSeconds * 2 ** Math.min(beyond, 20));
  return seconds * (0.9 + random * 0.2);
}
