/**
 * Subscriptions to new mail of a folder: Graph then calls a web address of ours. What it tells is a hint and no more;
 * much of it never comes, so polling goes on beside it.
 */
import { randomBytes } from 'node:crypto';
import { fail, type PenstockError } from '../../errors.ts';
import type { GraphClient } from './client.ts';

export interface GraphSubscription {
  id: string;
  /** When it was made or renewed, and when it ends (ISO). */
  renewedAt: string;
  expiresAt: string;
}

export interface SubscriptionWish {
  /** Id of the folder, or a well-known name. */
  folder: string;
  /** Where notifications go: https, and answering by the time of the call, because Graph asks there first. */
  notificationUrl: string;
  /** Where lifecycle events go. It cannot be added later. */
  lifecycleUrl: string;
  /** What notifications carry as proof that they are Graph's: see {@link newClientState}. */
  clientState: string;
}

const MINUTE_MS = 60_000;
/** Less than the 4,230 minutes that were the limit for years; today's docs allow 10,080, not every tenant does. */
const LIFE_MINUTES = 4_200;

/** A secret for the notifications of one subscription; at most 128 characters are allowed. */
export function newClientState(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * What is due for a subscription. Half of its life is left for attempts that fail. Pure: `nowMs` is this machine's clock,
 * and one that jumps costs no more than a renewal.
 */
export function subscriptionDue(
  subscription: Pick<GraphSubscription, 'renewedAt' | 'expiresAt'> | null,
  nowMs: number,
): 'create' | 'renew' | 'nothing' {
  if (subscription === null) return 'create';
  const from = Date.parse(subscription.renewedAt);
  const until = Date.parse(subscription.expiresAt);
  // An ended one may have been removed already; renewing says so.
  return nowMs >= from + (until - from) / 2 || nowMs < from ? 'renew' : 'nothing';
}

/** Makes a subscription. Graph calls both addresses before it answers. */
export async function createSubscription(
  client: GraphClient,
  { folder, notificationUrl, lifecycleUrl, clientState }: SubscriptionWish,
): Promise<GraphSubscription> {
  const body = {
    changeType: 'created',
    resource: client.mailbox(`/mailFolders('${encodeURIComponent(folder)}')/messages`).slice(1),
    notificationUrl,
    lifecycleNotificationUrl: lifecycleUrl,
    clientState,
    expirationDateTime: expiry(),
  };
  return subscriptionOf(await client.json('/subscriptions', { what: 'subscribe', method: 'POST', body }));
}

/** Renews a subscription, which authorises it anew too. Null when there is none any more: make another one then. */
export async function renewSubscription(client: GraphClient, id: string): Promise<GraphSubscription | null> {
  const ask = {
    what: 'renew subscription',
    method: 'PATCH',
    body: { expirationDateTime: expiry() },
  } as const;
  return await orGone(async () => subscriptionOf(await client.json(subscriptionPath(id), ask)));
}

/** Ends a subscription; one that has ended already is no error. */
export async function deleteSubscription(client: GraphClient, id: string): Promise<void> {
  const ask = { what: 'unsubscribe', method: 'DELETE' } as const;
  await orGone(() => client.json(subscriptionPath(id), ask));
}

function subscriptionPath(id: string): string {
  return `/subscriptions/${encodeURIComponent(id)}`;
}

function expiry(): string {
  return new Date(Date.now() + LIFE_MINUTES * MINUTE_MS).toISOString();
}

function subscriptionOf(answer: unknown): GraphSubscription {
  const { id, expirationDateTime } = (answer ?? {}) as { id?: unknown; expirationDateTime?: unknown };
  if (typeof id !== 'string' || typeof expirationDateTime !== 'string') {
    throw fail('server_protocol', 'The answer is no subscription');
  }
  return { id, renewedAt: new Date().toISOString(), expiresAt: expirationDateTime };
}

async function orGone<T>(run: () => Promise<T>): Promise<T | null> {
  try {
    return await run();
  } catch (error) {
    if ((error as PenstockError).fields?.status === 404) return null;
    throw error;
  }
}
