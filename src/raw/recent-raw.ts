/**
 * Bytes of messages that this process stored a moment ago, for the worker that is about to read them: most mail
 * is processed where it was taken in, and reading it back from the database costs as much as writing it did.
 * Only a shortcut: what is not here is in the database.
 */

/** Nobody read them for this long: another process did the work, or they were copies. */
const MAX_AGE_MS = 60_000;
/** Of tiny messages the entries take more room than the bytes. */
const MAX_ENTRIES = 10_000;

export class RecentRaw {
  readonly #budget: number;
  readonly #clock: () => number;
  /** In the order they came, which is the order they are read. */
  readonly #entries = new Map<string, { bytes: Buffer; at: number }>();
  #held = 0;

  constructor(budgetBytes: number, clock: () => number = () => performance.now()) {
    this.#budget = budgetBytes;
    this.#clock = clock;
  }

  /**
   * Keeps bytes while there is room. A full store refuses new ones: the old ones are read first, so dropping them
   * would make every read miss.
   */
  keep(digest: string, bytes: Buffer): void {
    this.#dropOld();
    if (this.#held + bytes.length > this.#budget || this.#entries.size >= MAX_ENTRIES) return;
    if (this.#entries.has(digest)) return;
    this.#entries.set(digest, { bytes, at: this.#clock() });
    this.#held += bytes.length;
  }

  /** Hands bytes out, once. */
  take(digest: string): Buffer | null {
    const entry = this.#entries.get(digest);
    if (entry === undefined) return null;
    this.#entries.delete(digest);
    this.#held -= entry.bytes.length;
    return entry.bytes;
  }

  #dropOld(): void {
    const limit = this.#clock() - MAX_AGE_MS;
    for (const [digest, { at }] of this.#entries) {
      if (at > limit) return;
      this.take(digest);
    }
  }
}
