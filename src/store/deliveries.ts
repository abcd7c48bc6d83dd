/** The outbox: what is on its way to destinations, from the commit of an outcome to the end. */
import { sql } from 'kysely';
import { type OutcomeEvent, streamOf } from '../deliver/event.ts';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import { bigints, ints, jsons, texts } from './columns.ts';
import type { Database, Tx } from './database.ts';
import type { DeliveryState } from './states.ts';
import { storableJson } from './storable-json.ts';

/** An outcome for one destination. */
export interface NewDelivery {
  destinationId: number;
  ledgerId: number;
  event: OutcomeEvent;
}

/** Writes into the outbox, in the transaction of the outcomes. Rows of one stream keep their order. */
export async function queueDeliveries(tx: Tx, deliveries: readonly NewDelivery[]): Promise<void> {
  if (deliveries.length === 0) return;
  const events = deliveries.map(({ event }) => event);
  await sql`
    insert into delivery (destination_id, ledger_id, event, stream, email_id, ticket_id, payload)
    select item.destination_id, ledger_id, event, stream, email_id, ticket_id, payload
    from unnest(${ints(deliveries.map((one) => one.destinationId))}, ${bigints(deliveries.map((one) => one.ledgerId))},
      ${texts(events.map(({ type }) => type))}, ${texts(events.map(streamOf))},
      ${bigints(events.map(({ email }) => email.id))}, ${bigints(events.map(({ ticket }) => ticket?.id ?? null))},
      ${jsons(events.map(storableJson))}) with ordinality
      as item (destination_id, ledger_id, event, stream, email_id, ticket_id, payload, place)
    order by place`.execute(tx);
}

/** Destinations that have something due and may be sent to. Cheap: asked every second. */
export async function dueDestinations(db: Database): Promise<number[]> {
  const { rows } = await sql<{ id: number }>`
    select id from destination
    where enabled and deleted_at is null and (open_until is null or open_until <= now())
      and exists (select 1 from delivery where destination_id = destination.id and state = 'pending'
        and next_attempt_at <= now())
    order by id`.execute(db);
  return rows.map(({ id }) => id);
}

/** A delivery that this process holds. The result is written with `claim` only. */
export interface ClaimedDelivery {
  id: number;
  claim: number;
  messageId: string;
  destinationId: number;
  event: OutcomeEvent;
  ledgerId: number;
  ticketId: number | null;
  /** This one counted. */
  attempts: number;
  /** It may have arrived before: an earlier attempt was made, and nobody knows how far it got. */
  maybeSent: boolean;
  ageSeconds: number;
  createdAt: Date;
}

/**
 * Takes what is due at a destination, oldest first: at most one of a stream, and only when nothing of that stream
 * waits before it. The row of the destination is held meanwhile, so that all processes together keep to its
 * concurrency; a destination that failed last is sent one delivery only. Counts the attempt before it is made.
 */
export async function claimDeliveries(db: Database, destinationId: number): Promise<ClaimedDelivery[]> {
  return await db.transaction().execute(async (tx) => {
    // By a statement of its own: one that waits for a lock counts what there was before it waited.
    await sql`select 1 from destination where id = ${destinationId} for update`.execute(tx);
    const { rows: slots } = await sql<{ free: number; seconds: number }>`
      select (case when consecutive_failures > 0 then 1 else (settings->>'concurrency')::int end
          - (select count(*) from delivery where destination_id = destination.id and state = 'pending'
              and claimed_until > now()))::int as free,
        (settings->>'timeoutSeconds')::int * 5 + ${LIMITS.deliveryClaimSeconds}::int as seconds
      from destination
      where id = ${destinationId} and enabled and deleted_at is null
        and (open_until is null or open_until <= now())`.execute(tx);
    const [slot] = slots;
    if (slot === undefined || slot.free <= 0) return [];
    const { rows } = await sql<ClaimedDelivery>`
      update delivery set attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, now()),
        claim_token = nextval('delivery_claim'), claimed_until = now() + make_interval(secs => ${slot.seconds})
      where id in (
        select id from delivery
        where destination_id = ${destinationId} and state = 'pending' and next_attempt_at <= now()
          and (claimed_until is null or claimed_until <= now())
          and not exists (select 1 from delivery before where before.destination_id = delivery.destination_id
            and before.stream = delivery.stream and before.state = 'pending' and before.id < delivery.id)
        order by next_attempt_at, id limit ${slot.free} for update)
      returning id, claim_token as claim, 'msg_' || replace(message_id::text, '-', '') as "messageId",
        destination_id as "destinationId", payload as event, ledger_id as "ledgerId", ticket_id as "ticketId", attempts,
        attempts > 1 or replays > 0 as "maybeSent",
        extract(epoch from now() - first_attempt_at)::float8 as "ageSeconds", created_at as "createdAt"`.execute(
      tx,
    );
    return rows.sort((a, b) => a.id - b.id);
  });
}

