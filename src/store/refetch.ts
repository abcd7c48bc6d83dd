/** Messages that were given up, asked for once more by a person. */
import { sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import { writeAudit } from './audit-log.ts';
import type { Database, Tx } from './database.ts';
import { appendTraces } from './ledger.ts';
import type { Mailbox } from './mailboxes.ts';
import { notify } from './notify.ts';

/** Ends that another attempt can change: the server may be repaired, or the size limit of the mailbox raised. */
export type RefetchState = 'fetch_failed' | 'oversized';

export interface RefetchChoice {
  state: RefetchState;
  /** Null = in all folders, and all keys. */
  folder: string | null;
  key: string | null;
}

export interface GivenUp {
  ledgerId: number;
  folder: string;
  key: string;
  size: number;
  reason: string | null;
}

/**
 * What was given up and can be asked for again, oldest first: at most `LIMITS.refetchAtOnce`. Keys of another epoch
 * mean nothing to the server any more, and folders that the mailbox no longer reads would never be tried.
 */
export async function givenUp(
  db: Database | Tx,
  mailbox: Mailbox,
  { state, folder, key }: RefetchChoice,
): Promise<GivenUp[]> {
  const read = mailbox.settings.folders;
  const { rows } = await sql<GivenUp>`
    select ledger.id as "ledgerId", folder.path as folder, ledger.key, ledger.size, ledger.reason
    from ledger join folder on folder.id = ledger.folder_id and folder.epoch = ledger.epoch
    where ledger.mailbox_id = ${mailbox.id} and ledger.state = ${state}
      and (folder.path = any(${read}::text[]) or lower(folder.path) = any(${read.map((path) => path.toLowerCase())}::text[]))
      and folder.path = coalesce(${folder}, folder.path) and ledger.key = coalesce(${key}, ledger.key)
    order by ledger.id limit ${LIMITS.refetchAtOnce}`.execute(db);
  return rows;
}

/**
 * Gives what was given up new attempts, with the next poll, which begins at once. Notes in traces and audit log who
 * asked. Returns what is asked for again.
 */
export async function refetch(
  tx: Tx,
  mailbox: Mailbox,
  choice: RefetchChoice,
  actor: string,
): Promise<GivenUp[]> {
  const rows = await givenUp(tx, mailbox, choice);
  const { rows: asked } = await sql<{ id: number }>`
    update ledger set state = 'pending', reason = 'asked for again', fetch_attempts = 0, next_fetch_at = now()
    where id = any(${rows.map((row) => row.ledgerId)}::bigint[]) and state = ${choice.state}
    returning id`.execute(tx);
  if (asked.length === 0) return [];
  await appendTraces(
    tx,
    asked.map(({ id }) => ({ ledgerId: id, events: [{ event: 'refetch' as const, by: actor }] })),
  );
  const change = { ...choice, messages: asked.length };
  await writeAudit(tx, { actor, action: 'refetch', entity: 'mailbox', entityId: mailbox.id, change });
  await notify(tx, `poll:${mailbox.id}`);
  const ids = new Set(asked.map(({ id }) => id));
  return rows.filter((row) => ids.has(row.ledgerId));
}
