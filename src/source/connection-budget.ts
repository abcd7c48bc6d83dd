/**
 * How many connections there may be to one host, and how fast new ones may be made. Hundreds of mailboxes often
 * share a host that locks out whoever connects too much, above all when all of them start at once.
 */
import { fail } from '../errors.ts';

export interface BudgetLimits {
  /** Connections to one host at a time. */
  connections: number;
  /** New connections to one host in any 60 seconds. */
  connectsPerMinute: number;
}

/** Gives a connection back; calling it again does nothing. */
export type Release = () => void;

const MINUTE_MS = 60_000;

/**
 * A token bucket that never lets more than `perMinute` through in any 60 seconds: what fits into a burst is taken
 * off the steady rate. Pure: the caller brings the time, in milliseconds of a clock that does not go back.
 */
export class TokenBucket {
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  #at: number;

  constructor(perMinute: number, burst: number, now: number) {
    this.#burst = Math.max(1, Math.min(burst, Math.floor(perMinute / 2)));
    this.#perMs = Math.max(perMinute - this.#burst, 1) / MINUTE_MS;
    this.#tokens = this.#burst;
    this.#at = now;
  }

  /** Takes a token and returns 0, or takes none and returns how long until there is one. */
  take(now: number): number {
    this.#refill(now);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.ceil((1 - this.#tokens) / this.#perMs);
  }

  /** Nothing was taken lately: the bucket is as good as a new one. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.#burst;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, now - this.#at) * this.#perMs);
    this.#at = Math.max(this.#at, now);
  }
}

interface Waiter {
  admit(release: Release): void;
}

interface Host {
  open: number;
  bucket: TokenBucket;
  /** First come, first served. */
  waiting: Set<Waiter>;
  /** Those who have a connection and could do without, the longest idle first. */
  idle: Set<() => void>;
  timer: NodeJS.Timeout | null;
}

export class ConnectionBudget {
  readonly #limits: BudgetLimits;
  readonly #now: () => number;
  readonly #hosts = new Map<string, Host>();

  /** `now` is a clock in milliseconds that does not go back. */
  constructor(limits: BudgetLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Waits for leave to connect to `host`. Fails with `server_busy` when `signal` ends the wait. */
  async acquire(host: string, signal: AbortSignal): Promise<Release> {
    const key = host.toLowerCase();
    const ended = (): Error => fail('server_busy', 'Gave up waiting for leave to connect', { host });
    if (signal.aborted) throw ended();
    const state = this.#host(key);
    const { promise, resolve, reject } = Promise.withResolvers<Release>();
    const waiter: Waiter = { admit: resolve };
    const abort = (): void => {
      state.waiting.delete(waiter);
      reject(ended());
    };
    signal.addEventListener('abort', abort, { once: true });
    state.waiting.add(waiter);
    this.#admit(key, state);
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /**
   * Says that a connection to `host` is idle. When others wait for one, `yieldIt` is called, once, and should release
   * it. The returned function takes the offer back.
   */
  offer(host: string, yieldIt: () => void): () => void {
    const state = this.#host(host.toLowerCase());
    state.idle.add(yieldIt);
    if (state.waiting.size > 0) this.#askIdle(state);
    return () => void state.idle.delete(yieldIt);
  }

  /** Connections to `host` now, and how many wait for leave. */
  usage(host: string): { open: number; waiting: number } {
    const state = this.#hosts.get(host.toLowerCase());
    return { open: state?.open ?? 0, waiting: state?.waiting.size ?? 0 };
  }

  /** Asks the longest idle holder, but only where connections are what is short, not the rate. */
  #askIdle(host: Host): void {
    if (host.open < this.#limits.connections) return;
    const [longest] = host.idle;
    if (longest === undefined) return;
    host.idle.delete(longest);
    longest();
  }

  #admit(key: string, host: Host): void {
    for (const waiter of host.waiting) {
      // A release admits the next one.
      if (host.open >= this.#limits.connections) {
        this.#askIdle(host);
        return;
      }
      const waitMs = host.bucket.take(this.#now());
      if (waitMs > 0) {
        this.#admitLater(key, host, waitMs);
        return;
      }
      host.waiting.delete(waiter);
      host.open += 1;
      waiter.admit(this.#releaseOnce(key, host));
    }
  }

  #admitLater(key: string, host: Host, ms: number): void {
    host.timer ??= setTimeout(() => {
      host.timer = null;
      this.#admit(key, host);
    }, ms);
  }

  #releaseOnce(key: string, host: Host): Release {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      host.open -= 1;
      this.#admit(key, host);
      this.#forgetIdle();
    };
  }

  #host(key: string): Host {
    const known = this.#hosts.get(key);
    if (known) return known;
    const { connections, connectsPerMinute } = this.#limits;
    const bucket = new TokenBucket(connectsPerMinute, connections, this.#now());
    const host: Host = { open: 0, bucket, waiting: new Set(), idle: new Set(), timer: null };
    this.#hosts.set(key, host);
    return host;
  }

  /** Hosts come and go with mailboxes; one that nobody uses and that owes nothing is forgotten. */
  #forgetIdle(): void {
    for (const [key, host] of this.#hosts) {
      const idle = host.open === 0 && host.waiting.size === 0 && host.timer === null;
      if (idle && host.bucket.isFull(this.#now())) this.#hosts.delete(key);
    }
  }
}
