/**
 * BullMQ on Redis or on PostgreSQL: the only place that makes queues, workers and Redis connections. Both
 * backends take the same jobs; a test suite runs on both.
 */
import { createPostgresBackend, Queue, Worker, withBackend } from 'bullmq';
import { Redis } from 'ioredis';
import type pg from 'pg';
import { asPenstockError, fail } from '../errors.ts';
import { type JobData, type JobName, jobId, QUEUE_NAME } from './job.ts';

/** Where the queue lives. */
export type QueueTarget = { redisUrl: string } | { postgres: pg.ClientConfig };

export interface JobQueue {
  readonly backend: 'redis' | 'postgres';
  /** Enqueues. Fails with `queue_unavailable` at once when the backend is away: rows stay, the sweeper repeats. */
  add(name: JobName, jobs: JobData[], round: string): Promise<void>;
  /** Jobs not yet started. */
  depth(): Promise<number>;
  /** Starts to work. Runs up to `concurrency` handlers at once. */
  work(concurrency: number, handle: (job: JobData) => Promise<void>): void;
  /** Stops taking jobs and waits for the running ones. */
  stopWork(): Promise<void>;
  close(): Promise<void>;
}

interface Listening {
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** How long a worker may be silent before its job is given to another. The claim in the row decides anyway. */
const LOCK_MS = 60_000;
/** Waiting for a backend that is away must not hold up intake. */
const ADD_DEADLINE_MS = 5_000;

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
  try {
    await Promise.all([producer.connect(), consumer.connect()]);
  } catch (error) {
    producer.disconnect();
    consumer.disconnect();
    throw fail('queue_unavailable', `Redis does not answer: ${(error as Error).message}`, {}, error);
  }
  const queue = new Queue<JobData>(QUEUE_NAME, { connection: producer, prefix: 'penstock' });
  const makeWorker = (concurrency: number, handle: (job: JobData) => Promise<void>): Worker =>
    new Worker(QUEUE_NAME, (job) => handle(job.data as JobData), {
      connection: consumer,
      prefix: 'penstock',
      concurrency,
      lockDuration: LOCK_MS,
    });
  return makeJobQueue('redis', queue, makeWorker, onError, async () => {
    producer.disconnect();
    consumer.disconnect();
  });
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
  });
  const queue = new PgQueue<JobData>(QUEUE_NAME, { connection: connection(2) as never });
  watch(queue, onError);
  await queue.waitUntilReady();
  const makeWorker = (concurrency: number, handle: (job: JobData) => Promise<void>): Worker =>
    new PgWorker(QUEUE_NAME, (job) => handle(job.data as JobData), {
      connection: connection(4) as never,
      concurrency,
      lockDuration: LOCK_MS,
    }) as unknown as Worker;
  return makeJobQueue('postgres', queue as unknown as Queue, makeWorker, onError, async () => undefined);
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
  disconnect: () => Promise<void>,
): JobQueue {
  let worker: Worker | null = null;
  watch(queue, onError);
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
      try {
        await withDeadline(adding, ADD_DEADLINE_MS);
      } catch (error) {
        throw asPenstockError(error, 'queue_unavailable');
      }
    },
    async depth() {
      const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized');
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    work(concurrency, handle) {
      worker = makeWorker(concurrency, handle);
      watch(worker, onError);
    },
    stopWork,
    async close() {
      await stopWork();
      await queue.close().catch(() => undefined);
      await disconnect();
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

async function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(fail('queue_unavailable', `The queue did not answer within ${ms} ms.`)),
      ms,
    );
  });
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => undefined);
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
