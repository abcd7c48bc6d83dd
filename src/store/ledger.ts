/** Questions to the ledger, and what the poller writes there outside the intake commit. */
import { sql } from 'kysely';
import type { TraceEvent } from '../observe/trace.ts';
import type { Database, Tx } from './database.ts';
import { requireLease } from './leases.ts';
import { storableJson } from './storable-json.ts';

const GONE_WITH_EPOCH = 'gone with its epoch';

export interface LedgerRow {
  id: number;
  key: string;
  size: number;
  internal_date: Date | null;
  fetch_attempts: number;
}

/** Messages whose fetch failed before and is due again, oldest first. */
export async function dueFetches(
  db: Database,
  folderId: number,
  epoch: string,
  limit: number,
): Promise<LedgerRow[]> {
  return await db
    .selectFrom('ledger')
    .select(['id', 'key', 'size', 'internal_date', 'fetch_attempts'])
    .where('folder_id', '=', folderId)
    .where('state', '=', 'pending')
    .where('epoch', '=', epoch)
    .where('next_fetch_at', '<=', sql<Date>`now()`)
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Which of these keys the ledger has. */
export async function knownKeys(
  db: Database,
  folderId: number,
  epoch: string,
  keys: string[],
): Promise<Set<string>> {
  const rows = await db
    .selectFrom('ledger')
    .select('key')
    .where('folder_id', '=', folderId)
    .where('epoch', '=', epoch)
    .where('key', '=', sql<string>`any(${keys}::text[])`)
    .execute();
  return new Set(rows.map((row) => row.key));
}

/** Messages that are safe here and wait for their effect on the server. */
export async function dueDispositions(
  db: Database,
  folderId: number,
  epoch: string,
  limit: number,
): Promise<{ id: number; key: string; attempts: number }[]> {
  return await db
    .selectFrom('ledger')
    .select(['id', 'key', 'disposition_attempts as attempts'])
    .where('folder_id', '=', folderId)
    .where('disposition', '=', 'pending')
    .where('epoch', '=', epoch)
    .where((eb) =>
      eb.or([eb('next_disposition_at', 'is', null), eb('next_disposition_at', '<=', sql<Date>`now()`)]),
    )
    .orderBy('id')
    .limit(limit)
    .execute();
}

export interface DispositionResult {
  id: number;
  result: 'done' | 'gone' | 'failed' | 'pending';
  error: string | null;
  retryInSeconds: number;
}

/** Records what became of the effects on the server. `removed`: the message has left its folder. */
export async function saveDispositions(
  db: Database,
  mailboxId: number,
  leaseToken: number,
  what: string,
  removed: boolean,
  results: DispositionResult[],
): Promise<void> {
  if (results.length === 0) return;
  await db.transaction().execute(async (tx) => {
    await requireLease(tx, mailboxId, leaseToken);
    await sql`
      update ledger set disposition = item.result, disposition_error = item.error,
        disposition_attempts = disposition_attempts + 1,
        next_disposition_at = case when item.result = 'pending' then now() + make_interval(secs => item.retry) end
      from unnest(${results.map((r) => r.id)}::bigint[], ${results.map((r) => r.result)}::text[],
        ${results.map((r) => r.error)}::text[], ${results.map((r) => r.retryInSeconds)}::float8[])
        as item (id, result, error, retry)
      where ledger.id = item.id`.execute(tx);
    const finished = results.filter((r) => r.result !== 'pending');
    if (finished.length === 0) return;
    if (removed) {
      await sql`
        update incoming_email set removed_from_server = true from ledger
        where ledger.id = any(${finished.filter((r) => r.result !== 'failed').map((r) => r.id)}::bigint[])
          and ledger.state = 'stored' and incoming_email.id = ledger.incoming_email_id`.execute(tx);
    }
    await appendTraces(
      tx,
      finished.map((r) => ({
        ledgerId: r.id,
        events: [{ event: 'disposed', what, result: r.error ?? r.result }],
      })),
    );
  });
}

/** Adds to the traces of messages, in the caller's transaction. */
export async function appendTraces(
  tx: Tx,
  rows: { ledgerId: number; events: TraceEvent[] }[],
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into trace (ledger_id, events)
    select ledger_id, events from unnest(${rows.map((row) => row.ledgerId)}::bigint[],
      ${rows.map((row) => storableJson(row.events))}::jsonb[]) as item (ledger_id, events)`.execute(tx);
}

export interface RebindCandidate {
  id: number;
  headerSha256: Buffer;
  rawSha256: Buffer | null;
  size: number;
  epoch: string;
  key: string;
}

/** Rows of other epochs of this folder with one of these header digests, not yet bound to `epoch`. */
export async function rebindCandidates(
  db: Database,
  folderId: number,
  epoch: string,
  headers: Buffer[],
): Promise<RebindCandidate[]> {
  const { rows } = await sql<RebindCandidate>`
    select id, header_sha256 as "headerSha256", raw_sha256 as "rawSha256", size, epoch, key from ledger
    where folder_id = ${folderId} and epoch <> ${epoch} and header_sha256 = any(${headers}::bytea[])
      and reason is distinct from ${GONE_WITH_EPOCH}
    order by id desc`.execute(db);
  return rows;
}

/** Gives known messages their new keys after a lost cursor. */
export async function rebind(
  tx: Tx,
  epoch: string,
  pairs: { candidate: RebindCandidate; key: string }[],
): Promise<void> {
  if (pairs.length === 0) return;
  await sql`
    update ledger set epoch = ${epoch}, key = item.key
    from unnest(${pairs.map((p) => p.candidate.id)}::bigint[], ${pairs.map((p) => p.key)}::text[]) as item (id, key)
    where ledger.id = item.id`.execute(tx);
  await appendTraces(
    tx,
    pairs.map(({ candidate, key }) => ({
      ledgerId: candidate.id,
      events: [
        { event: 'rebound', fromEpoch: candidate.epoch, fromKey: candidate.key, toEpoch: epoch, toKey: key },
      ],
    })),
  );
}

/**
 * Ends a repair: rows of other epochs that were not found again have left the server, so their pending effects
 * and fetches are over. Returns how many rows left the server in all.
 */
export async function closeEpoch(tx: Tx, folderId: number, oldEpoch: string): Promise<number> {
  await sql`
    update ledger set
      state = case when state = 'pending' then 'gone' else state end,
      reason = case when state = 'pending' then ${GONE_WITH_EPOCH} else reason end,
      disposition = case when disposition = 'pending' then 'gone' else disposition end
    where folder_id = ${folderId} and epoch = ${oldEpoch} and (state = 'pending' or disposition = 'pending')`.execute(
    tx,
  );
  const row = await tx
    .selectFrom('ledger')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('folder_id', '=', folderId)
    .where('epoch', '=', oldEpoch)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Counts by state, for the audit and the metrics. */
export async function ledgerCounts(db: Database, mailboxId: number): Promise<Record<string, number>> {
  const rows = await db
    .selectFrom('ledger')
    .select(['state', (eb) => eb.fn.countAll<number>().as('count')])
    .where('mailbox_id', '=', mailboxId)
    .groupBy('state')
    .execute();
  return Object.fromEntries(rows.map((row) => [row.state, Number(row.count)]));
}

/** Counts an attempt before it is made. */
export async function noteFetchAttempt(db: Database, id: number): Promise<void> {
  await sql`update ledger set fetch_attempts = fetch_attempts + 1 where id = ${id} and state = 'pending'`.execute(
    db,
  );
}
