/** Locks for changes that read, decide and write: two of them at once must not undo each other. */
import { sql } from 'kysely';
import type { Tx } from './database.ts';

/** Always in the order of ids, so that two requests about the same rows wait instead of deadlocking. */
export async function lockMailboxes(tx: Tx, ids: number[]): Promise<void> {
  await sql`select id from mailbox where id = any(${ids}::bigint[]) order by id for update`.execute(tx);
}

export async function lockRules(tx: Tx, ids: number[]): Promise<void> {
  await sql`select id from email_rule where id = any(${ids}::bigint[]) order by id for update`.execute(tx);
}

export async function lockEmails(tx: Tx, ids: number[]): Promise<void> {
  await sql`select id from incoming_email where id = any(${ids}::bigint[]) order by id for update`.execute(
    tx,
  );
}

const CREATION = { mailbox: 728_341_903, email_rule: 728_341_904 } as const;

/** One creation of a kind at a time, where a new row is compared with those that are there. Until the commit. */
export async function lockCreation(tx: Tx, kind: keyof typeof CREATION): Promise<void> {
  await sql`select pg_advisory_xact_lock(${CREATION[kind]})`.execute(tx);
}
