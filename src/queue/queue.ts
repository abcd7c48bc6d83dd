/**
 * BullMQ on Redis or on PostgreSQL: the only place that makes queues, workers and Redis connections. Both
 * backends take the same jobs; a test suite runs on both.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createPostgresBackend, Queue, Worker, withBackend } from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';
import { asPenstockError, fail } from '../errors.ts';
import { type JobData, type JobName, jobId, QUEUE_NAME } from './job.ts';

/** Where the queue lives. */
export type QueueTarget = { redisUrl: string } | { postgres: pg.ClientConfig };

export interface JobQueue {
  readonly backend: 'redis' | 'postgres';
  /** Enqueues. Fails with `queue_unavailable` at once when the backend is away: rows stay, the sweeper repeats. */
  add(name: JobName, jobs: JobData[], round: string): Promise<void>;
  /** Jobs not yet ended. Fails with `queue_unavailable` when the backend is away. */
  depth(): Promise<number>;
  /** Starts to work. Runs up to `concurrency` handlers at once. */
  work(concurrency: number, handle: (job: JobData) => Promise<void>): void;
  /** Stops taking jobs and waits for the running ones; with a backend that is away, for it to come back. */
  stopWork(): Promise<void>;
  /** Ends within seconds, whether the backend answers or not. */
  close(): Promise<void>;
}

interface Listening {
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** How long a worker may be silent before its job is given to another. The claim in the row decides anyway. */
const LOCK_MS = 60_000;
/** Waiting for a backend that is away must not hold up intake. */
const ANSWER_DEADLINE_MS = 5_000;
/** A worker looks for jobs again so long after its backend failed. */
const RETRY_MS = 1_000;
/** For a farewell to a backend that may be away. */
const CLOSE_DEADLINE_MS = 1_000;

export async function openQueue(target: QueueTarget, onError: (error: Error) => void): Promise<JobQueue> {
  return 'redisUrl' in target
    ? await openOnRedis(target.redisUrl, onError)
    : await openOnPostgres(target.postgres, onError);
}

async function openOnRedis(url: string, onError: (error: Error) => void): Promise<JobQueue> {
  // The producer fails at once when Redis is away; the worker's own connection waits for it.
  const producer = new Redis(url, {
    maxRetriesPerRequest: null,
    enableOfflineQueue: false,
    lazyConnect: true,
    retryStrategy,
  });
  const consumer = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true, retryStrategy });
  watch(producer, onError);
  watch(consumer, onError);
  const connections = [producer, consumer];
  // The worker waits for jobs on a copy, which it would keep open for as long as Redis is away.
  const copyOf = consumer.duplicate.bind(consumer);
  consumer.duplicate = (options) => {
    const copy = copyOf(options);
    connections.push(copy);
    return copy;
  };
  const disconnect = (): void => {
    for (const connection of connections) connection.disconnect();
  };
  try {
    await Promise.all([producer.connect(), consumer.connect()]);
  } catch (error) {
    disconnect();
    throw fail('queue_unavailable', `Redis does not answer: ${(error as Error).message}`, {}, error);
  }
  const queue = new Queue<JobData>(QUEUE_NAME, { connection: producer, prefix: 'penstock' });
  const makeWorker = (concurrency: number, handle: (job: JobData) => Promise<void>): Worker =>
    new Worker(QUEUE_NAME, (job) => handle(job.data as JobData), {
      connection: consumer,
      prefix: 'penstock',
      concurrency,
      lockDuration: LOCK_MS,
      runRetryDelay: RETRY_MS,
    });
  return makeJobQueue('redis', queue, makeWorker, onError, disconnect);
}

async function openOnPostgres(settings: pg.ClientConfig, onError: (error: Error) => void): Promise<JobQueue> {
  const { Queue: PgQueue, Worker: PgWorker } = withBackend(createPostgresBackend);
  // Two pools of its own: the schema goes with the pool, and a busy worker must not starve the producer.
  const base = withOptionsApart(settings);
  const connection = (max: number) => ({
    ...base,
    // Jobs are hints: one that a power cut takes away is derived again from its rows.
    options: `${base.options ?? ''} -c synchronous_commit=off`.trim(),
    max,
    schema: 'bullmq',
    migrate: true,
    application_name: 'penstock-queue',
    Client: QuietClient,
  });
  const queue = new PgQueue<JobData>(QUEUE_NAME, { connection: connection(2) as never });
  // Without a listener an error would end the process; the job queue tells of them from its making on.
  watch(queue, () => undefined);
  await queue.waitUntilReady();
  const makeWorker = (concurrency: number, handle: (job: JobData) => Promise<void>): Worker =>
    new PgWorker(QUEUE_NAME, (job) => handle(job.data as JobData), {
      connection: connection(4) as never,
      concurrency,
      lockDuration: LOCK_MS,
      runRetryDelay: RETRY_MS,
    }) as unknown as Worker;
  return makeJobQueue('postgres', queue as unknown as Queue, makeWorker, onError, () => undefined);
}

