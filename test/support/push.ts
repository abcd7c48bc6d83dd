/**
 * Everything between a provider that tells of new mail and the ledger: the API behind TLS, pollers, notices through the
 * database, and the keeper of subscriptions, with its reviews made when the test says so.
 */
import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, onTestFinished, vi } from 'vitest';
import { buildApi } from '../../src/api/server.ts';
import type { ApiServices } from '../../src/api/services.ts';
import { SubscriptionKeeper } from '../../src/intake/subscription-keeper.ts';
import type { PushAddresses } from '../../src/intake/subscription-plan.ts';
import { Supervisor } from '../../src/intake/supervisor.ts';
import { type EventData, type EventName, Events } from '../../src/observe/events.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import type { pushKeys } from '../../src/source/gmail/push.ts';
import type { Source, SourceKind } from '../../src/source/source.ts';
import type { Subscriptions } from '../../src/source/subscriptions.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { loadKeyring } from '../../src/store/keyring.ts';
import { defaultMailboxSettings, type MailboxSettings } from '../../src/store/mailbox-settings.ts';
import { createMailbox } from '../../src/store/mailboxes.ts';
import { NoticeListener } from '../../src/store/notify.ts';
import { defaultMail } from './default-mail.ts';
import { tempFolder } from './folder.ts';
import { labCertificate } from './graph-lab.ts';
import { subjectsOf } from './intake.ts';
import { createTestDatabase } from './postgres.ts';

export interface PushOptions {
  kind: SourceKind;
  source: Source;
  subscriptions: Subscriptions;
  settings?: Partial<MailboxSettings>;
  /** Google's side, for Gmail. */
  gmail?: { account: string; keys: ReturnType<typeof pushKeys> };
}

export interface Push {
  db: Database;
  mailboxId: number;
  /** The API as providers reach it. */
  url: string;
  /** Starts pollers, which connect now, and waits until the mailbox was listed. */
  startPolling(): Promise<void>;
  /** A review of a keeper that gives out these addresses. Several keepers are several processes. */
  keeper(addresses: PushAddresses): SubscriptionKeeper;
  toldOf<N extends EventName>(name: N): EventData[N][];
  subjects(): Promise<string[]>;
  /** Waits until these subjects are stored. */
  untilStored(...subjects: string[]): Promise<void>;
  /** The subscription as it is stored. */
  row(): Promise<Record<string, unknown> | undefined>;
  /** Ends the wait after a failure, and makes everything older. */
  passTime(hours: number): Promise<void>;
}

export interface Receiver {
  url: string;
  close(): Promise<void>;
}

export interface ReceiverOptions {
  db: Database;
  events: Events;
  /** For the keys of the API. */
  folder: string;
  gmail?: PushOptions['gmail'];
}

/** The API over TLS, as providers reach it. To be closed before the database. */
export async function startReceiver({ db, events, folder, gmail }: ReceiverOptions): Promise<Receiver> {
  const { key, cert } = labCertificate();
  const server = https.createServer({ key, cert });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const api = await buildApi({
    db,
    keys: await loadKeyring(join(folder, 'secret.key'), true),
    events,
    config: {
      server: { host: '', port: 0, publicUrl: url, trustProxy: false, requestsPerMinute: 1_000 },
      poller: { staleIntervals: 3, leaseSeconds: 30, connectionsPerHost: 20, connectsPerMinute: 120 },
      destinations: { allow: [] },
      mail: defaultMail(),
      gmail: { topic: null, pushAccount: gmail?.account ?? null, pushAudience: null },
    },
    version: '0.0.0-test',
    // Nothing else of the API is called.
    services: {} as ApiServices,
    ...(gmail ? { pushKeys: gmail.keys } : {}),
  });
  await api.ready();
  server.on('request', (request, response) => api.routing(request, response));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await api.close();
  };
  return { url, close };
}

/** Everything ends with the test. */
export async function startPush(options: PushOptions): Promise<Push> {
  const database = await createTestDatabase();
  const connection = openDatabase(database.url, { connections: 8, onError: () => undefined });
  const { db } = connection;
  const folder = await tempFolder('push');
  const raw = new RawStore(db, folder);
  await raw.start();
  const told: { name: EventName; data: EventData[EventName] }[] = [];
  const events = new Events();
  events.listen((name, data) => void told.push({ name, data }));
  const settings = { ...defaultMailboxSettings('127.0.0.1', 'ann'), ...options.settings };
  const draft = { name: 'Desk', kind: options.kind, enabled: true, settings, halo: {} };
  const { id } = await db.transaction().execute((tx) => createMailbox(tx, draft));

  const { url, close } = await startReceiver({ db, events, folder, gmail: options.gmail });

  const supervisor = new Supervisor(
    { db, raw, events, enqueue: async () => undefined, pressure: async () => null },
    { leaseSeconds: 600, makeSource: async () => options.source },
  );
  const listener = new NoticeListener(
    connection,
    (notice) => {
      if (notice.startsWith('mail:')) supervisor.hint(Number(notice.slice(5)));
      else void supervisor.review();
    },
    () => undefined,
  );
  await listener.start();
  const keepers: SubscriptionKeeper[] = [];
  onTestFinished(async () => {
    for (const keeper of keepers) await keeper.stop();
    await supervisor.stop();
    await listener.close();
    await close();
    await connection.close();
    await database.drop();
  });

  const toldOf: Push['toldOf'] = <N extends EventName>(name: N) =>
    told.filter((one) => one.name === name).map(({ data }) => data as EventData[N]);
  return {
    db,
    mailboxId: id,
    url,
    async startPolling() {
      supervisor.start();
      await vi.waitFor(() => expect(toldOf('mailbox.listed')).not.toEqual([]), { timeout: 60_000 });
    },
    keeper(addresses) {
      const keeper = new SubscriptionKeeper({
        db,
        events,
        addresses,
        subscriptionsOf: async () => options.subscriptions,
        held: () => supervisor.held(),
        onMail: (mailbox) => supervisor.hint(mailbox),
      });
      keepers.push(keeper);
      return keeper;
    },
    toldOf,
    subjects: () => subjectsOf(db, raw),
    async untilStored(...subjects) {
      await vi.waitFor(async () => expect(await subjectsOf(db, raw)).toEqual(subjects.toSorted()), {
        timeout: 60_000,
        interval: 100,
      });
    },
    row: async () => (await sql<Record<string, unknown>>`select * from subscription`.execute(db)).rows[0],
    async passTime(hours) {
      await sql`update subscription set next_attempt_at = null,
        renewed_at = renewed_at - make_interval(hours => ${hours}),
        expires_at = expires_at - make_interval(hours => ${hours})`.execute(db);
    },
  };
}