/** How an attempt ended. */
export type DeliveryResult =
  | { state: 'delivered'; reference: string | null }
  | { state: 'dead'; code: string; message: string }
  /** `counts`: false gives the attempt back. */
  | { state: 'pending'; code: string; message: string; waitSeconds: number; counts: boolean };

/** Writes a result. False when the claim was lost meanwhile, or the destination removed; then nothing was written. */
export async function saveDelivery(
  tx: Tx,
  delivery: Pick<ClaimedDelivery, 'id' | 'claim'>,
  result: DeliveryResult,
): Promise<boolean> {
  const failed = result.state === 'delivered' ? null : result;
  const wait = result.state === 'pending' ? result.waitSeconds : 0;
  const unused = result.state === 'pending' && !result.counts ? 1 : 0;
  const { numAffectedRows } = await sql`
    update delivery set state = ${result.state}, claim_token = null, claimed_until = null,
      attempts = attempts - ${unused}::int,
      finished_at = case when ${result.state} <> 'pending' then now() end,
      next_attempt_at = now() + make_interval(secs => ${wait}),
      reference = coalesce(${result.state === 'delivered' ? result.reference : null}, reference),
      error_code = ${failed?.code ?? null},
      error = ${failed === null ? null : toStorableText(failed.message, LIMITS.reasonChars)}
    where id = ${delivery.id} and claim_token = ${delivery.claim} and state = 'pending'`.execute(tx);
  return numAffectedRows === 1n;
}

/** Lets go of claims, as when the daemon stops. The attempt stays counted: what was sent may have arrived. */
export async function returnDeliveries(
  db: Database,
  claimed: readonly Pick<ClaimedDelivery, 'id' | 'claim'>[],
): Promise<void> {
  if (claimed.length === 0) return;
  await sql`
    update delivery set claim_token = null, claimed_until = null
    from unnest(${bigints(claimed.map(({ id }) => id))}, ${bigints(claimed.map(({ claim }) => claim))})
      as mine (id, claim)
    where delivery.id = mine.id and delivery.claim_token = mine.claim and state = 'pending'`.execute(db);
}

/** A delivery as people see it. */
export interface DeliveryRow {
  id: number;
  messageId: string;
  destinationId: number;
  destination: string;
  event: string;
  emailId: number;
  ticketId: number | null;
  state: DeliveryState;
  attempts: number;
  createdAt: Date;
  nextAttemptAt: Date | null;
  finishedAt: Date | null;
  reference: string | null;
  errorCode: string | null;
  error: string | null;
}

export interface DeliveryFilter {
  destinationId?: number;
  state?: DeliveryState;
  emailId?: number;
  ticketId?: number;
  /** Ids below this one only: the next page. */
  before?: number;
  count: number;
}

/** Deliveries, newest first. */
export async function listDeliveries(db: Database, filter: DeliveryFilter): Promise<DeliveryRow[]> {
  const { destinationId = null, state = null, emailId = null, ticketId = null, before = null } = filter;
  const { rows } = await sql<DeliveryRow>`
    select delivery.id, 'msg_' || replace(message_id::text, '-', '') as "messageId",
      destination_id as "destinationId", name as destination, event, email_id as "emailId",
      ticket_id as "ticketId", state, attempts, delivery.created_at as "createdAt",
      case when state = 'pending' then next_attempt_at end as "nextAttemptAt", finished_at as "finishedAt",
      reference, error_code as "errorCode", error
    from delivery join destination on destination.id = destination_id
    where (${destinationId}::int is null or destination_id = ${destinationId})
      and (${state}::text is null or state = ${state})
      and (${emailId}::bigint is null or email_id = ${emailId})
      and (${ticketId}::bigint is null or ticket_id = ${ticketId})
      and (${before}::bigint is null or delivery.id < ${before})
    order by delivery.id desc limit ${filter.count}`.execute(db);
  return rows;
}

/** Which deliveries are sent again: named ones, or all that ended so, since a time. */
export interface ReplayWish {
  destinationId: number;
  ids?: number[];
  state?: 'dead' | 'delivered';
  since?: string;
}

/**
 * Puts deliveries back at the start, under the id that the receiver knows. `outdated` are left as they are: a later
 * event of the same ticket went out to those on call, and an old one would wake somebody for what is over.
 */
