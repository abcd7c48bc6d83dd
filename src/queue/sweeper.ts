/**
 * Makes good what the queue loses: rows that should have a job are enqueued again. The rows are the truth, so
 * an emptied queue changes nothing in the end (design invariant 3).
 */
import type { Events } from '../observe/events.ts';
import type { SourceKind } from '../source/source.ts';
import type { Database } from '../store/database.ts';
import { sweepEmails } from '../store/emails.ts';
import { cutIntoJobs, JOB_NAMES, type JobData } from './job.ts';
import type { JobQueue } from './queue.ts';

const BATCH = 5_000;

export interface SweeperOptions {
  everyMs: number;
  /** A record whose job is older than this and still waits gets another one. */
  lostAfterSeconds: number;
  jobMessages: number;
  kindOf(mailboxId: number): SourceKind;
}

export class Sweeper {
  readonly #db: Database;
  readonly #queue: JobQueue;
  readonly #events: Events;
  readonly #options: SweeperOptions;
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> | null = null;

  constructor(db: Database, queue: JobQueue, events: Events, options: SweeperOptions) {
    this.#db = db;
    this.#queue = queue;
    this.#events = events;
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.wake(), this.#options.everyMs);
    this.wake();
  }

  /** Sweeps now, unless a sweep is under way. */
  wake(): void {
    this.#turn ??= this.#sweep()
      .catch((error: Error) => this.#events.emit('engine.error', { engine: 'queue', message: error.message }))
      .finally(() => {
        this.#turn = null;
      });
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#turn;
  }

  async #sweep(): Promise<void> {
    // While the queue still has plenty to do, old rows are waiting their turn, not lost.
    if ((await this.#queue.depth()) > BATCH / this.#options.jobMessages) return;
    const rows = await sweepEmails(this.#db, this.#options.lostAfterSeconds, BATCH);
    if (rows.length === 0) return;
    // A message that was tried before is taken alone: it may be the one with which a process dies.
    const fresh = rows.filter((row) => row.attempts === 0);
    const tried = rows.filter((row) => row.attempts > 0);
    const { jobMessages } = this.#options;
    const alone = cutIntoJobs(tried, jobMessages).map((job): JobData => ({ ...job, alone: true }));
    const jobs = [...cutIntoJobs(fresh, jobMessages), ...alone];
    const round = `s${Date.now().toString(36)}`;
    for (const job of jobs) await this.#queue.add(JOB_NAMES[this.#options.kindOf(job.mailbox)], [job], round);
    this.#events.emit('job.swept', { messages: rows.length });
  }
}
