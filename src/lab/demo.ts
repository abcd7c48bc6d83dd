/**
 * The demo: a mail server in memory, the daemon, and about 200 messages on their way through it. Everything that
 * an operator or a client program would do goes through the public API.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProgressLine } from '../cli/progress.ts';
import { DemoClient, type RecordRow } from './demo-client.ts';
import {
  type DemoRecord,
  type DemoReport,
  demoRecord,
  isAsItShouldBe,
  isFinished,
  unmetExpectations,
} from './demo-report.ts';
import { renderArrival, renderSummary } from './demo-summary.ts';
import { LabImapServer } from './imap/server.ts';
import { DESK } from './samples/people.ts';
import { SAMPLE_RULES } from './samples/rules.ts';
import { inWaves, type Sample, SampleStream } from './samples/samples.ts';

/** What the demo needs of a daemon that runs. */
export interface DemoDaemon {
  url: string;
  adminClient: { clientId: string; clientSecret: string; file: string };
  logFile: string;
  audit(mailboxId: number): Promise<{ listed: number; accounted: number; unaccounted: unknown[] }>;
  stop(): Promise<void>;
}

export interface DemoParts {
  /** Starts a daemon on engines and data of its own. */
  startDaemon(): Promise<DemoDaemon>;
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

const USER = DESK.address;
const PASSWORD = 'demo';
const FOLDER = 'INBOX';
const LOOK_MS = 150;
/** Longer without any message getting done, and the demo gives up. */
const STANDSTILL_MS = 20_000;
const TRACES_AT_ONCE = 8;
/** Answers that find their ticket by the tag in their subject; they need the ids of tickets that are there. */
const TAGGED = 2;
const TAG = { startTag: '[ID:', endTag: ']' };
const PACE_MS = 3 * 60_000;

interface Delivered {
  sample: Sample;
  at: number;
}

/** Runs the demo. Returns whether all was as it should be, or null when it was ended before the summary. */
export async function runDemo(options: DemoOptions, parts: DemoParts): Promise<boolean | null> {
  const server = new LabImapServer();
  let daemon: DemoDaemon | null = null;
  try {
    const startedAt = performance.now();
    server.addUser(USER, { password: PASSWORD });
    const port = await server.start();
    parts.progress.line('Starting the database, the daemon and a mail server with an empty mailbox ...');
    daemon = await parts.startDaemon();
    options.signal.throwIfAborted();
    const session = new DemoSession(options, parts, server, daemon);
    await session.setUp(port);
    const start = performance.now() - startedAt;
    return await session.run(start / 1000, startedAt);
  } catch (error) {
    if (options.signal.aborted) return null;
    throw error;
  } finally {
    parts.progress.end();
    // The mail server last: the daemon takes leave of it.
    await daemon?.stop();
    await server.stop();
  }
}

class DemoSession {
  readonly #options: DemoOptions;
  readonly #parts: DemoParts;
  readonly #server: LabImapServer;
  readonly #daemon: DemoDaemon;
  readonly #client: DemoClient;
  readonly #stream: SampleStream;
  /** By UID. */
  readonly #delivered = new Map<number, Delivered>();
  readonly #records = new Map<number, DemoRecord>();
  #mailbox = 0;

  constructor(options: DemoOptions, parts: DemoParts, server: LabImapServer, daemon: DemoDaemon) {
    this.#options = options;
    this.#parts = parts;
    this.#server = server;
    this.#daemon = daemon;
    this.#client = new DemoClient(daemon.url, daemon.adminClient);
    const start = new Date(Date.now() - options.messages * PACE_MS);
    this.#stream = new SampleStream(options.seed, start);
  }

  /** Makes rules and mailbox, the way a client does. */
  async setUp(port: number): Promise<void> {
    await this.#client.logIn();
    for (const rule of SAMPLE_RULES) await this.#client.post('/api/EmailRule', rule);
    const mailbox = await this.#client.post('/api/Mailbox', {
      name: DESK.name,
      type: 1,
      enabled: true,
      server: '127.0.0.1',
      popport: port,
      username: USER,
      password: PASSWORD,
      usetls: false,
      imapleavemailininbox: true,
      penstock: { folders: [FOLDER], after: 'seen', poll_seconds: 5 },
    });
    this.#mailbox = mailbox.id;
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

    const audit = await this.#daemon.audit(this.#mailbox);
    const records = [...this.#records.values()].sort((a, b) => a.id - b.id);
    const report: DemoReport = {
      records,
      missing: this.#missing(),
      unmet: unmetExpectations(records),
      audit: { ...audit, unaccounted: audit.unaccounted.length },
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
        const uid = this.#deliver(sample);
        await this.#untilProcessed(new Set([uid]), () => undefined);
        const record = this.#records.get(uid);
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
    const uids = new Set(samples.map((sample) => this.#deliver(sample)));
    const { messages } = this.#options;
    const before = this.#records.size;
    const show = (done: number): void => this.#parts.progress.update(before + done, messages, 'Messages');
    show(0);
    await this.#untilProcessed(uids, show);
  }

  #deliver(sample: Sample): number {
    const { uid } = this.#server.deliver(USER, FOLDER, sample.bytes);
    this.#delivered.set(uid, { sample, at: Date.now() });
    return uid;
  }

  /** Looks until these messages are done, or until nothing has moved for too long. */
  async #untilProcessed(uids: ReadonlySet<number>, onProgress: (done: number) => void): Promise<void> {
    let done = 0;
    let movedAt = performance.now();
    while (done < uids.size && performance.now() - movedAt < STANDSTILL_MS) {
      await sleep(LOOK_MS, undefined, { signal: this.#options.signal });
      const rows = (await this.#client.records(this.#mailbox)).filter(
        (row) => isFinished(row.status) && uids.has(uidOf(row)),
      );
      if (rows.length > done) movedAt = performance.now();
      done = rows.length;
      onProgress(done);
      await this.#readTraces(rows);
    }
  }

  async #readTraces(rows: readonly RecordRow[]): Promise<void> {
    const fresh = rows.filter((row) => !this.#records.has(uidOf(row)));
    while (fresh.length > 0) {
      await Promise.all(fresh.splice(0, TRACES_AT_ONCE).map((row) => this.#readTrace(row)));
    }
  }

  async #readTrace(row: RecordRow): Promise<void> {
    const uid = uidOf(row);
    const delivered = this.#delivered.get(uid);
    if (!delivered) return;
    const { id, status, dateprocessed: processedAt } = row;
    const finished = { id, status, processedAt, trace: await this.#client.trace(id) };
    this.#records.set(uid, demoRecord(delivered.sample, delivered.at, finished));
  }

  /** Answers to tickets that are open, by people who have part in them. */
  #taggedReplies(): Sample[] {
    const open = [...this.#records.entries()].filter(
      ([, { kind, outcome, ticket }]) => kind === 'plain' && outcome === 'create' && ticket !== null,
    );
    return open.slice(0, TAGGED).flatMap(([uid, { ticket }]) => {
      const to = this.#delivered.get(uid);
      return to && ticket !== null ? [this.#stream.replyBySubjectTag(to.sample, { id: ticket, ...TAG })] : [];
    });
  }

  #missing(): string[] {
    return [...this.#delivered].flatMap(([uid, { sample }]) => (this.#records.has(uid) ? [] : [sample.name]));
  }
}

function uidOf({ mailid }: RecordRow): number {
  return Number(mailid);
}
