/** Questions to the records of incoming mail: one, a list with filters and order, a page, a count. */
import { type Expression, type SqlBool, sql } from 'kysely';
import type { Database, Tx } from './database.ts';
import type { EmailState } from './states.ts';
import type { Tables } from './tables.ts';

/** A record as lists show it: without body text, parts and evidence. */
export interface EmailRow {
  id: number;
  mailboxId: number;
  ledgerId: number;
  source: Tables['incoming_email']['source'];
  mailId: string;
  rawSha256: Buffer;
  size: number;
  state: EmailState;
  attempts: number;
  retryRemaining: number;
  nextAttemptAt: Date | null;
  createdAt: Date;
  lastAttemptAt: Date | null;
  processedAt: Date | null;
  headerDate: Date | null;
  receivedAt: Date | null;
  fromAddress: string;
  fromText: string;
  toText: string;
  ccText: string;
  subject: string;
  messageId: string | null;
  class: string | null;
  ruleId: number | null;
  rulesVersion: number | null;
  outcome: unknown;
  ticketId: number | null;
  requesterId: number | null;
  errorCode: string | null;
  errorStage: string | null;
  errorMessage: string | null;
  errorFingerprint: string | null;
  removedFromServer: boolean;
  outbound: boolean;
  agentId: number | null;
  addToTicketId: number | null;
}

/** What only a view of one record shows. */
export interface EmailDetails {
  parts: unknown;
  classEvidence: unknown;
  ruleEvidence: unknown;
  extractions: unknown;
  threadEvidence: unknown;
}

/** The state as it is shown: a record that waits and is claimed is being processed. */
const SHOWN_STATE = sql<EmailState>`case when state in ('queued', 'retrying', 'waiting') and claimed_until > now()
  then 'processing' else state end`;

const COLUMNS = [
  'id',
  'mailbox_id as mailboxId',
  'ledger_id as ledgerId',
  'source',
  'mail_id as mailId',
  'raw_sha256 as rawSha256',
  'size',
  SHOWN_STATE.as('state'),
  'attempts',
  'retry_remaining as retryRemaining',
  'next_attempt_at as nextAttemptAt',
  'created_at as createdAt',
  'last_attempt_at as lastAttemptAt',
  'processed_at as processedAt',
  'header_date as headerDate',
  'received_at as receivedAt',
  'from_address as fromAddress',
  'from_text as fromText',
  'to_text as toText',
  'cc_text as ccText',
  'subject',
  'message_id as messageId',
  'class',
  'rule_id as ruleId',
  'rules_version as rulesVersion',
  'outcome',
  'ticket_id as ticketId',
  'requester_id as requesterId',
  'error_code as errorCode',
  'error_stage as errorStage',
  'error_message as errorMessage',
  'error_fingerprint as errorFingerprint',
  'removed_from_server as removedFromServer',
  'outbound',
  'agent_id as agentId',
  'add_to_ticket_id as addToTicketId',
] as const;

const DETAIL_COLUMNS = [
  'parts',
  'class_evidence as classEvidence',
  'rule_evidence as ruleEvidence',
  'extractions',
  'thread_evidence as threadEvidence',
] as const;

export interface EmailFilter {
  states?: EmailState[];
  mailboxId?: number;
  /** Words of subject, sender or recipients, as people type them into a search box. */
  search?: string;
  createdFrom?: string;
  createdUntil?: string;
  fingerprint?: string;
  ticketId?: number;
}

/** Columns a list can be ordered by. */
const ORDER_COLUMNS = [
  'id',
  'mailbox_id',
  'created_at',
  'processed_at',
  'last_attempt_at',
  'from_text',
  'to_text',
  'subject',
  'state',
  'source',
  'mail_id',
  'retry_remaining',
  'agent_id',
  'size',
] as const;
export type OrderColumn = (typeof ORDER_COLUMNS)[number];

export interface EmailOrder {
  column: OrderColumn;
  descending: boolean;
}

