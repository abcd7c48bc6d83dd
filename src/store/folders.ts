/** Folders of a mailbox and how far each was listed. */
import { sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import type { Database, Tx } from './database.ts';
import type { ResyncState } from './states.ts';

export interface Folder {
  id: number;
  mailbox_id: number;
  path: string;
  epoch: string | null;
  cursor: string | null;
  first_cursor: string | null;
  resync: ResyncState | null;
  last_listed_at: Date | null;
  /** By the database's clock, when the row was read. */
  late_check_due: boolean;
}

/** The row of a folder, made when it is not there yet. */
export async function ensureFolder(db: Database, mailboxId: number, path: string): Promise<Folder> {
  await sql`insert into folder (mailbox_id, path) values (${mailboxId}, ${path}) on conflict do nothing`.execute(
    db,
  );
  return await db
    .selectFrom('folder')
    .selectAll()
    .select(
      sql<boolean>`coalesce(late_check_at <= now() - make_interval(secs => ${LIMITS.lateCheckSeconds}), true)`.as(
        'late_check_due',
      ),
    )
    .where('mailbox_id', '=', mailboxId)
    .where('path', '=', path)
    .executeTakeFirstOrThrow();
}

/** Binds a folder to the epoch found at its first opening, with the cursor of what was there then; null when that does not matter. */
export async function beginFolder(
  tx: Tx,
  folderId: number,
  epoch: string,
  firstCursor: string | null,
): Promise<void> {
  await tx
    .updateTable('folder')
    .set({ epoch, first_cursor: firstCursor })
    .where('id', '=', folderId)
    .execute();
}

/** Begins or ends the repair of a lost cursor. Its end also ends a first sync that was under way. */
export async function saveResync(
  tx: Tx,
  folderId: number,
  change: { epoch: string; resync: ResyncState | null; cursor: string | null },
): Promise<void> {
  await tx
    .updateTable('folder')
    .set({
      epoch: change.epoch,
      cursor: change.cursor,
      ...(change.resync === null
        ? { resync: null, first_cursor: null }
        : { resync: JSON.stringify(change.resync) }),
    })
    .where('id', '=', folderId)
    .execute();
}

/**
 * The mailbox is another account from now on. Keys mean other messages there, and servers number the folders and messages
 * of all accounts alike: only an epoch that no server has makes sure that the next pass begins the repair of a lost cursor.
 * `account` says whose the folders were.
 */
export async function leaveAccount(tx: Tx, mailboxId: number, account: string): Promise<void> {
  await sql`
    update folder set epoch = split_part(epoch, ' of ', 1) || ' of ' || ${account}, cursor = null,
      first_cursor = coalesce(first_cursor, cursor),
      resync = jsonb_build_object('oldEpochs', coalesce(resync->'oldEpochs', '[]') || to_jsonb(epoch),
        'reason', 'the account changed')
    where mailbox_id = ${mailboxId} and epoch is not null`.execute(tx);
}

/** The first sync from now on has accounted for what was there before it. */
export async function endFirstSync(tx: Tx, folderId: number): Promise<void> {
  await tx.updateTable('folder').set({ first_cursor: null }).where('id', '=', folderId).execute();
}

export async function saveCursor(tx: Tx, folderId: number, cursor: string): Promise<void> {
  await tx.updateTable('folder').set({ cursor }).where('id', '=', folderId).execute();
}

export async function markFolderListed(db: Database, folderId: number, lateCheck: boolean): Promise<void> {
  await sql`update folder set last_listed_at = now(),
    late_check_at = case when ${lateCheck} then now() else late_check_at end
    where id = ${folderId}`.execute(db);
}
