/**
 * The demo: a mail server of each kind in memory, the daemon, and about 200 messages on their way through it. Everything
 * that an operator or a client program would do goes through the public API.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProgressLine } from '../cli/progress.ts';
import { DemoClient, type RecordRow } from './demo-client.ts';
import {
  type DemoMailboxRow,
  type DemoRecord,
  type DemoReport,
  demoRecord,
  isAsItShouldBe,
  isFinished,
  unmetExpectations,
} from './demo-report.ts';
import { type DemoMailbox, DemoServers } from './demo-servers.ts';
import { renderArrival, renderSummary } from './demo-summary.ts';
import { DESK } from './samples/people.ts';
import { SAMPLE_RULES } from './samples/rules.ts';
import { inWaves, type Sample, SampleStream } from './samples/samples.ts';

/** What the demo needs of a daemon that runs. */
export interface DemoDaemon {
  url: string;
  adminClient: { clientId: string; clientSecret: string; file: string };
  logFile: string;
  /** Lists every mailbox. One that could not be listed is left out. */
  audit(): Promise<{
    mailboxes: readonly {
      mailbox: number;
      listed: number;
      accounted: number;
      unaccounted: readonly unknown[];
    }[];
  }>;
  stop(): Promise<void>;
}

export interface DemoParts {
  /** Starts a daemon on engines and data of its own. Providers reach it at `publicUrl`. */
  startDaemon(publicUrl: string): Promise<DemoDaemon>;
  /** Takes the summary and the lines after it. */
  print(text: string): void;
  progress: ProgressLine;
}

export interface DemoOptions {
  /** End after the summary. */
  once: boolean;
  /** Print the report as JSON instead of a page. */
  json: boolean;
  messages: number;
  seed: number;
  /** Between two messages after the first ones. */
  everyMs: number;
  /** Ends the demo, at any point, in an orderly way. */
  signal: AbortSignal;
}

const LOOK_MS = 250;
/** Longer without any message getting done, and the demo gives up. */
const STANDSTILL_MS = 20_000;
const TRACES_AT_ONCE = 8;
/** Answers that find their ticket by the tag in their subject; they need the ids of tickets that are there. */
const TAGGED = 2;
const TAG = { startTag: '[ID:', endTag: ']' };
const PACE_MS = 3 * 60_000;

/** A mailbox that was added. */
interface Added extends DemoMailbox {
  id: number;
  delivered: number;
}

interface Delivered {
  sample: Sample;
  mailbox: Added;
  at: number;
}

/** Runs the demo. Returns whether all was as it should be, or null when it was ended before the summary. */
export async function runDemo(options: DemoOptions, parts: DemoParts): Promise<boolean | null> {
  const servers = new DemoServers(DESK.address);
  let daemon: DemoDaemon | null = null;
  try {
    const startedAt = performance.now();
    await servers.start();
    parts.progress.line('Starting the database, the daemon and four mail servers with empty mailboxes ...');
    daemon = await parts.startDaemon(servers.publicUrl);
    servers.open(daemon.url);
    options.signal.throwIfAborted();
    const session = new DemoSession(options, parts, servers, daemon);
    await session.setUp();
    const start = performance.now() - startedAt;
    return await session.run(start / 1000, startedAt);
  } catch (error) {
    if (options.signal.aborted) return null;
    throw error;
  } finally {
    parts.progress.end();
    // The mail servers last: the daemon takes leave of them.
    await daemon?.stop();
    await servers.stop();
  }
}

class DemoSession {
  readonly #options: DemoOptions;
  readonly #parts: DemoParts;
  readonly #servers: DemoServers;
  readonly #daemon: DemoDaemon;
  readonly #client: DemoClient;
  readonly #stream: SampleStream;
  /** By {@link keyOf}, both. */
  readonly #delivered = new Map<string, Delivered>();
  readonly #records = new Map<string, DemoRecord>();
  readonly #mailboxes: Added[] = [];

  constructor(options: DemoOptions, parts: DemoParts, servers: DemoServers, daemon: DemoDaemon) {
    this.#options = options;
    this.#parts = parts;
    this.#servers = servers;
    this.#daemon = daemon;
    this.#client = new DemoClient(daemon.url, daemon.adminClient);
    const start = new Date(Date.now() - options.messages * PACE_MS);
    this.#stream = new SampleStream(options.seed, start);
  }

  /** Makes rules and mailboxes, the way a client does. */
  async setUp(): Promise<void> {
    await this.#client.logIn();
    for (const rule of SAMPLE_RULES) await this.#client.post('/api/EmailRule', rule);
    for (const mailbox of this.#servers.mailboxes) {
      const item = { name: `${DESK.name} (${mailbox.kind})`, enabled: true, ...mailbox.item() };
      const { id } = await this.#client.post('/api/Mailbox', item);
      this.#mailboxes.push({ ...mailbox, id, delivered: 0 });
    }
  }

