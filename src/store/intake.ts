/**
 * The commit of the intake: bytes, ledger and records of one batch in one transaction, together with the cursor
 * that says how far the listing got. Nothing is done on the mail server before this returns.
 */
import { sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import type { TraceEvent } from '../observe/trace.ts';
import { bigints, byteas, floats, ints, jsons, smallints, texts, timestamps, uuids } from './columns.ts';
import type { Database, Tx } from './database.ts';
import { saveCursor } from './folders.ts';
import { requireLease } from './leases.ts';
import type { LedgerState } from './states.ts';
import { storableJson } from './storable-json.ts';

/** Where the bytes of a message are in a file of many. */
export interface PackPlace {
  /** Names the file; a UUID. */
  pack: string;
  /** Of the first byte. */
  offset: number;
}

/** Bytes that are ready to be committed: inline, or already fsynced, in a pack or in a file named after the digest. */
export interface RawBytes {
  sha256: Buffer;
  headerSha256: Buffer;
  size: number;
  /** Null when the bytes are in a file. */
  inline: Buffer | null;
  /** Set when that file is a pack. */
  pack: PackPlace | null;
}

/** What became of one listed message. */
export interface IntakeItem {
  key: string;
  /** As the server announced it. */
  size: number;
  internalDate: string | null;
  result:
    | { state: 'stored'; raw: RawBytes }
    | { state: 'pending'; reason: string; attempts: number; retryInSeconds: number }
    | { state: Exclude<LedgerState, 'stored' | 'pending' | 'duplicate'>; reason: string };
}

export interface IntakeBatch {
  mailboxId: number;
  /** Fencing token of the poller; null for intake that has no lease (API, import). */
  leaseToken: number | null;
  folder: { id: number; path: string };
  epoch: string;
  source: 'imap' | 'pop3' | 'graph' | 'gmail' | 'api' | 'import';
  /** Byte-identical copies in this mailbox become duplicates. */
  dropCopies: boolean;
  /** What to do on the server with messages that are safe here. */
  dispose: boolean;
  items: IntakeItem[];
  /** Stored with the batch; null leaves the folder's cursor alone. */
  cursor: string | null;
}

export interface StoredEmail {
  id: number;
  ledgerId: number;
  key: string;
}

export interface IntakeResult {
  stored: StoredEmail[];
  /** Keys whose bytes were already recorded in this mailbox, with the record they equal. */
  duplicates: { key: string; of: number }[];
  /** Keys that had an end state before: nothing was changed for them. */
  known: string[];
}

/**
 * Commits a batch, or makes it part of the caller's transaction when it is given one. Fails with `lease_lost`; then
 * nothing of it is stored. Safe to repeat.
 */
export async function commitIntake(db: Database | Tx, batch: IntakeBatch): Promise<IntakeResult> {
  const commit = async (tx: Tx): Promise<IntakeResult> => {
    if (batch.leaseToken !== null) await requireLease(tx, batch.mailboxId, batch.leaseToken);
    const result = await insertBatch(tx, batch);
    if (batch.cursor !== null) await saveCursor(tx, batch.folder.id, batch.cursor);
    return result;
  };
  return db.isTransaction ? await commit(db as Tx) : await db.transaction().execute(commit);
}

async function insertBatch(tx: Tx, batch: IntakeBatch): Promise<IntakeResult> {
  if (batch.items.length === 0) return { stored: [], duplicates: [], known: [] };
  const stored = batch.items.filter((item) => item.result.state === 'stored').length;
  const emailIds = await reserveEmailIds(tx, stored);
  await insertRaw(tx, batch.items);

  const withIds = batch.items.map((item) => ({
    item,
    emailId: item.result.state === 'stored' ? (emailIds.pop() ?? null) : null,
  }));
  const ledgerIds = await insertLedger(tx, batch, withIds);
  const known = batch.items.filter((item) => !ledgerIds.has(item.key)).map((item) => item.key);

  const fresh = withIds.filter((entry) => entry.emailId !== null && ledgerIds.has(entry.item.key));
  const inserted = await insertEmails(tx, batch, fresh, ledgerIds);
  const copies = fresh.filter((entry) => !inserted.has(entry.emailId!));
  const duplicates = copies.length === 0 ? [] : await markDuplicates(tx, batch, copies, ledgerIds);
  await insertTrace(tx, batch, ledgerIds, new Map(duplicates.map((row) => [row.key, row.of])));

  const emails = fresh
    .filter((entry) => inserted.has(entry.emailId!))
    .map((entry) => ({ id: entry.emailId!, ledgerId: ledgerIds.get(entry.item.key)!, key: entry.item.key }))
    .sort((a, b) => a.id - b.id);
  return { stored: emails, duplicates, known };
}

interface Entry {
  item: IntakeItem;
  emailId: number | null;
}

/** Ids are taken first, so that ledger and record can point at each other without a second write. Descending. */
async function reserveEmailIds(tx: Tx, count: number): Promise<number[]> {
  if (count === 0) return [];
  const { rows } = await sql<{ id: number }>`
    select nextval(pg_get_serial_sequence('incoming_email', 'id')) as id from generate_series(1, ${count}::int)`.execute(
    tx,
  );
  return rows.map((row) => row.id).sort((a, b) => b - a);
}

async function insertRaw(tx: Tx, items: IntakeItem[]): Promise<void> {
  // Sorted, so that two transactions that store the same mails wait for each other instead of deadlocking.
  const sorted = items
    .flatMap((item) => (item.result.state === 'stored' ? [item.result.raw] : []))
    .sort((a, b) => a.sha256.compare(b.sha256));
  const raws = sorted.filter((raw, index) => sorted[index - 1]?.sha256.equals(raw.sha256) !== true);
  if (raws.length === 0) return;
  // All bytes travel as one binary parameter and are cut apart in the database: as an array each byte would be
  // sent as two hex digits, and escaped.
  const offsets: (number | null)[] = [];
  let length = 0;
  for (const raw of raws) {
    offsets.push(raw.inline === null ? null : length + 1);
    length += raw.inline?.length ?? 0;
  }
  const all = Buffer.concat(raws.flatMap((raw) => (raw.inline === null ? [] : [raw.inline])));
  await sql`
    insert into raw_message (sha256, size, place, bytes, pack, pack_offset)
    select sha256, size,
      case when start is not null then 'inline' when pack is not null then 'pack' else 'file' end,
      substr(${all}::bytea, start, size), pack, pack_offset
    from unnest(${byteas(raws.map((raw) => raw.sha256))}, ${ints(raws.map((raw) => raw.size))}, ${ints(offsets)},
                ${uuids(raws.map((raw) => raw.pack?.pack ?? null))},
                ${ints(raws.map((raw) => raw.pack?.offset ?? null))}) as raw (sha256, size, start, pack, pack_offset)
    -- Bytes that are there stay there: this locks the row, and makes it young, against removal by age.
    on conflict (sha256) do update set created_at = now()
      where raw_message.created_at < now() - interval '1 hour'`.execute(tx);
}

/** Reasons quote servers, which may say anything. */
function reasonOf({ result }: IntakeItem): string | null {
  return 'reason' in result ? toStorableText(result.reason, LIMITS.reasonChars) : null;
}

/** Returns ledger ids by key, for the rows that were new or still pending. */
async function insertLedger(tx: Tx, batch: IntakeBatch, entries: Entry[]): Promise<Map<string, number>> {
  const column = <T>(pick: (entry: Entry) => T): T[] => entries.map(pick);
  const { rows } = await sql<{ id: number; key: string }>`
    insert into ledger as known (mailbox_id, folder_id, epoch, key, state, reason, incoming_email_id, raw_sha256,
      header_sha256, size, internal_date, fetch_attempts, next_fetch_at, disposition)
    select ${batch.mailboxId}, ${batch.folder.id}, ${batch.epoch}, key, state, reason, email_id, raw, header, size,
      internal_date, attempts, case when state = 'pending' then now() + make_interval(secs => retry) end,
      case when state = 'stored' and ${batch.dispose} then 'pending' else 'none' end
    from unnest(
      ${texts(column((e) => e.item.key))},
      ${texts(column((e) => e.item.result.state))},
      ${texts(column((e) => reasonOf(e.item)))},
      ${bigints(column((e) => e.emailId))},
      ${byteas(column((e) => (e.item.result.state === 'stored' ? e.item.result.raw.sha256 : null)))},
      ${byteas(column((e) => (e.item.result.state === 'stored' ? e.item.result.raw.headerSha256 : null)))},
      ${bigints(column((e) => e.item.size))},
      ${timestamps(column((e) => e.item.internalDate))},
      ${smallints(column((e) => (e.item.result.state === 'pending' ? e.item.result.attempts : 0)))},
      ${floats(column((e) => (e.item.result.state === 'pending' ? e.item.result.retryInSeconds : 0)))}
    ) as item (key, state, reason, email_id, raw, header, size, internal_date, attempts, retry)
    on conflict (folder_id, epoch, key) do update set
      state = excluded.state, reason = excluded.reason, incoming_email_id = excluded.incoming_email_id,
      raw_sha256 = excluded.raw_sha256, header_sha256 = excluded.header_sha256,
      fetch_attempts = excluded.fetch_attempts, next_fetch_at = excluded.next_fetch_at,
      disposition = excluded.disposition
    where known.state = 'pending'
    returning id, key`.execute(tx);
  return new Map(rows.map((row) => [row.key, row.id]));
}

/** Returns the ids that were inserted; a byte-identical copy is left out when the mailbox drops copies. */
async function insertEmails(
  tx: Tx,
  batch: IntakeBatch,
  entries: Entry[],
  ledgerIds: Map<string, number>,
): Promise<Set<number>> {
  if (entries.length === 0) return new Set();
  const raw = (entry: Entry): RawBytes => (entry.item.result as { raw: RawBytes }).raw;
  const { rows } = await sql<{ id: number }>`
    insert into incoming_email (id, mailbox_id, ledger_id, source, mail_id, raw_sha256, size, copy,
      internal_date, enqueued_at)
    overriding system value
    select id, ${batch.mailboxId}, ledger_id, ${batch.source}, mail_id, raw, size,
      case when ${batch.dropCopies} then 0 else id end, internal_date, now()
    from unnest(
      ${bigints(entries.map((e) => e.emailId))},
      ${bigints(entries.map((e) => ledgerIds.get(e.item.key)!))},
      ${texts(entries.map((e) => e.item.key))},
      ${byteas(entries.map((e) => raw(e).sha256))},
      ${ints(entries.map((e) => raw(e).size))},
      ${timestamps(entries.map((e) => e.item.internalDate))}
    ) as item (id, ledger_id, mail_id, raw, size, internal_date)
    on conflict (raw_sha256, mailbox_id, copy) do nothing
    returning id`.execute(tx);
  return new Set(rows.map((row) => row.id));
}

async function markDuplicates(
  tx: Tx,
  batch: IntakeBatch,
  copies: Entry[],
  ledgerIds: Map<string, number>,
): Promise<{ key: string; of: number }[]> {
  const { rows } = await sql<{ key: string; of: number }>`
    update ledger set state = 'duplicate', reason = 'same content', incoming_email_id = incoming_email.id
    from incoming_email
    where ledger.id = any(${copies.map((entry) => ledgerIds.get(entry.item.key)!)}::bigint[])
      and incoming_email.mailbox_id = ${batch.mailboxId} and incoming_email.raw_sha256 = ledger.raw_sha256
      and incoming_email.copy = 0
    returning ledger.key, incoming_email.id as of`.execute(tx);
  return rows;
}

async function insertTrace(
  tx: Tx,
  batch: IntakeBatch,
  ledgerIds: Map<string, number>,
  copies: Map<string, number>,
): Promise<void> {
  const rows = batch.items.filter((item) => ledgerIds.has(item.key));
  if (rows.length === 0) return;
  const events = rows.map((item) => storableJson(traceOf(batch, item, copies.get(item.key))));
  await sql`
    insert into trace (ledger_id, events)
    select ledger_id, events from unnest(${bigints(rows.map((item) => ledgerIds.get(item.key)!))}, ${jsons(events)})
      as item (ledger_id, events)`.execute(tx);
}

function traceOf(batch: IntakeBatch, item: IntakeItem, copyOf: number | undefined): TraceEvent[] {
  const { result } = item;
  const seen: TraceEvent = {
    event: 'seen',
    folder: batch.folder.path,
    epoch: batch.epoch,
    key: item.key,
    announcedBytes: item.size,
    internalDate: item.internalDate,
  };
  const stored: TraceEvent = {
    event: 'stored',
    sha256: result.state === 'stored' ? result.raw.sha256.toString('hex') : '',
    bytes: result.state === 'stored' ? result.raw.size : 0,
    state: result.state,
    reason: reasonOf(item),
  };
  if (copyOf === undefined) return [seen, stored];
  return [seen, stored, { event: 'duplicate', of: copyOf, reason: 'same content' }];
}
