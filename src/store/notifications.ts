/** What providers have told: noted with the subscription, and passed on to the pollers by the same commit. */
import { sql } from 'kysely';
import type { SourceKind } from '../source/source.ts';
import { bigints, texts } from './columns.ts';
import type { Database, Tx } from './database.ts';
import { type Notice, notify } from './notify.ts';

/** A subscription that a notification names. */
export interface NamedSubscription {
  id: number;
  mailboxId: number;
  providerId: string;
  secretSha256: Buffer | null;
}

/** Subscriptions of this kind by their ids at the provider; for Gmail that is the address of the account. */
export async function findNamed(
  db: Database,
  kind: SourceKind,
  providerIds: readonly string[],
): Promise<NamedSubscription[]> {
  const { rows } = await sql<NamedSubscription>`
    select subscription.id, mailbox_id as "mailboxId", provider_id as "providerId", secret_sha256 as "secretSha256"
    from subscription join mailbox on mailbox.id = mailbox_id
    where provider_id = any(${[...providerIds]}::text[]) and kind = ${kind} and deleted_at is null`.execute(
    db,
  );
  return rows;
}

/**
 * Makes it durable that these were told of: one statement for all of them, however many notifications there were. `need`
 * is what a lifecycle event asks for; the stronger wish stays.
 */
export async function noteNotified(
  db: Database,
  told: readonly { id: number; need: 'renew' | 'recreate' | null }[],
): Promise<void> {
  if (told.length === 0) return;
  await db.transaction().execute(async (tx) => {
    const ids = told.map(({ id }) => id);
    const needs = told.map(({ need }) => need);
    // Locked in one order, so that two processes that are told of the same mailboxes cannot wait for each other.
    const { rows } = await sql<{ mailboxId: number }>`
      with locked as (select id from subscription where id = any(${ids}::bigint[]) order by id for update)
      update subscription set notified_at = now(),
        need = case when 'recreate' in (told.need, subscription.need) then 'recreate'
          else coalesce(told.need, subscription.need) end
      from locked join unnest(${bigints(ids)}, ${texts(needs)}) as told (id, need) using (id)
      where subscription.id = locked.id returning mailbox_id as "mailboxId"`.execute(tx);
    const notices = new Set<Notice>(rows.map(({ mailboxId }) => `mail:${mailboxId}` as const));
    if (needs.some((need) => need !== null)) notices.add('subscriptions');
    await notify(tx, ...notices);
  });
}

/** Asks for the subscriptions of a mailbox to be renewed now. */
export async function askToRenew(tx: Tx, mailboxId: number): Promise<void> {
  await sql`update subscription set need = coalesce(need, 'renew') where mailbox_id = ${mailboxId}`.execute(
    tx,
  );
  await notify(tx, 'subscriptions');
}

/** Those of these mailboxes that were told of mail and not listed since: a notice may have been lost on its way. */
export async function listUnheard(db: Database, mailboxIds: readonly number[]): Promise<number[]> {
  const { rows } = await sql<{ id: number }>`
    select distinct subscription.mailbox_id as id
    from subscription join mailbox_state using (mailbox_id)
    where subscription.mailbox_id = any(${[...mailboxIds]}::int[]) and notified_at is not null
      and notified_at > coalesce(last_listed_at, '-infinity')`.execute(db);
  return rows.map(({ id }) => id);
}
