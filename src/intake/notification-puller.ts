/**
 * Fetches notifications where they are not pushed. Like a push they only wake pollers: what is lost here is found by the
 * next poll. They are noted before they are acknowledged, so that a crash in between tells twice and not never.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asPenstockError, type PenstockError } from '../errors.ts';
import type { Events } from '../observe/events.ts';

export interface PullerOptions {
  events: Events;
  /** Resolves when there is something, or after a while with nothing. */
  pull(signal: AbortSignal): Promise<{ addresses: string[]; strange: number; ackIds: string[] }>;
  acknowledge(ackIds: readonly string[], signal: AbortSignal): Promise<void>;
  /** Makes it durable that these accounts have mail. */
  note(addresses: readonly string[]): Promise<void>;
  /** The least time between two pulls that bring nothing (ms). */
  idleMs?: number;
}

const IDLE_MS = 1_000;
const SECOND_MS = 1_000;
const LONGEST_RETRY_MS = 5 * 60 * SECOND_MS;

/**
 * The wait after a failure: a second, twice as long each time, five minutes at most and at once for what does not pass
 * by itself. `failures` counts this one; `random` is in [0, 1).
 */
export function pullRetryMs(error: PenstockError, failures: number, random: number): number {
  const asked = typeof error.fields.backoffMs === 'number' ? error.fields.backoffMs : 0;
  const doubled = error.temporary ? SECOND_MS * 2 ** Math.min(failures - 1, 16) : LONGEST_RETRY_MS;
  return Math.round(Math.max(Math.min(doubled, LONGEST_RETRY_MS), asked) * (1 + random / 4));
}

export class NotificationPuller {
  readonly #options: PullerOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: PullerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Ends a pull that is under way. What it brought comes again. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { events, idleMs = IDLE_MS } = this.#options;
    const { signal } = this.#stop;
    let consecutive = 0;
    while (!signal.aborted) {
      let waitMs = 0;
      try {
        const messages = await this.#pass();
        consecutive = 0;
        if (messages === 0) waitMs = idleMs;
        events.emit('pull.answered', { messages });
      } catch (thrown) {
        if (signal.aborted) return;
        const error = asPenstockError(thrown);
        consecutive += 1;
        waitMs = pullRetryMs(error, consecutive, Math.random());
        const { code, message } = error;
        events.emit('pull.failed', { code, message, retryInMs: waitMs, consecutive });
      }
      if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #pass(): Promise<number> {
    const { pull, acknowledge, note, events } = this.#options;
    const { signal } = this.#stop;
    const { addresses, strange, ackIds } = await pull(signal);
    if (addresses.length > 0) await note(addresses);
    if (strange > 0) events.emit('notification.noted', { kind: 'gmail', subscriptions: 0, unknown: strange });
    if (ackIds.length > 0) await acknowledge(ackIds, signal);
    return ackIds.length;
  }
}
