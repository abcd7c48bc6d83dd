/**
 * Intake without the rest of the pipe, on a lab Graph: a database and one mailbox, polled pass by pass when the test
 * says so. Nothing is processed.
 */
import { onTestFinished } from 'vitest';
import type { HeldMailbox, IntakeContext } from '../../src/intake/context.ts';
import type { PassOptions } from '../../src/intake/folder-pass.ts';
import type { LabGraphServer } from '../../src/lab/graph/server.ts';
import { type EventData, type EventName, Events } from '../../src/observe/events.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import type { AccessTokens, GraphOptions } from '../../src/source/graph/settings.ts';
import type { Session } from '../../src/source/source.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { acquireLease } from '../../src/store/leases.ts';
import { defaultMailboxSettings, type MailboxSettings } from '../../src/store/mailbox-settings.ts';
import { createMailbox, findMailbox } from '../../src/store/mailboxes.ts';
import { tempFolder } from './folder.ts';
import { ANN, type GraphLab, startGraphLab } from './graph-lab.ts';
import { ledgerOf, type Row, runPass, subjectOf, subjectsOf } from './intake.ts';
import { createTestDatabase } from './postgres.ts';

export interface GraphPass extends Partial<PassOptions> {
  wrap?(session: Session): Session;
  graph?: Partial<GraphOptions>;
  tokens?: AccessTokens;
}

export interface GraphIntake {
  lab: GraphLab;
  server: LabGraphServer;
  db: Database;
  toldOf<N extends EventName>(name: N): EventData[N][];
  held: HeldMailbox;
  /** Connects, reads every folder once, disconnects. Returns how many messages were added. */
  pass(settings?: GraphPass): Promise<number>;
  ledger(): Promise<Row[]>;
  /** The cursor of the inbox, as it is stored. */
  cursor(): Promise<string | null>;
  /** Subjects of all records, sorted; a record that is there twice is twice in it. */
  subjects(): Promise<string[]>;
  /** Subjects on the server, in order. */
  onServer(folder?: string): string[];
  /** Removes messages from the inbox, as another client would. */
  remove(...subjects: string[]): void;
}

/** Everything ends with the test. */
export async function startGraphIntake(settings: Partial<MailboxSettings> = {}): Promise<GraphIntake> {
  const database = await createTestDatabase();
  const connection = openDatabase(database.url, { connections: 5, onError: () => undefined });
  const { db } = connection;
  const lab = await startGraphLab();
  const raw = new RawStore(db, await tempFolder('intake'));
  await raw.start();
  const all = { ...defaultMailboxSettings('127.0.0.1', ANN), ...settings };
  const draft = { name: 'Desk', kind: 'graph' as const, enabled: true, settings: all, halo: {} };
  const { id } = await db.transaction().execute((tx) => createMailbox(tx, draft));
  const mailbox = (await findMailbox(db, id))!;
  const held = { mailbox, leaseToken: (await acquireLease(db, id, 'test', 3600))! };
  const told: { name: EventName; data: EventData[EventName] }[] = [];
  const events = new Events();
  events.listen((name, data) => void told.push({ name, data }));
  const enqueue = async (): Promise<void> => undefined;
  const context: IntakeContext = { db, raw, events, enqueue, pressure: async () => null };
  onTestFinished(async () => {
    await connection.close();
    await database.drop();
  });
  const { server } = lab;
  const { maxMessageBytes } = all;
  return {
    lab,
    server,
    db,
    held,
    toldOf: <N extends EventName>(name: N) =>
      told.filter((one) => one.name === name).map(({ data }) => data as EventData[N]),
    pass: ({ wrap, graph, tokens, ...options } = {}) => {
      const source = lab.mailbox({ maxMessageBytes }, graph, tokens).source();
      return runPass(source, context, held, undefined, options, wrap);
    },
    ledger: () => ledgerOf(db, id),
    async cursor() {
      const row = await db
        .selectFrom('folder')
        .select('cursor')
        .where('mailbox_id', '=', id)
        .executeTakeFirst();
      return row?.cursor ?? null;
    },
    subjects: () => subjectsOf(db, raw),
    onServer: (folder = 'inbox') =>
      (server.mailbox(ANN).folder(folder)?.messages ?? []).map(({ content }) => subjectOf(content.bytes())),
    remove(...subjects) {
      const inbox = server.mailbox(ANN).folder('inbox')!;
      for (const message of inbox.messages) {
        if (subjects.includes(subjectOf(message.content.bytes()))) server.mailbox(ANN).remove(message);
      }
    },
  };
}
