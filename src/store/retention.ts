/**
 * What is removed by age. Failed mail is never removed by itself, nor is mail whose outcome was not delivered yet; ledger
 * rows stay as the proof. Of mail that we send goes what was sent, and what a person deleted.
 */
import { sql } from 'kysely';
import type { Database } from './database.ts';

const BATCH = 5_000;

/**
 * Removes finished records older than `days`, their traces, and raw messages that no record names any more.
 * Returns the counts, the digests whose files can go, and packs that may have become empty. Runs in bounded steps; call
 * again while there is more.
 */
export async function purgeProcessed(
  db: Database,
  days: number,
): Promise<{ emails: number; raw: number; files: Buffer[]; packs: string[]; more: boolean }> {
  return await db.transaction().execute(async (tx) => {
    const { rows: emails } = await sql<{ ledger_id: number; raw_sha256: Buffer }>`
      delete from incoming_email where id in (
        select id from incoming_email
        where state in ('processed', 'ignored') and processed_at < now() - make_interval(days => ${days})
          and not exists (select 1 from delivery
            where delivery.email_id = incoming_email.id and delivery.state in ('pending', 'dead'))
        order by id limit ${BATCH} for update skip locked)
      returning ledger_id, raw_sha256`.execute(tx);
    if (emails.length === 0) return { emails: 0, raw: 0, files: [], packs: [], more: false };
    await sql`delete from trace where ledger_id = any(${emails.map((row) => row.ledger_id)}::bigint[])`.execute(
      tx,
    );
    // Bytes stored a moment ago may belong to a batch that is about to name them: leave a day between. A batch that
    // has just come upon old bytes holds their row.
    const { rows: raws } = await sql<{ sha256: Buffer; place: string; pack: string | null }>`
      delete from raw_message where sha256 in (
        select sha256 from raw_message where sha256 = any(${emails.map((row) => row.raw_sha256)}::bytea[])
          and created_at < now() - interval '1 day'
          and not exists (select 1 from incoming_email where raw_sha256 = raw_message.sha256)
        for update skip locked)
      returning sha256, place, pack`.execute(tx);
    return {
      emails: emails.length,
      raw: raws.length,
      files: raws.filter((row) => row.place === 'file').map((row) => row.sha256),
      packs: [...new Set(raws.flatMap((row) => row.pack ?? []))],
      more: emails.length === BATCH,
    };
  });
}

/**
 * Removes mail of ours that was sent, or deleted by a person, more than `days` ago, and what was asked to be sent once
 * nothing is left of it, with its files. What failed or is in doubt waits for a person. Call again while `more`.
 */
export async function purgeSent(db: Database, days: number): Promise<{ sent: number; more: boolean }> {
  return await db.transaction().execute(async (tx) => {
    const limit = sql`now() - make_interval(days => ${days})`;
    const mails = await sql`
      delete from outgoing_email where id in (
        select id from outgoing_email
        where (state = 'sent' and sent_at < ${limit}) or (deleted_at < ${limit} and state <> 'sending')
        limit ${BATCH} for update skip locked)`.execute(tx);
    const stores = await sql`
      delete from email_store where id in (
        select id from email_store
        where created_at < ${limit}
          and not exists (select 1 from outgoing_email where email_store_id = email_store.id)
        order by id limit ${BATCH} for update skip locked)`.execute(tx);
    const [sent, wishes] = [mails, stores].map(({ numAffectedRows }) => Number(numAffectedRows ?? 0));
    return { sent: sent!, more: sent === BATCH || wishes === BATCH };
  });
}
