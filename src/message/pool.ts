import type { Transferable } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { fail, PenstockError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { WorkerAnswer } from './worker.ts';

/** A task that waits so long for a thread gets another one, as long as there may be more. */
const PATIENCE_MS = 3_000;
/** A thread beyond the first that has nothing to do for so long is ended. */
const IDLE_MS = 60_000;
/** A thread that has not started by then never will. */
const THREAD_START_MS = 120_000;

export interface PoolOptions {
  /** URL of the module whose default export takes a task and returns its result, now or later. */
  filename: string | URL;
  /**
   * How many tasks may run at once, each in a thread of its own. One thread does most of the time: the others start
   * when a task has waited for some seconds, as behind a message that takes long, and end when they are idle.
   */
  threads: number;
  /** Heap of one thread. Buffers lie outside of it, so the bytes of a message are bounded by their own limit. */
  heapMegabytes?: number;
}

export interface RunOptions {
  /** From the start of the task: neither waiting for a free thread counts, nor the start of a thread. */
  timeoutMs: number;
  /** Buffers that are handed over instead of copied. */
  transfer?: readonly Transferable[];
}

/** Runs tasks in threads that are killed, not asked, when a task passes its limits. */
export interface WorkerPool {
  /**
   * Runs a task and returns what the module's function returned. Rejects with `parse_timeout`, `parse_memory` or
   * `parse_failed` when the task had to be killed or crashed its thread, and with the error of ours that the
   * function threw. Other tasks go on.
   */
  run<Result>(task: unknown, options: RunOptions): Promise<Result>;
  /** Tasks that wait for a thread. */
  readonly waiting: number;
  /** Ends all threads; tasks that still run or wait are rejected. */
  close(): Promise<void>;
}

/** How long a message may take: the base, and more for each megabyte. */
export function parseTimeoutMs(bytes: number): number {
  return LIMITS.parseTimeoutMs + Math.ceil(bytes / (1024 * 1024)) * LIMITS.parseTimeoutPerMegabyteMs;
}

/** A pool whose first thread starts at once. Close it, or the process does not end. */
export function createPool(options: PoolOptions): WorkerPool {
  return new PiscinaPool(options);
}

/** The thread's file: TypeScript when the daemon runs from source, JavaScript from dist. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

class PiscinaPool implements WorkerPool {
  readonly #piscina: Piscina<unknown, WorkerAnswer>;
  readonly #queue: { start: () => void; reject: (error: Error) => void }[] = [];
  /** Threads that may run, free or not. */
  #open = 1;
  #free = 1;
  readonly #threads: number;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#threads = options.threads;
    this.#piscina = new Piscina({
      filename: WORKER.href,
      workerData: { module: String(options.filename) },
      minThreads: 1,
      maxThreads: options.threads,
      idleTimeout: IDLE_MS,
      // One task a thread: killing a thread must cost one task only.
      concurrentTasksPerWorker: 1,
      resourceLimits: {
        maxOldGenerationSizeMb: options.heapMegabytes ?? LIMITS.parseHeapMegabytes,
        // The default is twice that, for each thread, and nothing gets faster by it.
        maxYoungGenerationSizeMb: LIMITS.parseYoungMegabytes,
      },
      recordTiming: false,
    });
    // A thread that dies between two tasks is replaced; nobody waits for it, and an unheard event would throw.
    this.#piscina.on('error', () => {});
  }

  get waiting(): number {
    return this.#queue.length;
  }

  async run<Result>(task: unknown, options: RunOptions): Promise<Result> {
    await this.#turn();
    const timeout = new AbortController();
    // Set by the thread: on a very busy machine one may take longer to start than any message may take.
    const begun = new Int32Array(new SharedArrayBuffer(4));
    const hasBegun = (): boolean => Atomics.load(begun, 0) !== 0;
    const lastStart = performance.now() + THREAD_START_MS;
    let timer: NodeJS.Timeout | undefined;
    const watch = (): void => {
      timer = setTimeout(() => {
        if (hasBegun() || performance.now() > lastStart) timeout.abort();
        else watch();
      }, options.timeoutMs);
    };
    watch();
    try {
      const transferList = options.transfer === undefined ? [] : [...options.transfer];
      const answer = await this.#piscina.run({ task, begun }, { signal: timeout.signal, transferList });
      if (answer.ok) return answer.result as Result;
      throw new PenstockError(answer.code, answer.message, answer.fields);
    } catch (thrown) {
      if (timeout.signal.aborted && !hasBegun())
        throw fail('internal', 'A thread did not start.', {}, thrown);
      throw this.#translate(thrown, timeout.signal.aborted, options.timeoutMs);
    } finally {
      clearTimeout(timer);
      this.#release();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#queue.splice(0)) reject(closedError());
    await this.#piscina.destroy();
  }

  #turn(): Promise<void> {
    if (this.#closed) return Promise.reject(closedError());
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const impatience = setTimeout(() => this.#openAnother(), PATIENCE_MS);
      const start = (): void => {
        clearTimeout(impatience);
        resolve();
      };
      this.#queue.push({ start, reject });
    });
  }

  #openAnother(): void {
    if (this.#open >= this.#threads || this.#queue.length === 0) return;
    this.#open++;
    this.#release();
  }

  #release(): void {
    const next = this.#queue.shift();
    if (next !== undefined) next.start();
    // Nobody waits: what was opened for a jam is closed with it.
    else if (this.#open > 1 && this.#free > 0) this.#open--;
    else this.#free++;
  }

  #translate(thrown: unknown, timedOut: boolean, timeoutMs: number): PenstockError {
    if (thrown instanceof PenstockError) return thrown;
    if (timedOut)
      return fail('parse_timeout', `The task took more than ${timeoutMs} ms.`, { timeoutMs }, thrown);
    if (this.#closed) return closedError();
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
    if (code === 'ERR_WORKER_OUT_OF_MEMORY')
      return fail('parse_memory', 'The task ran out of memory.', {}, thrown);
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return fail('parse_failed', `The task crashed its thread: ${message}`, {}, thrown);
  }
}

function closedError(): PenstockError {
  return fail('internal', 'The pool is closed.');
}
