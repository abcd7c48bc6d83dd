/** Locks for changes that read, decide and write: two of them at once must not undo each other. */
import { sql } from 'kysely';
import type { Tx } from './database.ts';

/**
 * Always in the order of ids, so that two requests about the same rows wait instead of deadlocking. Whoever writes a row
 * that names one of these need not wait.
 */
export async function lockRows(
  tx: Tx,
  table: 'mailbox' | 'incoming_email' | 'outgoing_email' | 'email_store',
  ids: readonly number[],
): Promise<void> {
  await sql`select id from ${sql.table(table)} where id = any(${ids}::bigint[]) order by id for no key update`.execute(
    tx,
  );
}

export async function lockMailboxes(tx: Tx, ids: readonly number[]): Promise<void> {
  await lockRows(tx, 'mailbox', ids);
}

export async function lockEmails(tx: Tx, ids: readonly number[]): Promise<void> {
  await lockRows(tx, 'incoming_email', ids);
}

const CREATION = 4;
const RULE_SET = 728_341_904;

/** What is compared with all others of its kind when it is made. Each has a number of its own. */
const COMPARED = { mailbox: 1, formatted_email: 2, site: 3, destination: 4, user: 5 } as const;

/**
 * One creation at a time, where a new record is compared with those that are there: a request that came twice makes one.
 * Until the commit.
 */
export async function lockCreation(tx: Tx, kind: keyof typeof COMPARED): Promise<void> {
  await sql`select pg_advisory_xact_lock(${CREATION}, ${COMPARED[kind]})`.execute(tx);
}

/**
 * One change of rules at a time. The version of the rule set is the number of its newest change: were two changes
 * to commit in another order than they were numbered in, the later one would not be noticed. Until the commit.
 */
export async function lockRuleSet(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${RULE_SET})`.execute(tx);
}
