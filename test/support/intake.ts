/**
 * Intake without the rest of the pipe: a database, a lab server and one mailbox on it, polled pass by pass when the
 * test says so. Nothing is processed.
 */
import { onTestFinished } from 'vitest';
import type { HeldMailbox, IntakeContext } from '../../src/intake/context.ts';
import type { PassOptions } from '../../src/intake/folder-pass.ts';
import { FolderSync } from '../../src/intake/folder-sync.ts';
import { type LabImapOptions, LabImapServer } from '../../src/lab/imap/server.ts';
import type { MailStore, StoredMessage } from '../../src/lab/mail-store.ts';
import { type LabPop3Options, LabPop3Server } from '../../src/lab/pop3/server.ts';
import { type EventData, type EventName, Events } from '../../src/observe/events.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { imapSource } from '../../src/source/imap/imap-source.ts';
import type { ImapOptions } from '../../src/source/imap/options.ts';
import type { Pop3Options } from '../../src/source/pop3/options.ts';
import { pop3Source } from '../../src/source/pop3/pop3-source.ts';
import type { ServerSettings, Session, Source, SourceKind } from '../../src/source/source.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { acquireLease } from '../../src/store/leases.ts';
import { defaultMailboxSettings, type MailboxSettings } from '../../src/store/mailbox-settings.ts';
import { createMailbox, findMailbox, type Mailbox, updateMailbox } from '../../src/store/mailboxes.ts';
import { tempFolder } from './folder.ts';
import { imapSettings } from './imap-settings.ts';
import { simpleMessage } from './messages.ts';
import { createTestDatabase } from './postgres.ts';

/** A ledger row, with what a test asks about. */
export interface Row {
  id: number;
  epoch: string;
  key: string;
  state: string;
  reason: string | null;
  disposition: string;
  email: number | null;
  attempts: number;
}

export interface PassSettings extends Partial<PassOptions> {
  /** Folders to read; those of the mailbox when left out. */
  folders?: string[];
  /** Stands between the pass and its session, to break it or to change the server at a certain step. */
  wrap?(session: Session): Session;
  imap?: Partial<ImapOptions>;
}

/** What the lab servers have in common. */
export interface LabServer {
  readonly store: MailStore;
  readonly faults: { clear(): void };
  start(): Promise<number>;
  stop(): Promise<void>;
}

export interface Intake<Server extends LabServer = LabImapServer> {
  server: Server;
  context: IntakeContext;
  db: Database;
  raw: RawStore;
  databaseUrl: string;
  dataDirectory: string;
  /** Everything that was told, in order. */
  told: { name: EventName; data: EventData[EventName] }[];
  toldOf<N extends EventName>(name: N): EventData[N][];
  held: HeldMailbox;
  source(options?: Partial<ImapOptions & Pop3Options>): Source;
  /** Connects, reads every folder once, disconnects. Returns how many messages were added. */
  pass(settings?: PassSettings): Promise<number>;
  change(settings: Partial<MailboxSettings>): Promise<void>;
  ledger(): Promise<Row[]>;
  /** Subjects of all records, sorted; a record that is there twice is twice in it. */
  subjects(): Promise<string[]>;
  /** Delivers plain messages with these subjects. */
  deliver(subjects: Iterable<string>, folder?: string): void;
  /** Removes messages from the server, as another client would. */
  remove(subjects: Iterable<string>, folder?: string): void;
  /** Subjects on the server, in order. */
  onServer(folder?: string): string[];
}

export const USER = 'ann';

/** With a mailbox on a lab IMAP server. Everything ends with the test. */
export async function startIntake(
  settings: Partial<MailboxSettings> = {},
  labOptions: LabImapOptions = {},
): Promise<Intake> {
  return await startOn(new LabImapServer(labOptions), 'imap', settings, imapSource);
}

/** With a mailbox on a lab POP3 server. Everything ends with the test. */
export async function startPop3Intake(
  settings: Partial<MailboxSettings> = {},
  labOptions: LabPop3Options = {},
): Promise<Intake<LabPop3Server>> {
  return await startOn(new LabPop3Server(labOptions), 'pop3', settings, pop3Source);
}

async function startOn<Server extends LabServer>(
  server: Server,
  kind: SourceKind,
  settings: Partial<MailboxSettings>,
  makeSource: (server: ServerSettings, options: Partial<ImapOptions & Pop3Options>) => Source,
): Promise<Intake<Server>> {
  const database = await createTestDatabase();
  const connection = openDatabase(database.url, { connections: 5, onError: () => undefined });
  const { db } = connection;
  const port = await server.start();
  server.store.addUser(USER, { password: 'secret' });
  const dataDirectory = await tempFolder('intake');
  const raw = new RawStore(connection.db, dataDirectory);
  await raw.start();
  const mailbox = await makeMailbox(db, kind, port, settings);
  const leaseToken = (await acquireLease(db, mailbox.id, 'test', 3600))!;
  const held = { mailbox, leaseToken };
  const told: Intake['told'] = [];
  const events = new Events();
  events.listen((name, data) => void told.push({ name, data }));
  const context: IntakeContext = {
    db,
    raw,
    events,
    enqueue: async () => undefined,
    pressure: async () => null,
  };
  onTestFinished(async () => {
    server.faults.clear();
    await server.stop();
    await connection.close();
    await database.drop();
  });
  const source: Intake['source'] = (options) =>
    makeSource(imapSettings({ port, user: USER, maxMessageBytes: held.mailbox.settings.maxMessageBytes }), {
      closeMs: 200,
      ...options,
    });
  const messages = (folder: string): readonly StoredMessage[] => server.store.folder(USER, folder).messages;
  return {
    server,
    context,
    db,
    raw,
    databaseUrl: database.url,
    dataDirectory,
    told,
    toldOf: <N extends EventName>(name: N) =>
      told.filter((one) => one.name === name).map(({ data }) => data as EventData[N]),
    held,
    source,
    pass: ({ folders, wrap, imap, ...options } = {}) =>
      runPass(source(imap), context, held, folders, options, wrap),
    async change(change) {
      const next = { ...held.mailbox, settings: { ...held.mailbox.settings, ...change } };
      held.mailbox = await db.transaction().execute((tx) => updateMailbox(tx, next));
    },
    ledger: () => ledgerOf(db, mailbox.id),
    subjects: () => subjectsOf(db, raw),
    deliver(subjects, folder = 'INBOX') {
      for (const subject of subjects) server.store.deliver(USER, folder, simpleMessage(subject));
    },
    remove(subjects, folder = 'INBOX') {
      const names = new Set(subjects);
      const found = messages(folder).filter((message) => names.has(subjectOf(message.content.bytes())));
      server.store.folder(USER, folder).remove(new Set(found));
    },
    onServer: (folder = 'INBOX') => messages(folder).map((message) => subjectOf(message.content.bytes())),
  };
}

