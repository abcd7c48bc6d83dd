/** What the faults of every lab server have in common. */
export interface AnyFault {
  action: unknown;
  /** How often it strikes; for ever when left out. */
  times?: number;
  /** Occasions that pass before it strikes for the first time. */
  after?: number;
}

/** The faults of one server. They are looked at in the order in which they were added. */
export class FaultList<F extends AnyFault> {
  #faults: F[] = [];

  /** Adds a fault; the returned function removes it. */
  add(fault: F): () => void {
    const own = { ...fault };
    this.#faults.push(own);
    return () => {
      this.#faults = this.#faults.filter((other) => other !== own);
    };
  }

  clear(): void {
    this.#faults = [];
  }

  /** The action of the first fault that fits and is not used up; it is counted as struck. */
  protected first(fits: (fault: F) => boolean): F['action'] | null {
    for (const fault of this.#faults) {
      if (!fits(fault)) continue;
      if (fault.after !== undefined && fault.after > 0) {
        fault.after -= 1;
        continue;
      }
      if (fault.times === undefined) return fault.action;
      if (fault.times <= 0) continue;
      fault.times -= 1;
      return fault.action;
    }
    return null;
  }
}
