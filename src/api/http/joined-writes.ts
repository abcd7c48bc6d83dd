/** Joins what comes in while a write is under way into one next write: the busier it is, the fewer there are. */
import { fail } from '../../errors.ts';

interface Waiting<T> {
  items: readonly T[];
  resolve(): void;
  reject(error: unknown): void;
}

export class JoinedWrites<T> {
  readonly #write: (items: T[]) => Promise<void>;
  readonly #most: number;
  #waiting: Waiting<T>[] = [];
  #count = 0;
  #writing = false;

  /** `write` makes items durable. Up to `most` items wait for it. */
  constructor(write: (items: T[]) => Promise<void>, most: number) {
    this.#write = write;
    this.#most = most;
  }

  /** Resolves when the items are durable; fails as their write did, and with `overloaded` when too many wait. */
  async add(items: readonly T[]): Promise<void> {
    if (items.length === 0) return;
    if (this.#count + items.length > this.#most) throw fail('overloaded', 'Too much waits to be written.');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ items, resolve, reject });
    this.#count += items.length;
    if (!this.#writing) void this.#run();
    await promise;
  }

  async #run(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const taken = this.#waiting;
      this.#waiting = [];
      this.#count = 0;
      try {
        await this.#write(taken.flatMap(({ items }) => items));
        for (const { resolve } of taken) resolve();
      } catch (error) {
        for (const { reject } of taken) reject(error);
      }
    }
    this.#writing = false;
  }
}
