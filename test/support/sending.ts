/** A database with one mailbox, and what sends its mail, in this process: turn by turn when the test says so. */
import { onTestFinished } from 'vitest';
import { type EventData, type EventName, Events } from '../../src/observe/events.ts';
import { addressing } from '../../src/outbound/addressing.ts';
import { Dispatcher, type DispatchTimes } from '../../src/outbound/dispatcher.ts';
import type { Transport } from '../../src/send/mail.ts';
import type { SourceKind } from '../../src/source/source.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';
import { createMailbox, type Mailbox } from '../../src/store/mailboxes.ts';
import { type NewOutgoing, type OutgoingRow, queueOutgoing } from '../../src/store/outgoing.ts';
import { defaultSending, sendingOf } from '../../src/store/sending-settings.ts';
import { createTestDatabase } from './postgres.ts';
import { until } from './site.ts';

export const KEY = new Uint8Array(32).fill(9);
export const INSTANCE = 'penstock-test';

export interface Sending {
  db: Database;
  url: string;
  mailbox: Mailbox;
  told: { name: EventName; data: EventData[EventName] }[];
  queue(changes?: Partial<NewOutgoing>): Promise<number>;
  /** A sender on this transport. It stops with the test. */
  dispatcher(transport: Transport, times?: Partial<DispatchTimes>): Dispatcher;
  row(id: number): Promise<OutgoingRow>;
  /** Waits until a mail is in this state. */
  untilState(id: number, state: OutgoingRow['state']): Promise<OutgoingRow>;
}

export async function startSending(kind: SourceKind = 'imap'): Promise<Sending> {
  const database = await createTestDatabase();
  const { db, close } = openDatabase(database.url, { connections: 5, onError: () => {} });
  const settings = defaultMailboxSettings('localhost', 'desk@desk.example', kind);
  const smtp = {
    host: 'localhost',
    port: 25,
    tls: 'none',
    tlsVerify: true,
    tlsCa: null,
    auth: 'none',
    user: '',
  } as const;
  settings.sending = {
    ...defaultSending(kind === 'imap' ? 'smtp' : 'api'),
    smtp: kind === 'imap' ? smtp : null,
  };
  const mailbox = await db
    .transaction()
    .execute((tx) => createMailbox(tx, { name: 'Desk', kind, enabled: true, settings, halo: {} }));
  const events = new Events();
  const told: Sending['told'] = [];
  events.listen((name, data) => void told.push({ name, data }));
  const running: Dispatcher[] = [];
  onTestFinished(async () => {
    for (const one of running) await one.stop(0);
    await close();
  });
  const row = async (id: number): Promise<OutgoingRow> =>
    await db.selectFrom('outgoing_email').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  return {
    db,
    url: database.url,
    mailbox,
    told,
    row,
    async queue(changes = {}) {
      const facts = { mailboxId: mailbox.id, sending: sendingOf(mailbox)!, tokenKey: KEY };
      const { sender, messageId } = addressing(facts, changes.ticketId ?? 0);
      const [id] = await db.transaction().execute((tx) =>
        queueOutgoing(tx, [
          {
            mailboxId: mailbox.id,
            emailStoreId: null,
            incomingEmailId: null,
            ticketId: null,
            kind: 'stored',
            automaticTo: null,
            messageId,
            inReplyTo: null,
            sender,
            recipients: {
              to: [{ name: 'Ann', address: 'ann@customer.example' }],
              cc: [],
              bcc: [],
              replyTo: null,
            },
            subject: 'Hello',
            text: 'Good day.',
            html: null,
            ...changes,
          },
        ]),
      );
      return id!;
    },
    dispatcher(transport, times) {
      const one = new Dispatcher({
        db,
        events,
        instanceId: INSTANCE,
        transportOf: async () => transport,
        times: { everyMs: 100, quietSeconds: 0, ...times },
      });
      running.push(one);
      one.start();
      return one;
    },
    async untilState(id, state) {
      await until(
        async () => (await row(id)).state === state,
        async () => `mail ${id} is ${JSON.stringify(await row(id))}`,
      );
      return await row(id);
    },
  };
}
