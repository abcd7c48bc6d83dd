/**
 * What one mailbox may ask of Graph: so many requests at once, so many a minute, and none while the server wants to be
 * left alone. All sessions of a mailbox share one gate, because Exchange counts by application and mailbox.
 */
import { fail } from '../../errors.ts';
import { TokenBucket } from '../connection-budget.ts';
import type { GraphOptions } from './settings.ts';

type Limits = Pick<GraphOptions, 'concurrency' | 'requestsPerMinute' | 'burst' | 'patienceMs'>;

/** Ends a request's stay; calling it again does nothing. */
export type Leave = () => void;

export class Gate {
  readonly #limits: Limits;
  readonly #now: () => number;
  readonly #bucket: TokenBucket;
  readonly #waiting = new Set<() => void>();
  #inside = 0;
  #closedUntil = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;

  /** `now` is a clock in milliseconds that does not go back. */
  constructor(limits: Limits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
    const { requestsPerMinute, burst } = limits;
    this.#bucket = new TokenBucket(requestsPerMinute + burst, burst, now());
  }

  /** Lets nobody in for `ms`: what Retry-After asked for. A shorter wish does not undo a longer one. */
  close(ms: number): void {
    this.#closedUntil = Math.max(this.#closedUntil, this.#now() + ms);
  }

  /** Waits for leave to send a request. Fails with `server_busy` when that is further away than our patience. */
  async enter(signal: AbortSignal): Promise<Leave> {
    this.#refuseWhenClosed();
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      this.#waiting.delete(resolve);
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    this.#waiting.add(resolve);
    this.#admit();
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#inside -= 1;
      this.#admit();
    };
  }

  #refuseWhenClosed(): void {
    const left = this.#closedUntil - this.#now();
    if (left <= this.#limits.patienceMs) return;
    const backoffMs = Math.ceil(left);
    throw fail('server_busy', 'Graph asked not to be asked for a while', { backoffMs });
  }

  #admit(): void {
    for (const enter of this.#waiting) {
      if (this.#inside >= this.#limits.concurrency) return;
      const closedMs = this.#closedUntil - this.#now();
      const waitMs = closedMs > 0 ? closedMs : this.#bucket.take(this.#now());
      if (waitMs > 0) {
        this.#timer ??= setTimeout(() => {
          this.#timer = null;
          this.#admit();
        }, Math.ceil(waitMs));
        return;
      }
      this.#waiting.delete(enter);
      this.#inside += 1;
      enter();
    }
  }
}
