/**
 * Subscriptions at providers as they are kept between their renewals. Times are the database's, so that it does not matter
 * which process keeps them.
 */
import { sql } from 'kysely';
import type { ErrorCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import type { RenewedSubscription, Subscription } from '../source/subscriptions.ts';
import type { Database, Tx } from './database.ts';
import { notify } from './notify.ts';

export interface KeptSubscription {
  id: number;
  mailboxId: number;
  /** Empty for a subscription to the whole account. */
  folder: string;
  /** Null while there is none at the provider. */
  providerId: string | null;
  /** Address and folders that it was made for. */
  madeFor: string | null;
  renewedAt: Date | null;
  expiresAt: Date | null;
  need: 'renew' | 'recreate' | null;
  failures: number;
  nextAttemptAt: Date | null;
}

/** Those of these mailboxes, and the time by the database's clock. */
export async function listSubscriptions(
  db: Database,
  mailboxIds: readonly number[],
): Promise<{ now: Date; kept: KeptSubscription[] }> {
  const clock = await sql<{ now: Date }>`select now() as now`.execute(db);
  const kept = await db
    .selectFrom('subscription')
    .select([
      'id',
      'mailbox_id as mailboxId',
      'folder',
      'provider_id as providerId',
      'made_for as madeFor',
      'renewed_at as renewedAt',
      'expires_at as expiresAt',
      'need',
      'failures',
      'next_attempt_at as nextAttemptAt',
    ])
    .where('mailbox_id', 'in', mailboxIds.length === 0 ? [0] : [...mailboxIds])
    .orderBy('id')
    .execute();
  return { now: clock.rows[0]!.now, kept };
}

/**
 * Takes the turn to do something about a subscription. Null when another process has it, or when it is too early. A turn
 * that never ends is over after `seconds`.
 */
export async function takeTurn(
  db: Database,
  mailboxId: number,
  folder: string,
  seconds: number,
): Promise<number | null> {
  const { rows } = await sql<{ id: number }>`
    insert into subscription (mailbox_id, folder, next_attempt_at)
    values (${mailboxId}, ${folder}, now() + make_interval(secs => ${seconds}))
    on conflict (mailbox_id, folder) do update set next_attempt_at = excluded.next_attempt_at
      where subscription.next_attempt_at is null or subscription.next_attempt_at <= now()
    returning id`.execute(db);
  return rows[0]?.id ?? null;
}

/**
 * Ends a turn that gave a new subscription. Mail may have come while there was none, of which nobody was told: so the
 * mailbox is to be polled, by the same commit.
 */
export async function saveMade(db: Database, id: number, madeFor: string, made: Subscription): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await saveRenewed(tx, id, made, null);
    await tx
      .updateTable('subscription')
      .set({ secret_sha256: made.secretSha256, made_for: madeFor, need: null })
      .where('id', '=', id)
      .execute();
  });
}

/** Ends a turn that renewed. What was asked for meanwhile, beyond `need`, stays asked for. */
export async function saveRenewed(
  db: Database | Tx,
  id: number,
  renewed: RenewedSubscription,
  need: KeptSubscription['need'],
): Promise<void> {
  const { rows } = await sql<{ mailboxId: number }>`
    update subscription set provider_id = ${renewed.id}, resource = ${renewed.resource},
      expires_at = ${renewed.expiresAt}, renewed_at = now(), history_id = ${renewed.historyId},
      need = case when need is distinct from ${need} then need end,
      failures = 0, error_code = null, error_message = null, error_at = null, next_attempt_at = null
    where id = ${id} returning mailbox_id as "mailboxId"`.execute(db);
  for (const { mailboxId } of rows) await notify(db, `mail:${mailboxId}`);
}

/** Ends a turn that failed; nobody tries again before `waitMs` are over. */
export async function saveFailed(
  db: Database,
  id: number,
  error: { code: ErrorCode; message: string },
  waitMs: number,
): Promise<void> {
  await sql`
    update subscription set failures = failures + 1, error_code = ${error.code}, error_at = now(),
      error_message = ${toStorableText(error.message, LIMITS.reasonChars)},
      next_attempt_at = now() + make_interval(secs => ${waitMs / 1000})
    where id = ${id}`.execute(db);
}

/** Ends a turn that was broken off: the next one may begin at once, and knows that one was. */
export async function giveTurnBack(db: Database, id: number): Promise<void> {
  await sql`update subscription set next_attempt_at = now() where id = ${id}`.execute(db);
}

export async function forgetSubscription(db: Database, id: number): Promise<void> {
  await db.deleteFrom('subscription').where('id', '=', id).execute();
}

/** Forgets those of mailboxes that were removed. At the provider they end by themselves within days. */
export async function forgetOfRemovedMailboxes(db: Database): Promise<void> {
  await sql`
    delete from subscription using mailbox
    where mailbox.id = mailbox_id and mailbox.deleted_at is not null`.execute(db);
}

/** How the subscriptions of a mailbox stand. */
export interface SubscriptionStanding {
  mailboxId: number;
  /** At the provider, of the first folder; null when one was never made. */
  providerId: string | null;
  /** When the first of them ends; null when one was never made. */
  expiresAt: Date | null;
  /** All of them are there and have not ended. */
  live: boolean;
  notifiedAt: Date | null;
  /** Failed attempts in a row to make or renew one, the most of any. */
  failures: number;
}

/** Of the mailboxes that are switched on, or of those that are named. */
export async function subscriptionStandings(
  db: Database | Tx,
  mailboxIds: readonly number[] | 'enabled' = 'enabled',
): Promise<SubscriptionStanding[]> {
  const which = mailboxIds === 'enabled' ? sql`enabled` : sql`mailbox_id = any(${[...mailboxIds]}::int[])`;
  const { rows } = await sql<SubscriptionStanding>`
    select mailbox_id as "mailboxId", max(notified_at) as "notifiedAt", max(failures) as failures,
      (array_agg(provider_id order by subscription.id))[1] as "providerId",
      case when bool_and(expires_at is not null) then min(expires_at) end as "expiresAt",
      coalesce(bool_and(expires_at > now()), false) as live
    from subscription join mailbox on mailbox.id = mailbox_id
    where ${which} and deleted_at is null group by mailbox_id`.execute(db);
  return rows;
}