function select(db: Database | Tx, filter: EmailFilter) {
  const conditions: Expression<SqlBool>[] = [sql<SqlBool>`deleted_at is null`];
  if (filter.states !== undefined) conditions.push(sql`${SHOWN_STATE} = any(${filter.states}::text[])`);
  if (filter.mailboxId !== undefined) conditions.push(sql`mailbox_id = ${filter.mailboxId}`);
  if (filter.search !== undefined && filter.search.trim() !== '') {
    conditions.push(sql`search @@ websearch_to_tsquery('simple', ${filter.search})`);
  }
  if (filter.createdFrom !== undefined)
    conditions.push(sql`created_at >= ${filter.createdFrom}::timestamptz`);
  if (filter.createdUntil !== undefined)
    conditions.push(sql`created_at <= ${filter.createdUntil}::timestamptz`);
  if (filter.fingerprint !== undefined) conditions.push(sql`error_fingerprint = ${filter.fingerprint}`);
  if (filter.ticketId !== undefined) conditions.push(sql`ticket_id = ${filter.ticketId}`);
  return db.selectFrom('incoming_email').where((eb) => eb.and(conditions));
}

/** A stretch of a list. Equal rows are told apart by ascending id, so that pages never overlap. */
export async function listEmails(
  db: Database | Tx,
  filter: EmailFilter,
  order: EmailOrder[],
  limit: number,
  offset: number,
): Promise<EmailRow[]> {
  let query = select(db, filter).select(COLUMNS);
  for (const { column, descending } of order) {
    const direction = sql.raw(descending ? 'desc nulls last' : 'asc nulls first');
    query = query.orderBy(sql`${sql.ref(column)} ${direction}`);
  }
  if (!order.some(({ column }) => column === 'id')) query = query.orderBy('id');
  return await query.limit(limit).offset(offset).execute();
}

/** A stretch of a list by id, after `after` (null = from the start): costs the same however deep it is. */
export async function listEmailsAfter(
  db: Database | Tx,
  filter: EmailFilter,
  after: number | null,
  descending: boolean,
  limit: number,
): Promise<EmailRow[]> {
  let query = select(db, filter)
    .select(COLUMNS)
    .orderBy('id', descending ? 'desc' : 'asc');
  if (after !== null) query = query.where('id', descending ? '<' : '>', after);
  return await query.limit(limit).execute();
}

export async function countEmails(db: Database | Tx, filter: EmailFilter): Promise<number> {
  const row = await select(db, filter)
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Null when there is no such record, or it was deleted. */
export async function findEmail(db: Database | Tx, id: number): Promise<EmailRow | null> {
  return (await findEmails(db, [id])).get(id) ?? null;
}

export async function findEmails(db: Database | Tx, ids: number[]): Promise<Map<number, EmailRow>> {
  const rows = await select(db, {})
    .select(COLUMNS)
    .where('id', '=', sql<number>`any(${ids}::bigint[])`)
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

export async function findEmailDetails(db: Database | Tx, id: number): Promise<EmailDetails | null> {
  const row = await select(db, {}).select(DETAIL_COLUMNS).where('id', '=', id).executeTakeFirst();
  return row ?? null;
}

/** The record that a message with this id at its provider led to, in any folder of the mailbox as it is now. */
export async function findByMailId(
  db: Database | Tx,
  mailboxId: number,
  mailId: string,
): Promise<EmailRow | null> {
  const { rows } = await sql<{ id: number | null }>`
    select ledger.incoming_email_id as id from folder
    join ledger on ledger.folder_id = folder.id and ledger.epoch = coalesce(folder.epoch, '') and ledger.key = ${mailId}
    where folder.mailbox_id = ${mailboxId} and ledger.incoming_email_id is not null
    order by ledger.id desc limit 1`.execute(db);
  const id = rows[0]?.id ?? null;
  return id === null ? null : await findEmail(db, id);
}

/** Quarantined records with this fingerprint, oldest first. */
export async function quarantinedLike(
  db: Database | Tx,
  fingerprint: string,
  mailboxId: number | null,
  limit: number,
): Promise<number[]> {
  const filter: EmailFilter = { fingerprint };
  if (mailboxId !== null) filter.mailboxId = mailboxId;
  const rows = await select(db, filter)
    .select('id')
    // Written out, so that the index of quarantined records is used.
    .where(sql<SqlBool>`state = 'quarantined'`)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}
