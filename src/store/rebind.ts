/** The ledger's side of a lost cursor: finds known rows by content and gives them their new keys. */
import { sql } from 'kysely';
import { bigints, ints, texts, timestamps } from './columns.ts';
import type { Database, Tx } from './database.ts';
import { appendTraces } from './ledger.ts';

const GONE_WITH_EPOCH = 'gone with its epoch';

export interface RebindCandidate {
  id: number;
  headerSha256: Buffer;
  rawSha256: Buffer | null;
  size: number;
  epoch: string;
  key: string;
}

/** A row without content: the message was never fetched, so only date and size can recognise it. */
export interface BareCandidate {
  id: number;
  epoch: string;
  key: string;
  internalDate: Date;
  size: number;
}

/** How many rows are wanted that were received at this instant and, unless null, announced with this size. */
export interface BareWish {
  internalDate: string;
  size: number | null;
  count: number;
}

export type BareState = 'pending' | 'fetch_failed' | 'skipped' | 'oversized';

/**
 * Rows of other epochs of this folder with one of these header digests. Of equal messages those that are surely
 * still on the server come last.
 */
export async function rebindCandidates(
  db: Database,
  folderId: number,
  epoch: string,
  headers: Buffer[],
): Promise<RebindCandidate[]> {
  if (headers.length === 0) return [];
  const { rows } = await sql<RebindCandidate>`
    select id, header_sha256 as "headerSha256", raw_sha256 as "rawSha256", size, epoch, key from ledger
    where folder_id = ${folderId} and epoch <> ${epoch} and header_sha256 = any(${headers}::bytea[])
    order by disposition in ('pending', 'failed'), id desc`.execute(db);
  return rows;
}

/** Rows of other epochs of this folder without content, as many of each kind as are wanted, oldest first. */
export async function bareCandidates(
  db: Database,
  folderId: number,
  epoch: string,
  states: readonly BareState[],
  wishes: readonly BareWish[],
): Promise<BareCandidate[]> {
  if (wishes.length === 0) return [];
  const { rows } = await sql<BareCandidate>`
    select found.* from unnest(${timestamps(wishes.map((wish) => wish.internalDate))},
      ${bigints(wishes.map((wish) => wish.size))}, ${ints(wishes.map((wish) => wish.count))})
      as wish (internal_date, size, count)
    cross join lateral (
      select id, epoch, key, internal_date as "internalDate", size from ledger
      where folder_id = ${folderId} and epoch <> ${epoch} and header_sha256 is null
        and internal_date = wish.internal_date and size = coalesce(wish.size, size)
        and state = any(${states}::text[])
      order by id limit wish.count) as found`.execute(db);
  return rows;
}

/**
 * Gives known messages their new keys after a lost cursor. A row that already waits under such a key, because the
 * message could not be read when it was listed, is merged into the known one.
 */
export async function rebind(
  tx: Tx,
  folderId: number,
  epoch: string,
  pairs: { candidate: { id: number; epoch: string; key: string }; key: string }[],
): Promise<void> {
  if (pairs.length === 0) return;
  const ids = pairs.map(({ candidate }) => candidate.id);
  const keys = pairs.map(({ key }) => key);
  await sql`
    with waiting as (
      delete from ledger where folder_id = ${folderId} and epoch = ${epoch} and key = any(${keys}::text[])
        and state = 'pending' returning id, key)
    update trace set ledger_id = item.id
    from waiting join unnest(${bigints(ids)}, ${texts(keys)}) as item (id, key) on item.key = waiting.key
    where trace.ledger_id = waiting.id`.execute(tx);
  await sql`
    update ledger set epoch = ${epoch}, key = item.key
    from unnest(${bigints(ids)}, ${texts(keys)}) as item (id, key) where ledger.id = item.id`.execute(tx);
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
 * Renames what rows of `epoch` call their epoch. The server came back to an epoch that it had left, and nothing says
 * that its keys still mean the same messages. Returns the name, or null when there were no such rows.
 */
export async function setEpochAside(tx: Tx, folderId: number, epoch: string): Promise<string | null> {
  const { rows } = await sql<{ epoch: string }>`
    with name as (select ${epoch}::text || ' until ' || now()::text as epoch)
    update ledger set epoch = name.epoch from name
    where folder_id = ${folderId} and ledger.epoch = ${epoch} returning name.epoch`.execute(tx);
  return rows[0]?.epoch ?? null;
}

/**
 * Ends a repair: rows of other epochs that were not found again have left the server, so their pending effects
 * and fetches are over. Returns how many rows of `oldEpochs` left the server in all; with `removes`, those are left
 * out that we took from it ourselves.
 */
export async function closeEpochs(
  tx: Tx,
  folderId: number,
  epoch: string,
  oldEpochs: readonly string[],
  removes: boolean,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from ledger
    where folder_id = ${folderId} and epoch = any(${oldEpochs}::text[]) and state <> 'gone'
      and not (${removes} and disposition in ('done', 'gone'))`.execute(tx);
  await sql`
    update ledger set
      state = case when state = 'pending' then 'gone' else state end,
      reason = case when state = 'pending' then ${GONE_WITH_EPOCH} else reason end,
      disposition = case when disposition = 'pending' then 'gone' else disposition end
    where folder_id = ${folderId} and epoch <> ${epoch} and (state = 'pending' or disposition = 'pending')`.execute(
    tx,
  );
  return rows[0]?.count ?? 0;
}
