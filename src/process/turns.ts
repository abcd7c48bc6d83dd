/** Lets work with the same key go one after the other, within this process. */
export class Turns {
  readonly #last = new Map<number, Promise<unknown>>();

  /** Runs `work` when all earlier work with this key has ended, well or not. */
  async take<T>(key: number, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }
}