export async function replayDeliveries(
  tx: Tx,
  wish: ReplayWish,
): Promise<{ replayed: number; outdated: number }> {
  const { destinationId, ids = null, state = ids === null ? 'dead' : null, since = null } = wish;
  const { rows } = await sql<{ replayed: number; outdated: number }>`
    with wanted as (
      select delivery.id, kind in ('pagerduty', 'splunk_oncall') and exists (
          select 1 from delivery later where later.destination_id = delivery.destination_id
            and later.ticket_id = delivery.ticket_id and later.id > delivery.id and later.state = 'delivered')
        as outdated
      from delivery join destination on destination.id = destination_id
      where destination_id = ${destinationId} and state in ('dead', 'delivered')
        and (${ids}::bigint[] is null or delivery.id = any(${ids}::bigint[]))
        and (${state}::text is null or state = ${state})
        and (${since}::timestamptz is null or delivery.created_at >= ${since})
      order by delivery.id limit ${LIMITS.replayAtOnce} for update of delivery),
    put as (
      update delivery set state = 'pending', attempts = 0, replays = replays + 1, first_attempt_at = null,
        next_attempt_at = now(), finished_at = null, error_code = null, error = null
      where id in (select id from wanted where not outdated) returning id)
    select (select count(*)::int from put) as replayed, (select count(*)::int from wanted where outdated) as outdated`.execute(
    tx,
  );
  return rows[0]!;
}

/** Gives dead deliveries up for good; they are kept as long as delivered ones. */
export async function releaseDeliveries(
  tx: Tx,
  destinationId: number,
  ids: number[] | null,
): Promise<number> {
  const { numAffectedRows } = await sql`
    update delivery set state = 'dropped', finished_at = now()
    where destination_id = ${destinationId} and state = 'dead'
      and (${ids}::bigint[] is null or id = any(${ids}::bigint[]))`.execute(tx);
  return Number(numAffectedRows ?? 0);
}

/**
 * Removes what ended long ago, and what a process that had not heard of it yet queued for a removed destination; dead
 * deliveries wait for a person. Call again while `more`.
 */
export async function purgeDeliveries(
  db: Database,
  days: number,
): Promise<{ deliveries: number; more: boolean }> {
  const batch = 5_000;
  const { numAffectedRows } = await sql`
    delete from delivery where id in (
      select id from delivery
      where state in ('delivered', 'dropped') and finished_at < now() - make_interval(days => ${days})
        or state = 'pending' and destination_id in (
          select id from destination where deleted_at < now() - make_interval(days => ${days}))
      limit ${batch})`.execute(db);
  const deliveries = Number(numAffectedRows ?? 0);
  return { deliveries, more: deliveries === batch };
}

/** A destination as health and metrics see it. Counts go up to `cap`. */
export interface DestinationStanding {
  id: number;
  name: string;
  kind: string;
  enabled: boolean;
  disabledReason: string | null;
  consecutiveFailures: number;
  open: boolean;
  lastErrorCode: string | null;
  pending: number;
  dead: number;
  /** Age of the delivery that has waited longest, in seconds. */
  oldestSeconds: number;
}

export async function destinationStandings(db: Database, cap: number): Promise<DestinationStanding[]> {
  const { rows } = await sql<DestinationStanding>`
    select id, name, kind, enabled, disabled_reason as "disabledReason",
      consecutive_failures as "consecutiveFailures", coalesce(open_until > now(), false) as open,
      last_error_code as "lastErrorCode", waiting.pending, ended.dead, waiting.oldest as "oldestSeconds"
    from destination
    cross join lateral (
      select count(*)::int as pending,
        coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest
      from (select created_at from delivery where destination_id = destination.id and state = 'pending' limit ${cap})
        as few) as waiting
    cross join lateral (
      select count(*)::int as dead
      from (select 1 from delivery where destination_id = destination.id and state = 'dead' limit ${cap}) as few)
      as ended
    where deleted_at is null order by id`.execute(db);
  return rows;
}

/** What a ticket is called at a destination; null when it is not known there. */
export async function externalTicketId(
  db: Database,
  ticketId: number,
  destinationId: number,
): Promise<string | null> {
  const { rows } = await sql<{ id: string | null }>`
    select external->>${`destination:${destinationId}`} as id from ticket where id = ${ticketId}`.execute(db);
  return rows[0]?.id ?? null;
}

/** Keeps what a ticket is called at a destination. */
export async function saveExternalTicketId(
  tx: Tx,
  ticketId: number,
  destinationId: number,
  externalId: string,
): Promise<void> {
  const entry = storableJson({ [`destination:${destinationId}`]: externalId });
  await sql`update ticket set external = external || ${entry}::jsonb where id = ${ticketId}`.execute(tx);
}
