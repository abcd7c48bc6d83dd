/**
 * Keeps within the quota of a user: each method costs units (developers.google.com/workspace/gmail/api/reference/quota).
 * A bucket that fills steadily; who finds it empty waits, in the order of coming.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** Units of each method, as for projects since May 2026; older ones pay less for `get`. */
export const UNITS = {
  profile: 1,
  labels: 1,
  createLabel: 5,
  list: 5,
  history: 2,
  get: 20,
  modify: 5,
  trash: 5,
  send: 100,
  watch: 100,
  stop: 50,
  // Calls of Pub/Sub, which has quotas of its own.
  pull: 0,
  acknowledge: 0,
} as const;

export type Method = keyof typeof UNITS;

/** The bucket itself. Pure: the caller has the clock, in milliseconds. */
export class UnitBucket {
  readonly #perMs: number;
  readonly #capacity: number;
  #units: number;
  #at: number;

  /** Holds what a quarter of a minute brings: enough for a start, too little to matter to the minute. */
  constructor(unitsPerMinute: number, now: number) {
    this.#perMs = unitsPerMinute / 60_000;
    this.#capacity = unitsPerMinute / 4;
    this.#units = this.#capacity;
    this.#at = now;
  }

  /** Takes units that may not be there yet. Returns how long to wait until they are. */
  take(units: number, now: number): number {
    if (now > this.#at) {
      this.#units = Math.min(this.#capacity, this.#units + (now - this.#at) * this.#perMs);
      this.#at = now;
    }
    this.#units -= units;
    return this.#units >= 0 ? 0 : Math.ceil(-this.#units / this.#perMs) + Math.max(0, this.#at - now);
  }

  /** The server wants nothing before `until`: what was saved is void, and refilling starts then. */
  pause(until: number): void {
    this.#units = Math.min(this.#units, 0);
    this.#at = Math.max(this.#at, until);
  }
}

/** Waits at a bucket, by a clock that never goes back. */
export class QuotaGate {
  readonly #bucket: UnitBucket;

  constructor(unitsPerMinute: number) {
    this.#bucket = new UnitBucket(unitsPerMinute, performance.now());
  }

  async pass(method: Method, signal: AbortSignal): Promise<void> {
    const waitMs = this.#bucket.take(UNITS[method], performance.now());
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
  }

  pause(ms: number): void {
    this.#bucket.pause(performance.now() + ms);
  }
}
