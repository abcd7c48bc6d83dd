/** Locks for changes that read, decide and write: two of them at once must not undo each other. */
import { sql } from 'kysely';
import type { Tx } from './database.ts';

/** Always in the order of ids, so that two requests about the same rows wait instead of deadlocking. */
export async function lockMailboxes(tx: Tx, ids: number[]): Promise<void> {
  await sql`select id from mailbox where id = any(${ids}::bigint[]) order by id for update`.execute(tx);
}

export async function lockEmails(tx: Tx, ids: number[]): Promise<void> {
  await sql`select id from incoming_email where id = any(${ids}::bigint[]) order by id for update`.execute(
    tx,
  );
}

const MAILBOX_CREATION = 728_341_903;
const RULE_SET = 728_341_904;

/** One creation at a time, where a new mailbox is compared with those that are there. Until the commit. */
export async function lockMailboxCreation(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${MAILBOX_CREATION})`.execute(tx);
}

/**
 * One change of rules at a time. The version of the rule set is the number of its newest change: were two changes
 * to commit in another order than they were numbered in, the later one would not be noticed. Until the commit.
 */
export async function lockRuleSet(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${RULE_SET})`.execute(tx);
}
