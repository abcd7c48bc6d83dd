/** The destinations that are told of outcomes; read again every few seconds. */
import type { Wanting } from '../deliver/destination.ts';
import type { Database } from '../store/database.ts';
import { listDestinations } from '../store/destinations.ts';

const CHECK_MS = 5_000;

export class DestinationCache {
  readonly #db: Database;
  #destinations: Promise<readonly Wanting[]> | null = null;
  #checkedAt = 0;

  constructor(db: Database) {
    this.#db = db;
  }

  invalidate(): void {
    this.#destinations = null;
  }

  /** All that were not removed. One that is paused is told later, so what is for it is kept. */
  current(): Promise<readonly Wanting[]> {
    if (this.#destinations === null || performance.now() - this.#checkedAt > CHECK_MS) {
      this.#checkedAt = performance.now();
      const asked: Promise<readonly Wanting[]> = listDestinations(this.#db).catch((error: unknown) => {
        if (this.#destinations === asked) this.#destinations = null;
        throw error;
      });
      this.#destinations = asked;
    }
    return this.#destinations;
  }
}
