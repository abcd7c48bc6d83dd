/** Mail of ours as people look at it, and what they do about it. */
import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';
import { notify } from './notify.ts';
import { endPause, type OutgoingRow } from './outgoing.ts';
import type { OutgoingState } from './states.ts';

export interface OutgoingFilter {
  /** Only what failed, waits after a failure, is in doubt, or came back. */
  errorsOnly: boolean;
  state: OutgoingState | null;
  mailboxId: number | null;
  /** Older than this one. */
  beforeId: number | null;
  most: number;
}

/** The newest first. */
export async function listOutgoing(db: Database, filter: OutgoingFilter): Promise<OutgoingRow[]> {
  let query = db.selectFrom('outgoing_email').selectAll().where('deleted_at', 'is', null);
  if (filter.errorsOnly) {
    query = query.where((eb) => eb.or([eb('error_code', 'is not', null), eb('bounced_at', 'is not', null)]));
  }
  if (filter.state !== null) query = query.where('state', '=', filter.state);
  if (filter.mailboxId !== null) query = query.where('mailbox_id', '=', filter.mailboxId);
  if (filter.beforeId !== null) query = query.where('id', '<', filter.beforeId);
  return await query.orderBy('id', 'desc').limit(filter.most).execute();
}

export async function lockOutgoing(tx: Tx, id: number): Promise<OutgoingRow | null> {
  const row = await tx
    .selectFrom('outgoing_email')
    .selectAll()
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .forUpdate()
    .executeTakeFirst();
  return row ?? null;
}

/** Whether a person may have it sent again: it failed, waits after a failure, is in doubt, or came back. */
export function maySendAgain(row: OutgoingRow): boolean {
  return row.state !== 'sending' && (row.error_code !== null || row.bounced_at !== null);
}

/**
 * Sends a mail again, now, and from its mailbox too if that paused. To those who have it already it does not go once
 * more, unless nobody knows that, or it came back.
 */
export async function sendAgain(
  tx: Tx,
  { id, mailbox_id: mailboxId, bounced_at: bounced }: OutgoingRow,
): Promise<void> {
  await sql`
    update outgoing_email set state = 'queued', attempts = 0, next_attempt_at = now(), handover_at = null,
      delivered = case when ${bounced !== null} then '{}' else delivered end, refused = '[]', error_code = null,
      error_message = null, bounce = null, bounced_at = null, sent_at = null, change_seq = change_seq + 1,
      -- For its age counts how long it is tried.
      created_at = now()
    where id = ${id}`.execute(tx);
  await endPause(tx, mailboxId);
  await notify(tx, 'outgoing');
}

/** A person found that it was sent. */
export async function markSent(tx: Tx, { id }: OutgoingRow): Promise<void> {
  await sql`
    update outgoing_email set state = 'sent', sent_at = coalesce(handover_at, now()), error_code = null,
      error_message = null, change_seq = change_seq + 1
    where id = ${id}`.execute(tx);
}

/** Hides a mail; one that waits is not sent any more. */
export async function deleteOutgoing(tx: Tx, { id }: OutgoingRow): Promise<void> {
  await sql`update outgoing_email set deleted_at = now() where id = ${id}`.execute(tx);
}