/** Names m1, m2 and so on. */
export function names(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_value, index) => `m${from + index}`);
}

export function subjectOf(message: Buffer): string {
  return /^Subject: (.*?)\r?$/m.exec(message.subarray(0, 10_000).toString('latin1'))?.[1] ?? '';
}

/** What of `rows` is in which state. */
export function countBy<T>(rows: readonly T[], pick: (row: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const row of rows) counts[pick(row)] = (counts[pick(row)] ?? 0) + 1;
  return counts;
}

/**
 * A session that tells `onStep` before each of its steps: calls, and each answer of calls that answer in pieces.
 * What `onStep` throws ends the session there.
 */
export function stepping(session: Session, onStep: (step: number, call: string) => void): Session {
  let steps = 0;
  let broken: unknown = null;
  const step = (call: string): void => {
    if (broken !== null) throw broken;
    try {
      steps += 1;
      onStep(steps, call);
    } catch (error) {
      broken = error;
      throw error;
    }
  };
  const pieces = async function* <T>(call: string, values: AsyncIterable<T>): AsyncGenerator<T> {
    step(call);
    for await (const value of values) {
      yield value;
      step(call);
    }
  };
  return {
    snapshot: session.snapshot,
    open: async (path) => {
      step('open');
      return await session.open(path);
    },
    changes: async (cursor, until) => {
      step('changes');
      const changes = await session.changes(cursor, until);
      return changes.lost ? changes : { ...changes, pages: pieces('page', changes.pages) };
    },
    currentCursor: async () => {
      step('currentCursor');
      return await session.currentCursor();
    },
    keys: () => pieces('keys', session.keys()),
    list: (keys) => pieces('list', session.list(keys)),
    fetch: (keys, maxBytes) => pieces('fetch', session.fetch(keys, maxBytes)),
    stream: async (key, maxBytes) => {
      step('stream');
      return await session.stream(key, maxBytes);
    },
    fingerprints: (keys) => pieces('fingerprints', session.fingerprints(keys)),
    existing: async (keys) => {
      step('existing');
      return await session.existing(keys);
    },
    dispose: async (keys, what, folder) => {
      step('dispose');
      return await session.dispose(keys, what, folder);
    },
    wait: (ms, signal) => session.wait(ms, signal),
    close: () => session.close(),
  };
}

export async function runPass(
  source: Source,
  context: IntakeContext,
  held: HeldMailbox,
  folders: string[] = held.mailbox.settings.folders,
  options: Partial<PassOptions>,
  wrap: PassSettings['wrap'],
): Promise<number> {
  const connected = await source.connect(new AbortController().signal);
  const session = wrap?.(connected) ?? connected;
  try {
    let added = 0;
    for (const path of folders) {
      const sync = await FolderSync.open(context, held, session, path, {
        signal: new AbortController().signal,
        onProgress: () => undefined,
        careful: false,
        ...options,
      });
      added += await sync.run();
    }
    return added;
  } finally {
    await connected.close();
  }
}

async function makeMailbox(
  db: Database,
  kind: SourceKind,
  port: number,
  changes: Partial<MailboxSettings>,
): Promise<Mailbox> {
  const base = defaultMailboxSettings('127.0.0.1', USER, kind);
  const settings = { ...base, server: { ...base.server, port, tls: 'none' as const }, ...changes };
  const { id } = await db
    .transaction()
    .execute((tx) => createMailbox(tx, { name: 'Desk', kind, enabled: true, settings, halo: {} }));
  return (await findMailbox(db, id))!;
}

export async function ledgerOf(db: Database, mailboxId: number): Promise<Row[]> {
  return await db
    .selectFrom('ledger')
    .select([
      'id',
      'epoch',
      'key',
      'state',
      'reason',
      'disposition',
      'incoming_email_id as email',
      'fetch_attempts as attempts',
    ])
    .where('mailbox_id', '=', mailboxId)
    .orderBy('id')
    .execute();
}

export async function subjectsOf(db: Database, raw: RawStore): Promise<string[]> {
  const rows = await db
    .selectFrom('incoming_email')
    .innerJoin('raw_message', 'raw_message.sha256', 'incoming_email.raw_sha256')
    .select(['raw_message.sha256 as sha256', 'raw_message.bytes as bytes'])
    .execute();
  const subjects: string[] = [];
  for (const row of rows) subjects.push(subjectOf(row.bytes ?? (await raw.read(row.sha256))));
  return subjects.sort();
}
