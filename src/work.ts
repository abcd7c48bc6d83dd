/**
 * The processing side, put together: queue, sweeper, rules, analysis threads, processor. The daemon runs it; a
 * command that must see its mail processed runs it for the moment.
 */

import { crashPoint } from './lab/crash-point.ts';
import { LIMITS } from './limits.ts';
import { createPool, type WorkerPool } from './message/pool.ts';
import type { Events } from './observe/events.ts';
import { Dispatcher, type DispatchTimes } from './outbound/dispatcher.ts';
import type { AnalysisAnswer, AnalysisTask } from './process/analysis.ts';
import type { AnalysisPool } from './process/analysis-runner.ts';
import { DestinationCache } from './process/destination-cache.ts';
import { packMessages } from './process/pack.ts';
import { PolicyCache } from './process/policy-cache.ts';
import { Processor } from './process/processor.ts';
import { RuleCache } from './process/rule-cache.ts';
import type { ThreadTask } from './process/thread.ts';
import { cutIntoJobs, JOB_NAMES } from './queue/job.ts';
import { type JobQueue, openQueue } from './queue/queue.ts';
import { Sweeper } from './queue/sweeper.ts';
import type { Runtime } from './runtime.ts';
import type { SourceKind } from './source/source.ts';

/** A job that was not seen for this long is taken for lost. */
const LOST_AFTER_SECONDS = 60;
const SWEEP_EVERY_MS = 5_000;
/** How long running jobs may take to end when the daemon stops. */
const DRAIN_MS = 3_000;

export interface WorkOptions {
  /** Take jobs; else only enqueue. */
  process: boolean;
  /** When lost jobs are made good. */
  sweep?: { everyMs: number; lostAfterSeconds: number };
  /** Times of sending; tests have shorter ones. */
  sending?: Partial<DispatchTimes>;
  /** URL of the module that the analysis threads run. */
  threadFile?: string;
}

export class Work {
  readonly queue: JobQueue;
  readonly pool: WorkerPool;
  readonly rules: RuleCache;
  readonly policies: PolicyCache;
  /** What sends mail; null in a process that takes no jobs. */
  readonly dispatcher: Dispatcher | null;
  readonly destinations: DestinationCache;
  readonly #events: Events;
  readonly #processor: Processor | null;
  readonly #sweeper: Sweeper;
  #drained: Promise<void> | null = null;

  private constructor(
    events: Events,
    queue: JobQueue,
    pool: WorkerPool,
    caches: { rules: RuleCache; policies: PolicyCache; destinations: DestinationCache },
    processor: Processor | null,
    sweeper: Sweeper,
    dispatcher: Dispatcher | null,
  ) {
    this.#events = events;
    this.queue = queue;
    this.pool = pool;
    this.rules = caches.rules;
    this.policies = caches.policies;
    this.destinations = caches.destinations;
    this.#processor = processor;
    this.#sweeper = sweeper;
    this.dispatcher = dispatcher;
  }

  /** Opens queue and threads. */
  static async start(runtime: Runtime, events: Events, options: WorkOptions): Promise<Work> {
    const { config, db } = runtime;
    const onError = (error: Error): void =>
      events.emit('engine.error', { engine: 'queue', message: error.message });
    const queue = await openQueue(runtime.queueTarget, onError);
    const pool = createPool({ filename: options.threadFile ?? threadFile(), threads: config.worker.threads });
    const rules = new RuleCache(db, events);
    const policies = new PolicyCache(runtime);
    const destinations = new DestinationCache(db);
    const analysis: AnalysisPool = {
      run: (task: AnalysisTask, timeoutMs: number) => {
        const { messages, transfer } = packMessages(task.messages);
        const packed: ThreadTask = { kind: 'analyse', ...task, messages };
        return pool.run<AnalysisAnswer>(packed, { timeoutMs, transfer });
      },
    };
    const processor = options.process
      ? new Processor({
          db,
          raw: runtime.raw,
          events,
          rules,
          pool: analysis,
          timeouts: {
            messageMs: config.worker.parseTimeoutMs,
            perMegabyteMs: LIMITS.parseTimeoutPerMegabyteMs,
          },
          instanceId: runtime.instanceId,
          policyOf: (mailboxId) => policies.of(mailboxId),
          destinations: () => destinations.current(),
        })
      : null;
    const sweeper = new Sweeper(db, queue, events, {
      ...(options.sweep ?? { everyMs: SWEEP_EVERY_MS, lostAfterSeconds: LOST_AFTER_SECONDS }),
      jobMessages: LIMITS.jobMessages,
      kindOf: (mailboxId) => policies.kindOf(mailboxId),
    });
    // More jobs than threads: while some commit, the others parse.
    const jobs = config.worker.threads * 2 + 1;
    if (processor !== null) queue.work(jobs, (job) => processor.handle(job));
    if (processor !== null) sweeper.start();
    const dispatcher = options.process
      ? new Dispatcher({
          db,
          events,
          instanceId: runtime.instanceId,
          transportOf: (mailbox) => runtime.sources.transport(mailbox),
          times: options.sending,
        })
      : null;
    dispatcher?.start();
    return new Work(events, queue, pool, { rules, policies, destinations }, processor, sweeper, dispatcher);
  }

  /** Enqueues committed records. Never fails: what is not enqueued is swept up later. */
  async enqueue(kind: SourceKind, mailboxId: number, emails: readonly { id: number }[]): Promise<void> {
    if (emails.length === 0) return;
    const jobs = cutIntoJobs(
      emails.map(({ id }) => ({ id, mailboxId })),
      LIMITS.jobMessages,
    );
    try {
      await this.queue.add(JOB_NAMES[kind], jobs, '0');
      this.#events.emit('job.enqueued', { mailbox: mailboxId, messages: emails.length });
    } catch (error) {
      this.#events.emit('engine.error', { engine: 'queue', message: (error as Error).message });
    }
    crashPoint('after-enqueue');
  }

  /** Takes no more jobs: running ones may finish, what does not is given back. Enqueuing still works. */
  drain(): Promise<void> {
    this.#drained ??= (async () => {
      // With a queue that is away this takes until it is back: what counts is that no job runs any more.
      this.queue.stopWork().catch(() => undefined);
      await Promise.all([
        this.#sweeper.stop(),
        this.#processor?.stop(DRAIN_MS),
        this.dispatcher?.stop(DRAIN_MS),
      ]);
    })();
    return this.#drained;
  }

  /** Ends threads and queue, within seconds. For after {@link drain}. */
  async close(): Promise<void> {
    await this.pool.close();
    await this.queue.close();
  }

  /** Drains, then closes. */
  async stop(): Promise<void> {
    await this.drain();
    await this.close();
  }
}

/** The thread's file: TypeScript in a clone, JavaScript in a build. */
function threadFile(): string {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`./process/thread.${ending}`, import.meta.url).href;
}
