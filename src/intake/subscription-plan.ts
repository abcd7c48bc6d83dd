/** What is due for the subscriptions of a mailbox: which ones it should have, and what to do about each. Pure. */
import type { PenstockError } from '../errors.ts';
import type { SourceKind } from '../source/source.ts';
import type { Mailbox } from '../store/mailboxes.ts';
import type { KeptSubscription } from '../store/subscriptions.ts';

/** Where providers reach us, by kind of mailbox; null when they cannot. Graph: an https URL. Gmail: a Pub/Sub topic. */
export interface PushAddresses {
  graph: string | null;
  gmail: string | null;
}

/** A subscription that a mailbox should have. */
export interface WantedSubscription {
  /** As it is kept: empty for one to the whole account. */
  folder: string;
  folders: readonly string[];
  address: string;
  /** Changes when the subscription has to be another one. */
  madeFor: string;
}

/** `remake`: remove, then make. `make` also stands for one that the provider has removed. */
export type SubscriptionStep = 'nothing' | 'make' | 'renew' | 'remake' | 'remove';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Graph has one for each folder, Gmail one for the account. Other kinds have none. */
export function wantedSubscriptions(
  { kind, settings: { folders, push } }: Pick<Mailbox, 'kind' | 'settings'>,
  addresses: PushAddresses,
): WantedSubscription[] {
  const address = addressFor(kind, addresses);
  if (address === null || push === false) return [];
  const want = (folder: string, about: readonly string[]): WantedSubscription => ({
    folder,
    folders: about,
    address,
    madeFor: JSON.stringify([address, ...about]),
  });
  return kind === 'gmail' ? [want('', folders)] : folders.map((folder) => want(folder, [folder]));
}

function addressFor(kind: SourceKind, addresses: PushAddresses): string | null {
  return kind === 'graph' || kind === 'gmail' ? addresses[kind] : null;
}

/**
 * The next step for one subscription. `kept` is what is known of it, null when nothing; `wanted` is null when the mailbox
 * should have none. Half of its life is left for attempts that fail, or more: Google wants a watch renewed every day.
 */
export function subscriptionStep(
  kind: SourceKind,
  kept: Omit<KeptSubscription, 'id' | 'mailboxId' | 'folder' | 'failures'> | null,
  wanted: Pick<WantedSubscription, 'madeFor'> | null,
  now: Date,
): SubscriptionStep {
  if (kept === null) return wanted === null ? 'nothing' : 'make';
  if (kept.nextAttemptAt !== null && kept.nextAttemptAt > now) return 'nothing';
  if (wanted === null) return 'remove';
  const { renewedAt, expiresAt } = kept;
  if (kept.providerId === null || renewedAt === null || expiresAt === null) return 'make';
  if (kept.madeFor !== wanted.madeFor) return 'remake';
  if (kept.need === 'recreate') return 'make';
  if (kept.need === 'renew') return 'renew';
  const half = (expiresAt.getTime() - renewedAt.getTime()) / 2;
  const age = now.getTime() - renewedAt.getTime();
  // One that has ended may still be there by the provider's clock; renewing tells.
  return age < 0 || age >= Math.min(half, kind === 'gmail' ? DAY_MS : half) ? 'renew' : 'nothing';
}

/**
 * The wait after a failed attempt: a minute, twice as long each time, an hour at most. An hour at once for what does not
 * pass by itself. `failures` counts this one; `random` is in [0, 1).
 */
export function subscriptionRetryMs(error: PenstockError, failures: number, random: number): number {
  const asked = typeof error.fields.backoffMs === 'number' ? error.fields.backoffMs : 0;
  const doubled = error.temporary ? MINUTE_MS * 2 ** Math.min(failures - 1, 16) : HOUR_MS;
  return Math.max(Math.min(doubled, HOUR_MS), asked) * (1 + random / 4);
}
