/** What was asked to be sent (Halo: EmailStore), and what of it is on its way. */
import { createHash } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import type { Attachment, Recipients } from '../send/mail.ts';
import type { Database, Tx } from './database.ts';
import { lockRows } from './row-locks.ts';
import type { OutgoingState } from './states.ts';
import { storableJson } from './storable-json.ts';
import type { Tables } from './tables.ts';

export type EmailStoreRow = Selectable<Tables['email_store']>;

export interface NewEmailStore {
  mailboxId: number;
  ticketId: number | null;
  templateId: number | null;
  subject: string;
  text: string;
  html: string | null;
  recipients: Recipients;
  addAction: boolean;
  halo: Record<string, unknown>;
  digest: Buffer;
  actor: string;
}

/** Of everything that was posted, by whom. */
export function digestOf(actor: string, item: unknown): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([actor, item]))
    .digest();
}

/** The same request within `seconds`, of a client that did not get its answer. Others with it wait for the commit. */
export async function findRepeated(tx: Tx, digest: Buffer, seconds: number): Promise<EmailStoreRow | null> {
  await sql`select pg_advisory_xact_lock(3, ${digest.readInt32BE(0)})`.execute(tx);
  const row = await tx
    .selectFrom('email_store')
    .selectAll()
    .where('digest', '=', digest)
    .where('created_at', '>', sql<Date>`now() - make_interval(secs => ${seconds})`)
    .where('deleted_at', 'is', null)
    .orderBy('id')
    .executeTakeFirst();
  return row ?? null;
}

/** Creates (id null) or replaces. Returns the id. */
export async function saveEmailStore(tx: Tx, id: number | null, store: NewEmailStore): Promise<number> {
  const columns = {
    mailbox_id: store.mailboxId,
    ticket_id: store.ticketId,
    template_id: store.templateId,
    subject: store.subject,
    text: store.text,
    html: store.html,
    recipients: storableJson(store.recipients)!,
    add_action: store.addAction,
    halo: storableJson(store.halo)!,
    digest: store.digest,
    created_by: store.actor,
  };
  if (id === null) {
    return (await tx.insertInto('email_store').values(columns).returning('id').executeTakeFirstOrThrow()).id;
  }
  await tx.updateTable('email_store').set(columns).where('id', '=', id).execute();
  return id;
}

export async function saveAttachments(tx: Tx, id: number, files: readonly Attachment[]): Promise<void> {
  await tx.deleteFrom('outgoing_attachment').where('email_store_id', '=', id).execute();
  for (const { filename, contentType, contentId, bytes } of files) {
    await tx
      .insertInto('outgoing_attachment')
      .values({ email_store_id: id, filename, content_type: contentType, content_id: contentId, bytes })
      .execute();
  }
}

/** As {@link lockEmailStore}, for all that a request is about, in the order of ids. Mails first, as those who send lock them. */
export async function lockEmailStores(tx: Tx, ids: readonly number[]): Promise<void> {
  await sql`select id from outgoing_email where email_store_id = any(${ids}::int[]) order by id for update`.execute(
    tx,
  );
  await lockRows(tx, 'email_store', ids);
}

/** For a change: until the commit nobody claims its mails or changes it. */
export async function lockEmailStore(tx: Tx, id: number): Promise<EmailStoreRow | null> {
  await lockEmailStores(tx, [id]);
  return await findEmailStore(tx, id);
}

export async function findEmailStore(db: Database | Tx, id: number): Promise<EmailStoreRow | null> {
  const row = await db
    .selectFrom('email_store')
    .selectAll()
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return row ?? null;
}

/** The newest ones, newest first. */
export async function listEmailStores(db: Database, most: number): Promise<EmailStoreRow[]> {
  return await db
    .selectFrom('email_store')
    .selectAll()
    .where('deleted_at', 'is', null)
    .orderBy('id', 'desc')
    .limit(most)
    .execute();
}

export interface OutgoingOfStore {
  id: number;
  storeId: number;
  state: OutgoingState;
  sentAt: Date | null;
  messageId: string;
  errorMessage: string | null;
  bounced: boolean;
}

export async function outgoingOf(
  db: Database | Tx,
  ids: readonly number[],
): Promise<Map<number, OutgoingOfStore[]>> {
  const found = new Map<number, OutgoingOfStore[]>(ids.map((id) => [id, []]));
  if (ids.length === 0) return found;
  const rows = await db
    .selectFrom('outgoing_email')
    .select([
      'id',
      'email_store_id as storeId',
      'state',
      'sent_at as sentAt',
      'message_id as messageId',
      'error_message as errorMessage',
      sql<boolean>`bounced_at is not null`.as('bounced'),
    ])
    .where('email_store_id', 'in', [...ids])
    .orderBy('id')
    .execute();
  for (const row of rows) found.get(row.storeId!)!.push({ ...row, storeId: row.storeId! });
  return found;
}

/** Takes back mails that nobody has begun to send. */
export async function dropUnsent(tx: Tx, storeId: number): Promise<void> {
  await tx
    .deleteFrom('outgoing_email')
    .where('email_store_id', '=', storeId)
    .where('state', 'in', ['queued', 'retrying', 'failed'])
    .execute();
}

/** Hides it. What is not sent yet is not sent any more. */
export async function deleteEmailStore(tx: Tx, id: number): Promise<void> {
  await sql`update email_store set deleted_at = now() where id = ${id}`.execute(tx);
  await sql`
    update outgoing_email set deleted_at = now()
    where email_store_id = ${id} and state in ('queued', 'retrying', 'failed')`.execute(tx);
}

export interface Person {
  id: number;
  name: string;
  firstName: string;
  address: string;
}

export async function peopleById(db: Database | Tx, ids: readonly number[]): Promise<Map<number, Person>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('requester')
    .select(['id', 'name', 'first_name as firstName', 'address'])
    .where('id', 'in', [...ids])
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

export interface TicketToWrite {
  id: number;
  mailboxId: number | null;
  subject: string;
  requesterId: number | null;
}

export async function ticketsToWrite(
  db: Database | Tx,
  ids: readonly number[],
): Promise<Map<number, TicketToWrite>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('ticket')
    .select(['id', 'mailbox_id as mailboxId', 'subject', 'requester_id as requesterId'])
    .where('id', 'in', [...ids])
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** Whoever is written to about a ticket takes part in it: the answer may come without our token. */
export async function addParticipants(tx: Tx, ticketId: number, addresses: readonly string[]): Promise<void> {
  await sql`
    update ticket set participants = (select coalesce(array_agg(distinct one), '{}')
      from unnest(participants || ${addresses.map((one) => one.toLowerCase())}::text[]) as one)
    where id = ${ticketId}`.execute(tx);
}
