/** Hints that something changed: IDLE (RFC 2177) where the server has it, else NOOP every now and then. */
import type { Commands } from './commands.ts';

export class Hints {
  readonly #commands: Commands;
  /** New mail was announced since the last listing began. */
  #news = false;
  #notify: (() => void) | null = null;
  #idle: Promise<void> | null = null;
  /** A NOOP on its way: wait() does not return before its answer, lest the next call collide with it. */
  #polling: Promise<void> | null = null;
  /** The server has no IDLE, or refused it. */
  #mustPoll: boolean;

  constructor(commands: Commands) {
    this.#commands = commands;
    this.#mustPoll = !commands.has('IDLE');
    const { client } = commands.link;
    client.on('exists', ({ count, prevCount }) => {
      if (count > prevCount) this.#news = true;
      this.#notify?.();
    });
    // Only while waiting: otherwise our own deletions would count as news.
    client.on('expunge', () => this.#notify?.());
  }

  /** A listing begins: what was announced before is part of it. */
  forget(): void {
    this.#news = false;
  }

  /** Resolves on a hint, after `ms`, or on abort. Fails when the connection ends. */
  async wait(ms: number, signal: AbortSignal): Promise<'changed' | 'timeout'> {
    if (this.#news) return 'changed';
    if (signal.aborted) return 'timeout';
    const { link } = this.#commands;
    const { promise, resolve, reject } = Promise.withResolvers<'changed' | 'timeout'>();
    const off = link.onEnd(reject);
    const expire = (): void => resolve('timeout');
    const timer = setTimeout(expire, ms);
    signal.addEventListener('abort', expire, { once: true });
    this.#notify = () => resolve('changed');
    const stop = new AbortController();
    this.#listen(stop.signal).catch(reject);
    try {
      return await promise;
    } finally {
      this.#notify = null;
      stop.abort();
      clearTimeout(timer);
      signal.removeEventListener('abort', expire);
      off();
      await this.#polling;
    }
  }

  async #listen(stop: AbortSignal): Promise<void> {
    if (!this.#mustPoll) {
      this.#idle ??= this.#startIdle();
      await Promise.race([this.#idle, aborted(stop)]);
    }
    // IDLE that was refused, or that the server ended by itself, must not leave us deaf until the time is up.
    if (!stop.aborted) await this.#poll(stop);
  }

  async #startIdle(): Promise<void> {
    try {
      // Ends when the next command breaks it; false means that the server refused.
      const result: unknown = await this.#commands.link.client.idle();
      if (result === false) this.#mustPoll = true;
    } catch {
      // The connection broke: the link's own end listener says so to whoever waits.
    } finally {
      this.#idle = null;
    }
  }

  async #poll(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await pause(this.#commands.options.noopMs, stop);
      if (stop.aborted) return;
      this.#polling = this.#commands.noop();
      try {
        await this.#polling;
      } finally {
        this.#polling = null;
      }
    }
  }
}

/** Resolves after `ms`, or at once when `signal` aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
