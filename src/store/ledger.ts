/** Questions to the ledger, and what the poller writes there outside the intake commit. */
import { sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import type { TraceEvent } from '../observe/trace.ts';
import { bigints, floats, jsons, smallints, texts } from './columns.ts';
import type { Database, Tx } from './database.ts';
import { requireLease } from './leases.ts';
import { storableJson } from './storable-json.ts';

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

export interface DueDisposition {
  id: number;
  key: string;
  attempts: number;
}

/** Messages that are safe here and wait for their effect on the server. */
export async function dueDispositions(
  db: Database,
  folderId: number,
  epoch: string,
  limit: number,
): Promise<DueDisposition[]> {
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
  /** Attempts made by now. */
  attempts: number;
  result: 'done' | 'gone' | 'failed' | 'pending';
  error: string | null;
  retryInSeconds: number;
}

/** Counts attempts before they are made, and says when the next ones would be due. */
export async function noteDispositionAttempts(
  db: Database,
  rows: Pick<DispositionResult, 'id' | 'attempts' | 'retryInSeconds'>[],
): Promise<void> {
  await sql`
    update ledger set disposition_attempts = item.attempts,
      next_disposition_at = now() + make_interval(secs => item.retry)
    from unnest(${bigints(rows.map((r) => r.id))}, ${smallints(rows.map((r) => r.attempts))},
      ${floats(rows.map((r) => r.retryInSeconds))}) as item (id, attempts, retry)
    where ledger.id = item.id and ledger.disposition = 'pending'`.execute(db);
}

/** Records what became of the effects on the server. `removes`: what was done takes messages out of the folder. */
export async function saveDispositions(
  db: Database,
  mailboxId: number,
  leaseToken: number,
  what: string,
  removes: boolean,
  results: DispositionResult[],
): Promise<void> {
  if (results.length === 0) return;
  await db.transaction().execute(async (tx) => {
    await requireLease(tx, mailboxId, leaseToken);
    // Not worth waiting for the disk: after a power cut the effect is asked for once more, and finds itself done.
    await sql`set local synchronous_commit = off`.execute(tx);
    const errors = results.map((r) =>
      r.error === null ? null : toStorableText(r.error, LIMITS.reasonChars),
    );
    await sql`
      update ledger set disposition = item.result, disposition_error = item.error,
        disposition_attempts = item.attempts,
        next_disposition_at = case when item.result = 'pending' then now() + make_interval(secs => item.retry) end
      from unnest(${bigints(results.map((r) => r.id))}, ${texts(results.map((r) => r.result))},
        ${texts(errors)}, ${smallints(results.map((r) => r.attempts))},
        ${floats(results.map((r) => r.retryInSeconds))}) as item (id, result, error, attempts, retry)
      where ledger.id = item.id`.execute(tx);
    const finished = results.filter((r) => r.result !== 'pending');
    if (finished.length === 0) return;
    const left = finished.filter((r) => r.result === 'gone' || (removes && r.result === 'done'));
    if (left.length > 0) {
      await sql`
        update incoming_email set removed_from_server = true from ledger
        where ledger.id = any(${left.map((r) => r.id)}::bigint[])
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

/** Adds to the traces of messages, in the caller's transaction. Events may come as JSON text that is storable. */
export async function appendTraces(
  tx: Tx,
  rows: { ledgerId: number; events: TraceEvent[] | string }[],
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into trace (ledger_id, events)
    select ledger_id, events from unnest(${bigints(rows.map((row) => row.ledgerId))},
      ${jsons(rows.map(({ events }) => (typeof events === 'string' ? events : storableJson(events))))}) as item (ledger_id, events)`.execute(
    tx,
  );
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

/**
 * Counts an attempt before it is made, and says when the next one would be due: a message that breaks the session
 * must not be the first again at once.
 */
export async function noteFetchAttempt(db: Database, id: number, retryInSeconds: number): Promise<void> {
  await sql`
    update ledger set fetch_attempts = fetch_attempts + 1,
      next_fetch_at = now() + make_interval(secs => ${retryInSeconds})
    where id = ${id} and state = 'pending'`.execute(db);
}
