/** Destinations and the state of their circuit breakers. Secrets are in `secret` under {@link destinationOwner}. */
import { sql } from 'kysely';
import type { DestinationKind, DestinationSettings } from '../deliver/destination.ts';
import { LIMITS } from '../limits.ts';
import type { Database, Tx } from './database.ts';
import { notify } from './notify.ts';
import { storableJson } from './storable-json.ts';

export interface Destination {
  id: number;
  name: string;
  kind: DestinationKind;
  enabled: boolean;
  settings: DestinationSettings;
  changeSeq: number;
  consecutiveFailures: number;
  /** Nothing is sent before. */
  openUntil: Date | null;
  lastDeliveredAt: Date | null;
  lastErrorCode: string | null;
  lastError: string | null;
  lastErrorAt: Date | null;
  /** Why Penstock switched it off by itself. */
  disabledReason: string | null;
  createdAt: Date;
}

/** Owner under which the secret of a destination is kept. */
export const destinationOwner = (id: number): string => `destination:${id}`;

const COLUMNS = sql.raw(`
  id, name, kind, enabled, settings, change_seq as "changeSeq", consecutive_failures as "consecutiveFailures",
  open_until as "openUntil", last_delivered_at as "lastDeliveredAt", last_error_code as "lastErrorCode",
  last_error as "lastError", last_error_at as "lastErrorAt", disabled_reason as "disabledReason",
  created_at as "createdAt"`);

export async function listDestinations(db: Database | Tx): Promise<Destination[]> {
  const { rows } = await sql<Destination>`
    select ${COLUMNS} from destination where deleted_at is null order by id`.execute(db);
  return rows;
}

/** Null when there is none, or it was removed. */
export async function findDestination(db: Database | Tx, id: number): Promise<Destination | null> {
  const { rows } = await sql<Destination>`
    select ${COLUMNS} from destination where id = ${id} and deleted_at is null`.execute(db);
  return rows[0] ?? null;
}

/** Keeps others from changing it until the commit; null when there is none. */
export async function lockDestination(tx: Tx, id: number): Promise<Destination | null> {
  const { rows } = await sql<Destination>`
    select ${COLUMNS} from destination where id = ${id} and deleted_at is null for update`.execute(tx);
  return rows[0] ?? null;
}

export type DestinationDraft = Pick<Destination, 'name' | 'kind' | 'enabled' | 'settings'>;

export async function createDestination(tx: Tx, draft: DestinationDraft): Promise<Destination> {
  const { rows } = await sql<Destination>`
    insert into destination (name, kind, enabled, settings)
    values (${draft.name}, ${draft.kind}, ${draft.enabled}, ${storableJson(draft.settings)}::jsonb)
    returning ${COLUMNS}`.execute(tx);
  await notify(tx, 'destinations');
  return rows[0]!;
}

/** Saves what a person changed. The breaker closes: what was wrong may be right now. */
export async function updateDestination(
  tx: Tx,
  destination: DestinationDraft & { id: number },
): Promise<Destination> {
  const { id, name, enabled, settings } = destination;
  const { rows } = await sql<Destination>`
    update destination set name = ${name}, enabled = ${enabled}, settings = ${storableJson(settings)}::jsonb,
      change_seq = change_seq + 1, consecutive_failures = 0, open_until = null,
      disabled_reason = case when ${enabled} then null else disabled_reason end
    where id = ${id} returning ${COLUMNS}`.execute(tx);
  await hasten(tx, id);
  await notify(tx, 'destinations');
  return rows[0]!;
}

/** Removes it with its secret; what waits for it is dropped. */
export async function deleteDestination(tx: Tx, id: number): Promise<{ dropped: number }> {
  await sql`update destination set deleted_at = now(), enabled = false where id = ${id}`.execute(tx);
  await sql`delete from secret where owner = ${destinationOwner(id)}`.execute(tx);
  const { numAffectedRows } = await sql`
    update delivery set state = 'dropped', finished_at = now(), claim_token = null, claimed_until = null
    where destination_id = ${id} and state in ('pending', 'dead')`.execute(tx);
  await notify(tx, 'destinations');
  return { dropped: Number(numAffectedRows ?? 0) };
}

/** Switched off by Penstock: its receiver wants nothing any more. What waits stays. */
export async function disableDestination(tx: Tx, id: number, reason: string): Promise<void> {
  await sql`
    update destination set enabled = false, disabled_reason = ${reason}, change_seq = change_seq + 1
    where id = ${id} and enabled`.execute(tx);
  await notify(tx, 'destinations');
}

/** An attempt went through: the breaker closes, and what waited for that is due. Returns whether it was open. */
export async function noteDelivered(tx: Tx, id: number): Promise<{ wasOpen: boolean }> {
  const { rows } = await sql<{ failures: number }>`
    with before as (select consecutive_failures as failures from destination where id = ${id} for update)
    update destination set consecutive_failures = 0, open_until = null, last_delivered_at = now()
    from before where id = ${id} returning before.failures`.execute(tx);
  // Without an outage every delivery keeps to its schedule: one that fails for its content would be tried all the time.
  const wasOpen = (rows[0]?.failures ?? 0) >= LIMITS.breakerFailures;
  if (wasOpen) await hasten(tx, id);
  return { wasOpen };
}

export interface DestinationFailure {
  id: number;
  code: string;
  message: string;
  /** Whether it counts as one of the failures in a row. */
  counts: boolean;
  /** How long it is left alone, by how many failures there were in a row. */
  openSeconds(consecutiveFailures: number): number;
}

/** An attempt failed. Returns the failures in a row and for how many seconds nothing is sent now. */
export async function noteFailed(
  tx: Tx,
  failure: DestinationFailure,
): Promise<{ consecutive: number; openSeconds: number }> {
  const { id, code, message, counts } = failure;
  const { rows } = await sql<{ consecutive: number }>`
    update destination set consecutive_failures = consecutive_failures + ${counts ? 1 : 0}::int,
      last_error_code = ${code}, last_error = ${message}, last_error_at = now()
    where id = ${id} returning consecutive_failures as consecutive`.execute(tx);
  const consecutive = rows[0]?.consecutive ?? 0;
  const seconds = failure.openSeconds(consecutive);
  if (seconds > 0) {
    await sql`
      update destination set open_until = greatest(open_until, now() + make_interval(secs => ${seconds}))
      where id = ${id}`.execute(tx);
  }
  return { consecutive, openSeconds: seconds };
}

/** What waits for a later attempt is due now. */
async function hasten(tx: Tx, id: number): Promise<void> {
  await sql`
    update delivery set next_attempt_at = now()
    where destination_id = ${id} and state = 'pending' and next_attempt_at > now()`.execute(tx);
}
