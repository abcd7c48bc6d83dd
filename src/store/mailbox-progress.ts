/** What the pollers last wrote about some mailboxes, with the time by the same clock. */
import { sql } from 'kysely';
import type { SourceKind } from '../source/source.ts';
import type { Database, Tx } from './database.ts';
import type { MailboxState } from './mailboxes.ts';

export interface MailboxProgress extends MailboxState {
  syncProgressAt: Date | null;
  missingFolders: string[];
  /** The database's clock, which wrote the times in here. */
  now: Date;
}

export async function mailboxProgress(
  db: Database | Tx,
  ids: number[],
): Promise<Map<number, MailboxProgress>> {
  const { rows } = await sql<MailboxProgress & { id: number }>`
    select mailbox_id as id, phase, phase_since as "phaseSince", last_listed_at as "lastListedAt",
      last_error_code as "lastErrorCode", last_error as "lastError", last_error_at as "lastErrorAt",
      consecutive_errors as "consecutiveErrors", next_attempt_at as "nextAttemptAt", sync_done as "syncDone",
      sync_total as "syncTotal", sync_started_at as "syncStartedAt", sync_progress_at as "syncProgressAt",
      missing_folders as "missingFolders",
      clock_timestamp() as now
    from mailbox_state where mailbox_id = any(${ids}::int[])`.execute(db);
  return new Map(rows.map(({ id, ...progress }) => [id, progress]));
}

/** Names of the secrets that are stored, by owner. */
export async function secretNames(db: Database | Tx, owners: string[]): Promise<Map<string, string[]>> {
  const rows = await db
    .selectFrom('secret')
    .select(['owner', 'name'])
    .where('owner', '=', sql<string>`any(${owners}::text[])`)
    .orderBy('name')
    .execute();
  const names = new Map<string, string[]>();
  for (const { owner, name } of rows) names.set(owner, [...(names.get(owner) ?? []), name]);
  return names;
}

/** Kinds of mailboxes, deleted ones too: their records are still there. */
export async function mailboxKinds(db: Database | Tx, ids: number[]): Promise<Map<number, SourceKind>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom('mailbox').select(['id', 'kind']).where('id', 'in', ids).execute();
  return new Map(rows.map(({ id, kind }) => [id, kind]));
}