  /** Everything up to the summary, and what goes on after it. `startedAt` is by the monotonic clock. */
  async run(startSeconds: number, startedAt: number): Promise<boolean> {
    const { messages, once, json } = this.#options;
    const intakeFrom = performance.now();
    const samples = this.#stream.take(Math.max(1, messages - TAGGED));
    for (const wave of inWaves(samples)) await this.#process(wave);
    await this.#process(this.#taggedReplies());
    const intake = (performance.now() - intakeFrom) / 1000;
    this.#parts.progress.end();

    const records = [...this.#records.values()].sort((a, b) => a.id - b.id);
    const report: DemoReport = {
      records,
      mailboxes: await this.#audit(),
      missing: this.#missing(),
      unmet: unmetExpectations(records),
      seconds: { start: startSeconds, intake, total: (performance.now() - startedAt) / 1000 },
      api: {
        url: this.#daemon.url,
        docs: `${this.#daemon.url}/docs`,
        clientId: this.#daemon.adminClient.clientId,
        secretFile: this.#daemon.adminClient.file,
      },
      logFile: this.#daemon.logFile,
      once,
    };
    this.#parts.print(json ? JSON.stringify(report, null, 2) : renderSummary(report));
    if (!once) await this.#goOn();
    return isAsItShouldBe(report);
  }

  /** One message after the other until the signal comes. */
  async #goOn(): Promise<void> {
    const { signal, everyMs } = this.#options;
    this.#parts.print('New mail keeps coming; Ctrl-C ends the demo.');
    try {
      while (!signal.aborted) {
        await sleep(everyMs, undefined, { signal });
        const sample = this.#stream.next();
        const key = this.#deliver(sample);
        await this.#untilProcessed(new Set([key]), () => undefined);
        const record = this.#records.get(key);
        this.#parts.print(
          record
            ? renderArrival(record, new Date())
            : `${sample.name} was not processed in time; see the log`,
        );
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #process(samples: readonly Sample[]): Promise<void> {
    const keys = new Set(samples.map((sample) => this.#deliver(sample)));
    const { messages } = this.#options;
    const before = this.#records.size;
    const show = (done: number): void => this.#parts.progress.update(before + done, messages, 'Messages');
    show(0);
    await this.#untilProcessed(keys, show);
  }

  /** What the audit finds, mailbox by mailbox. */
  async #audit(): Promise<DemoMailboxRow[]> {
    const { mailboxes } = await this.#daemon.audit();
    return this.#mailboxes.map(({ id, kind, delivered, told }) => {
      const found = mailboxes.find(({ mailbox }) => mailbox === id);
      return {
        name: kind,
        told: told(),
        delivered,
        listed: found?.listed ?? 0,
        accounted: found?.accounted ?? 0,
        unaccounted: found?.unaccounted.length ?? 0,
      };
    });
  }

  #deliver(sample: Sample): string {
    const mailbox = this.#mailboxFor(sample);
    const key = keyOf(mailbox.id, mailbox.deliver(sample.bytes));
    mailbox.delivered += 1;
    this.#delivered.set(key, { sample, mailbox, at: Date.now() });
    return key;
  }

  /** Mailboxes get mail in turn, but what goes on with something goes where that went, as it would in life. */
  #mailboxFor({ after }: Sample): Added {
    const earlier = [...this.#delivered.values()].find(({ sample }) => sample.name === after);
    if (earlier) return earlier.mailbox;
    return this.#mailboxes.reduce((least, one) => (one.delivered < least.delivered ? one : least));
  }

  /** Looks until these messages are done, or until nothing has moved for too long. */
  async #untilProcessed(keys: ReadonlySet<string>, onProgress: (done: number) => void): Promise<void> {
    let done = 0;
    let movedAt = performance.now();
    while (done < keys.size && performance.now() - movedAt < STANDSTILL_MS) {
      await sleep(LOOK_MS, undefined, { signal: this.#options.signal });
      const rows = await Promise.all(this.#mailboxes.map(({ id }) => this.#finished(id, keys)));
      const before = done;
      done = rows.flat().length;
      if (done > before) movedAt = performance.now();
      onProgress(done);
      await this.#readTraces(new Map(rows.flat()));
    }
  }

  /** Records of a mailbox that are among these messages and done, by key. */
  async #finished(mailbox: number, keys: ReadonlySet<string>): Promise<[string, RecordRow][]> {
    const rows = await this.#client.records(mailbox);
    return rows
      .filter(({ status }) => isFinished(status))
      .map((row): [string, RecordRow] => [keyOf(mailbox, row.mailid), row])
      .filter(([key]) => keys.has(key));
  }

  async #readTraces(rows: ReadonlyMap<string, RecordRow>): Promise<void> {
    const fresh = [...rows].filter(([key]) => !this.#records.has(key));
    while (fresh.length > 0) {
      await Promise.all(fresh.splice(0, TRACES_AT_ONCE).map(([key, row]) => this.#readTrace(key, row)));
    }
  }

  async #readTrace(key: string, row: RecordRow): Promise<void> {
    const delivered = this.#delivered.get(key);
    if (!delivered) return;
    const { sample, mailbox, at } = delivered;
    const { id, status, dateprocessed: processedAt } = row;
    const finished = { id, status, processedAt, trace: await this.#client.trace(id) };
    this.#records.set(key, demoRecord(sample, mailbox.kind, at, finished));
  }

  /** Answers to tickets that are open, by people who have part in them. */
  #taggedReplies(): Sample[] {
    const open = [...this.#records.entries()].filter(
      ([, { kind, outcome, ticket }]) => kind === 'plain' && outcome === 'create' && ticket !== null,
    );
    return open.slice(0, TAGGED).flatMap(([key, { ticket }]) => {
      const to = this.#delivered.get(key);
      return to && ticket !== null ? [this.#stream.replyBySubjectTag(to.sample, { id: ticket, ...TAG })] : [];
    });
  }

  #missing(): string[] {
    return [...this.#delivered].flatMap(([key, { sample }]) => (this.#records.has(key) ? [] : [sample.name]));
  }
}

/** Ids of messages are good for one mailbox. */
function keyOf(mailbox: number, mailId: string): string {
  return `${mailbox}:${mailId}`;
}
