/** Counts the units that each user spends, and refuses what is above a limit, as Google does. */
import type { LabAnswer } from '../http/answer.ts';
import { apiError } from './errors.ts';

export class Quota {
  /** Units in a minute; no limit by default. */
  unitsPerMinute = Number.POSITIVE_INFINITY;
  /** Requests at once, of all users. */
  concurrent = Number.POSITIVE_INFINITY;
  /** Units that each user has spent in all. */
  readonly spent = new Map<string, number>();
  /** The most requests that were open at once. */
  mostAtOnce = 0;
  #open = 0;
  readonly #minutes = new Map<string, { since: number; units: number }>();

  /** A request came; call what this returns when it is over. */
  enter(): () => void {
    this.#open += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#open);
    return () => {
      this.#open -= 1;
    };
  }

  charge(user: string, units: number): LabAnswer | null {
    this.spent.set(user, (this.spent.get(user) ?? 0) + units);
    if (this.#open > this.concurrent) {
      return apiError(429, 'rateLimitExceeded', 'Too many concurrent requests for user');
    }
    const now = performance.now();
    const minute = this.#minutes.get(user);
    const current = minute !== undefined && now - minute.since < 60_000 ? minute : { since: now, units: 0 };
    this.#minutes.set(user, current);
    if (current.units + units > this.unitsPerMinute) {
      const text =
        "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service 'gmail.googleapis.com'";
      return apiError(403, 'rateLimitExceeded', text, 'RATE_LIMIT_EXCEEDED');
    }
    current.units += units;
    return null;
  }
}