/**
 * The library's pool listens to a connection only while it is idle. One that breaks between two statements would end
 * the process; the next statement says what happened.
 */
class QuietClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

/**
 * The queue finds its tables by a search path that it puts into `options`. Whatever stands in a URL wins over that,
 * so options of the URL are taken out and given beside it, where the queue adds its own to them.
 */
function withOptionsApart(settings: pg.ClientConfig): pg.ClientConfig {
  const { connectionString } = settings;
  if (connectionString === undefined || !URL.canParse(connectionString)) return settings;
  const url = new URL(connectionString);
  const options = url.searchParams.get('options');
  if (options === null) return settings;
  url.searchParams.delete('options');
  return { ...settings, connectionString: url.href, options };
}

function makeJobQueue(
  backend: 'redis' | 'postgres',
  queue: Queue,
  makeWorker: (concurrency: number, handle: (job: JobData) => Promise<void>) => Worker,
  onError: (error: Error) => void,
  disconnect: () => void,
): JobQueue {
  let worker: Worker | null = null;
  let closing = false;
  // While it closes, connections that the server ends first are none.
  const onOpenError = (error: Error): void => {
    if (!closing) onError(error);
  };
  watch(queue, onOpenError);
  const stopWork = async (): Promise<void> => {
    await worker?.close();
    worker = null;
  };
  return {
    backend,
    async add(name, jobs, round) {
      const adding = queue.addBulk(
        jobs.map((data) => ({
          name,
          data,
          opts: { jobId: jobId(data, round), removeOnComplete: true, removeOnFail: true },
        })),
      );
      await answer(adding, ANSWER_DEADLINE_MS);
    },
    async depth() {
      const asking = queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized');
      const counts = await answer(asking, ANSWER_DEADLINE_MS);
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    work(concurrency, handle) {
      worker = makeWorker(concurrency, handle);
      watch(worker, onOpenError);
    },
    stopWork,
    async close() {
      closing = true;
      const closed = stopWork().then(() => queue.close());
      await answer(closed, CLOSE_DEADLINE_MS).catch(() => undefined);
      // Whatever still waits for an answer ends with its connection.
      disconnect();
    },
  };
}

/** Errors of a connection are events; without a listener they would end the process. */
function watch(emitter: Listening, onError: (error: Error) => void): void {
  emitter.on('error', onError);
}

function retryStrategy(attempt: number): number {
  return Math.min(200 * 2 ** Math.min(attempt, 6), 5_000);
}

/** The backend's answer. Fails with `queue_unavailable` when it does not come in time. */
async function answer<T>(promise: Promise<T>, ms: number): Promise<T> {
  const deadline = new AbortController();
  const expired = sleep(ms, undefined, { signal: deadline.signal }).then(() => {
    throw fail('queue_unavailable', `The queue did not answer within ${ms} ms.`);
  });
  try {
    return await Promise.race([promise, expired]);
  } catch (error) {
    throw asPenstockError(error, 'queue_unavailable');
  } finally {
    promise.catch(() => undefined);
    expired.catch(() => undefined);
    deadline.abort();
  }
}

/** What is wrong with a Redis server for keeping jobs, in words; empty when nothing is. */
export async function checkRedis(url: string): Promise<string[]> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1, lazyConnect: true });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    const policy = ((await redis.config('GET', 'maxmemory-policy')) as string[])[1];
    const appendOnly = ((await redis.config('GET', 'appendonly')) as string[])[1];
    const warnings: string[] = [];
    if (policy !== 'noeviction')
      warnings.push(
        `maxmemory-policy is ${policy}; set noeviction, or jobs are dropped and only come back by the sweeper.`,
      );
    if (appendOnly !== 'yes')
      warnings.push('appendonly is off; after a restart jobs come back only by the sweeper.');
    return warnings;
  } catch (error) {
    return [`Redis does not answer CONFIG: ${(error as Error).message}`];
  } finally {
    redis.disconnect();
  }
}
