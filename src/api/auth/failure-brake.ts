/**
 * Stops those who guess secrets. Checking one costs real computing time, so who failed often in a minute is turned
 * away without a check. Counted by address, in this process.
 */
import { LIMITS } from '../../limits.ts';

const WINDOW_MS = 60_000;
const MOST_KEYS = 10_000;

export class FailureBrake {
  readonly #failures = new Map<string, { count: number; since: number }>();
  readonly #now: () => number;

  /** `now` in milliseconds, never going back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Seconds until this caller may try again; 0 when it may now. */
  secondsToWait(key: string): number {
    const entry = this.#failures.get(key);
    if (entry === undefined || entry.count < LIMITS.signInFailuresPerMinute) return 0;
    return Math.max(0, Math.ceil((entry.since + WINDOW_MS - this.#now()) / 1000));
  }

  noteFailure(key: string): void {
    const entry = this.#failures.get(key);
    if (entry !== undefined && this.#now() - entry.since < WINDOW_MS) {
      entry.count += 1;
      return;
    }
    this.#failures.delete(key);
    this.#failures.set(key, { count: 1, since: this.#now() });
    if (this.#failures.size > MOST_KEYS) this.#failures.delete(this.#failures.keys().next().value!);
  }
}
