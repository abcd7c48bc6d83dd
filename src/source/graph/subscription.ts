/**
 * Subscriptions to new mail of a folder: Graph then calls a web address of ours. What it tells is a hint and no more;
 * much of it never comes, so polling goes on beside it.
 */
import { fail, type PenstockError } from '../../errors.ts';
import type { RenewedSubscription, Subscriptions } from '../subscriptions.ts';
import type { GraphClient } from './client.ts';
import { newClientState, secretDigest } from './client-state.ts';
import { findFolder } from './folders.ts';
import type { GraphMailbox } from './graph-source.ts';

const MINUTE_MS = 60_000;
/** Less than the 4,230 minutes that were the limit for years; today's docs allow 10,080, not every tenant does. */
const LIFE_MINUTES = 4_200;
/** It is a GUID. */
const ID_CHARS = 200;

/** The subscriptions of a mailbox, for who keeps them. One folder each. */
export function graphSubscriptions(mailbox: Pick<GraphMailbox, 'client'>): Subscriptions {
  const run = async <T>(signal: AbortSignal, ask: (client: GraphClient) => Promise<T>): Promise<T> => {
    const client = mailbox.client();
    const abort = (): void => client.close();
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) client.close();
      return await ask(client);
    } finally {
      signal.removeEventListener('abort', abort);
      client.close();
    }
  };
  return {
    make: ({ folders, address }, signal) =>
      run(signal, async (client) => {
        const folder = await findFolder(client, folders[0] ?? 'INBOX');
        const secret = newClientState();
        const made = await createSubscription(client, folder.id, address, secret);
        return { ...made, secretSha256: secretDigest(secret) };
      }),
    renew: (id, _wish, signal) => run(signal, (client) => renewSubscription(client, id)),
    removeStrays: ({ folders, address }, signal) =>
      run(signal, async (client) => {
        const folder = await findFolder(client, folders[0] ?? 'INBOX');
        for (const id of await findSubscriptions(client, resourceOf(client, folder.id), address)) {
          await deleteSubscription(client, id);
        }
      }),
    remove: (id, signal) => run(signal, (client) => deleteSubscription(client, id)),
  };
}

/**
 * Makes a subscription to a folder, given by id or well-known name. Graph calls the address, https, before it answers.
 * Fails with `push_refused` when nobody answers there as Graph expects.
 */
export async function createSubscription(
  client: GraphClient,
  folder: string,
  url: string,
  clientState: string,
): Promise<RenewedSubscription> {
  const body = {
    changeType: 'created',
    resource: resourceOf(client, folder),
    notificationUrl: url,
    // Where lifecycle events go; it cannot be added later.
    lifecycleNotificationUrl: url,
    clientState,
    expirationDateTime: expiry(),
  };
  try {
    return subscriptionOf(await client.json('/subscriptions', { what: 'subscribe', method: 'POST', body }));
  } catch (thrown) {
    const { fields = {}, message } = thrown as PenstockError;
    if (fields.graphCode !== 'ValidationError') throw thrown;
    throw fail('push_refused', `Graph does not get through to ${url}: ${message}`, fields, thrown);
  }
}

/** Pages of subscriptions that are looked through; an application has few, and each page has up to hundreds. */
const MOST_PAGES = 100;

/**
 * Ids of the subscriptions of this application to a resource that call this address. Others of the same application, such
 * as those of another installation, have other addresses.
 */
async function findSubscriptions(client: GraphClient, resource: string, url: string): Promise<string[]> {
  const found: string[] = [];
  let path: string | null = '/subscriptions';
  for (let page = 0; path !== null && page < MOST_PAGES; page += 1) {
    const answer = (await client.json(path, { what: 'list subscriptions' })) as Record<
      string,
      unknown
    > | null;
    const items = Array.isArray(answer?.value) ? (answer.value as Record<string, unknown>[]) : [];
    for (const { id, resource: about, notificationUrl } of items) {
      const isOurs = notificationUrl === url && plain(about) === plain(resource);
      if (isOurs && typeof id === 'string') found.push(id);
    }
    const next: unknown = answer?.['@odata.nextLink'];
    path = typeof next === 'string' ? next : null;
  }
  return found;
}

/** Graph may give a resource back with another case, or a slash before it. */
function plain(resource: unknown): string {
  return String(resource).toLowerCase().replace(/^\//, '');
}

function resourceOf(client: GraphClient, folder: string): string {
  return client.mailbox(`/mailFolders('${encodeURIComponent(folder)}')/messages`).slice(1);
}

/** Renews a subscription, which authorises it anew too. Null when there is none any more: make another one then. */
export async function renewSubscription(
  client: GraphClient,
  id: string,
): Promise<RenewedSubscription | null> {
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

function subscriptionOf(answer: unknown): RenewedSubscription {
  const { id, resource, expirationDateTime } = (answer ?? {}) as Record<string, unknown>;
  const expiresAt = new Date(typeof expirationDateTime === 'string' ? expirationDateTime : Number.NaN);
  if (typeof id !== 'string' || id.length > ID_CHARS || Number.isNaN(expiresAt.getTime())) {
    throw fail('server_protocol', 'The answer is no subscription');
  }
  return { id, resource: typeof resource === 'string' ? resource : '', expiresAt, historyId: null };
}

async function orGone<T>(run: () => Promise<T>): Promise<T | null> {
  try {
    return await run();
  } catch (error) {
    if ((error as PenstockError).fields?.status === 404) return null;
    throw error;
  }
}
