/** Makes and changes destinations, for the API and the command line alike. */
import { isDeepStrictEqual } from 'node:util';
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Tx } from '../store/database.ts';
import {
  createDestination,
  type Destination,
  destinationOwner,
  listDestinations,
  lockDestination,
  updateDestination,
} from '../store/destinations.ts';
import type { Keyring } from '../store/keyring.ts';
import { lockCreation } from '../store/row-locks.ts';
import { readSecret, writeSecret } from '../store/secrets.ts';
import {
  checkSettings,
  checkUrl,
  DESTINATION_SECRET,
  type DestinationKind,
  type DestinationSettings,
  defaultSettings,
  type HaloSettings,
} from './destination.ts';
import type { AllowList } from './egress.ts';
import { newSigningKey, readSigningKeys } from './webhook.ts';

/** What is to be different; what is left out stays, or is the default. */
export interface DestinationChange {
  name?: string;
  enabled?: boolean;
  settings?: Partial<Omit<DestinationSettings, 'halo'>>;
  halo?: Partial<HaloSettings>;
  /** Signing keys (separated by blanks, the newest first), client secret, integration key, or the URL of the endpoint. */
  secret?: string;
}

interface Context {
  tx: Tx;
  keys: Keyring;
  allowed: AllowList;
  actor: string;
}

export interface AddedDestination {
  destination: Destination;
  /** The signing key that was made for it because none was given: it is shown once. */
  madeKey: string | null;
  /** There was such a destination, and no second one was made: each would have been told everything. */
  isRepeat: boolean;
}

/** Fails with `validation_failed`. Only one at a time is added; see {@link lockCreation}. */
export async function addDestination(
  context: Context,
  kind: DestinationKind,
  change: DestinationChange,
): Promise<AddedDestination> {
  const { tx } = context;
  const name = change.name?.trim() ?? '';
  if (name === '') throw fail('validation_failed', 'A destination needs a name.');
  const madeKey = kind === 'webhook' && change.secret === undefined ? newSigningKey() : null;
  const secret = change.secret ?? madeKey;
  if (secret === null) throw fail('validation_failed', `It needs its ${DESTINATION_SECRET[kind].about}.`);
  const settings = settingsFrom(kind, defaultSettings(kind), change, context.allowed);
  const kept = checkSecret(kind, secret, context.allowed);
  await lockCreation(tx, 'destination');
  const others = await listDestinations(tx);
  for (const other of others) {
    if (!isDeepStrictEqual([other.name, other.kind, other.settings], [name, kind, settings])) continue;
    if (change.secret === undefined || (await secretOf(context, other)) === kept)
      return { destination: other, madeKey: null, isRepeat: true };
  }
  if (others.length >= LIMITS.destinations)
    throw fail('validation_failed', `There are ${LIMITS.destinations} destinations already.`);
  const destination = await createDestination(tx, { name, kind, enabled: change.enabled ?? true, settings });
  await writeSecret(tx, context.keys, destinationOwner(destination.id), DESTINATION_SECRET[kind].name, kept);
  await audit(context, 'create', destination);
  return { destination, madeKey, isRepeat: false };
}

async function secretOf({ tx, keys }: Context, { id, kind }: Destination): Promise<string | null> {
  return await readSecret(tx, keys, destinationOwner(id), DESTINATION_SECRET[kind].name);
}

/** Fails with `not_found` and `validation_failed`. */
export async function changeDestination(
  context: Context,
  id: number,
  change: DestinationChange,
): Promise<Destination> {
  const { tx } = context;
  const before = await lockDestination(tx, id);
  if (before === null) throw fail('not_found', `There is no destination ${id}.`, { id });
  const { kind } = before;
  const name = change.name?.trim() ?? before.name;
  if (name === '') throw fail('validation_failed', 'A destination needs a name.');
  const settings = settingsFrom(kind, before.settings, change, context.allowed);
  if (change.secret !== undefined) {
    const kept = checkSecret(kind, change.secret, context.allowed);
    await writeSecret(tx, context.keys, destinationOwner(id), DESTINATION_SECRET[kind].name, kept);
  }
  const enabled = change.enabled ?? before.enabled;
  const destination = await updateDestination(tx, { id, name, kind, enabled, settings });
  await audit(context, 'update', destination);
  return destination;
}

function settingsFrom(
  kind: DestinationKind,
  before: DestinationSettings,
  change: DestinationChange,
  allowed: AllowList,
): DestinationSettings {
  const url =
    kind === 'splunk_oncall' && change.secret !== undefined && URL.canParse(change.secret)
      ? new URL(change.secret).origin
      : (change.settings?.url ?? before.url);
  const halo = before.halo === null ? null : { ...before.halo, ...change.halo };
  const settings = { ...before, ...change.settings, url, halo };
  checkSettings(kind, settings, allowed);
  return settings;
}

/** The secret as it is kept. Messages about it never show it. */
function checkSecret(kind: DestinationKind, secret: string, allowed: AllowList): string {
  const text = secret.trim();
  if (text === '')
    throw fail('validation_failed', `The ${DESTINATION_SECRET[kind].about} must not be empty.`);
  if (kind === 'webhook') return readSigningKeys(text).join(' ');
  if (kind === 'splunk_oncall') checkUrl(text, allowed);
  // 32 characters by the documentation; other lengths have been seen.
  if (kind === 'pagerduty' && !/^[A-Za-z0-9_-]{8,128}$/.test(text))
    throw fail('validation_failed', 'The integration key of PagerDuty consists of letters and digits.');
  return text;
}

async function audit({ tx, actor }: Context, action: string, destination: Destination): Promise<void> {
  const { id, name, kind, enabled, settings } = destination;
  await writeAudit(tx, {
    actor,
    action,
    entity: 'destination',
    entityId: id,
    change: { name, kind, enabled, settings },
  });
}
