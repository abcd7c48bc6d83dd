/** The way out without the way in: a database with outcomes that tests make up, and what delivers them. */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { sql } from 'kysely';
import { onTestFinished } from 'vitest';
import { Deliverer } from '../../src/deliver/deliverer.ts';
import type { DestinationKind } from '../../src/deliver/destination.ts';
import { AllowList } from '../../src/deliver/egress.ts';
import type { EventType, OutcomeEvent } from '../../src/deliver/event.ts';
import { Egress, type Resolver } from '../../src/deliver/http.ts';
import { addDestination, type DestinationChange } from '../../src/deliver/save.ts';
import { Sender } from '../../src/deliver/sender.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { type EventData, type EventName, Events } from '../../src/observe/events.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { type Connection, type Database, openDatabase } from '../../src/store/database.ts';
import { type DeliveryFilter, listDeliveries, queueDeliveries } from '../../src/store/deliveries.ts';
import { type Destination, findDestination } from '../../src/store/destinations.ts';
import { type Keyring, loadKeyring } from '../../src/store/keyring.ts';
import { tempFolder } from './folder.ts';
import { createTestDatabase } from './postgres.ts';

export interface OutboxOptions {
  allow?: string[];
  resolver?: Resolver;
  /** An outbox on the same database, as of another process. */
  beside?: Outbox;
}

export class Outbox {
  readonly db: Database;
  readonly keys: Keyring;
  readonly sender: Sender;
  readonly deliverer: Deliverer;
  readonly allowed: AllowList;
  readonly told: { name: EventName; data: EventData[EventName] }[] = [];
  readonly url: string;
  readonly folder: string;

  private constructor(
    connection: Connection,
    at: { url: string; folder: string },
    keys: Keyring,
    { allow = ['127.0.0.1'], resolver }: OutboxOptions,
  ) {
    const { db } = connection;
    this.db = db;
    this.url = at.url;
    this.folder = at.folder;
    this.keys = keys;
    this.allowed = new AllowList(allow);
    const events = new Events();
    events.listen((name, data) => void this.told.push({ name, data }));
    this.sender = new Sender({
      db,
      keys,
      egress: new Egress(this.allowed, resolver),
      instanceId: 'instance',
      raw: new RawStore(db, at.folder),
      parse: parseMessage,
    });
    // No jitter: the schedule is what it says.
    this.deliverer = new Deliverer(db, events, this.sender, () => 0.5);
  }

  /** Ends with the test. */
  static async start(options: OutboxOptions = {}): Promise<Outbox> {
    const { beside } = options;
    const own = beside === undefined ? await createTestDatabase() : null;
    const at = beside ?? { url: own!.url, folder: await tempFolder() };
    const connection = openDatabase(at.url, { connections: 5, onError: () => {} });
    const keys = await loadKeyring(join(at.folder, 'secret.key'), true);
    const outbox = new Outbox(connection, at, keys, options);
    onTestFinished(async () => {
      await outbox.deliverer.stop(0);
      await connection.close();
      await own?.drop();
    });
    return outbox;
  }

  async add(kind: DestinationKind, change: DestinationChange): Promise<Destination> {
    const { keys, allowed } = this;
    const saved = await this.db
      .transaction()
      .execute((tx) => addDestination({ tx, keys, allowed, actor: 'test' }, kind, { name: kind, ...change }));
    return saved.destination;
  }

  async destination(id: number): Promise<Destination> {
    return (await findDestination(this.db, id))!;
  }

  /** Puts outcomes into the outbox of a destination, as the processing transaction does. */
  async tell({ id }: Destination, ...events: OutcomeEvent[]): Promise<void> {
    await this.db.transaction().execute((tx) =>
      queueDeliveries(
        tx,
        events.map((event) => ({ destinationId: id, ledgerId: event.email.id, event })),
      ),
    );
  }

  /** A stored message with a ticket, for those that send the mail itself. Its id is both the record's and the ticket's. */
  async store(id: number, text = message(`mail ${id}`)): Promise<void> {
    const bytes = Buffer.from(text);
    const sha256 = createHash('sha256').update(bytes).digest();
    await sql`insert into raw_message (sha256, size, place, bytes) values (${sha256}, ${bytes.length}, 'inline', ${bytes})
      on conflict do nothing`.execute(this.db);
    await sql`insert into incoming_email (id, mailbox_id, ledger_id, source, mail_id, raw_sha256, size, state, copy)
      overriding system value values (${id}, 1, ${id}, 'imap', ${String(id)}, ${sha256}, ${bytes.length}, 'processed', ${id})`.execute(
      this.db,
    );
    await sql`insert into ticket (id, subject) overriding system value values (${id}, ${`mail ${id}`})`.execute(
      this.db,
    );
  }

  async rows(filter: Partial<DeliveryFilter> = {}) {
    return (await listDeliveries(this.db, { count: 1_000, ...filter })).reverse();
  }

  /** States of all deliveries, in order. */
  async states(): Promise<string[]> {
    return (await this.rows()).map(({ state }) => state);
  }

  /** Lets so much time pass for all that the database has a clock for. */
  passTime(seconds: number): Promise<void> {
    return passDeliveryTime(this.db, seconds);
  }

  of<N extends EventName>(name: N): EventData[N][] {
    return this.told.filter((one) => one.name === name).map(({ data }) => data as EventData[N]);
  }
}

/** Lets so much time pass for deliveries and for what destinations are left alone for. */
export async function passDeliveryTime(db: Database, seconds: number): Promise<void> {
  const ago = sql`make_interval(secs => ${seconds})`;
  await sql`
    update delivery set next_attempt_at = next_attempt_at - ${ago}, first_attempt_at = first_attempt_at - ${ago},
      claimed_until = claimed_until - ${ago}, created_at = created_at - ${ago}, finished_at = finished_at - ${ago}`.execute(
    db,
  );
  await sql`update destination set open_until = open_until - ${ago}`.execute(db);
}

/** An outcome. `id` is that of the message and of the ticket, unless the changes say otherwise. */
export function outcome(
  id: number,
  type: EventType = 'ticket.created',
  changes: Partial<OutcomeEvent> = {},
): OutcomeEvent {
  return {
    type,
    timestamp: '2026-03-01T12:00:00.000Z',
    email: {
      id,
      mailboxId: 1,
      messageId: `${id}@example.org`,
      from: 'Ann <ann@example.org>',
      subject: `mail ${id}`,
      class: 'human',
    },
    ticket: {
      id,
      subject: `mail ${id}`,
      typeId: 0,
      open: !type.endsWith('.closed'),
      alertKey: type.startsWith('alert.') ? `disk/${id}` : null,
      supplierReference: null,
    },
    ruleId: null,
    reason: 'no_rule',
    private: false,
    byAgent: false,
    reopened: false,
    fields: [],
    service: null,
    error: null,
    ...changes,
  };
}

export function message(subject: string, body = 'Hello.'): string {
  return [
    'From: Ann <ann@example.org>',
    'To: help@example.org',
    `Subject: ${subject}`,
    `Message-ID: <${randomBytes(8).toString('hex')}@example.org>`,
    'Date: Sun, 01 Mar 2026 12:00:00 +0000',
    '',
    body,
    '',
  ].join('\r\n');
}
