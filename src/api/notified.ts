/** What providers tell, checked against the subscriptions that there are and noted. */
import type { Events } from '../observe/events.ts';
import { type GivenNotice, isGenuine, SUBSCRIPTION_NEEDS } from '../source/graph/notification.ts';
import type { Database } from '../store/database.ts';
import { findNamed, noteNotified } from '../store/notifications.ts';

/**
 * Notes notices of Graph, those of strangers left out. Durable when it resolves; two statements however many there are,
 * and no write when nothing is ours.
 */
export async function noteGraph(
  db: Database,
  events: Events,
  notices: readonly GivenNotice[],
): Promise<void> {
  const ids = new Set(notices.map(({ subscriptionId }) => subscriptionId));
  const named = new Map((await findNamed(db, 'graph', [...ids])).map((one) => [one.providerId, one]));
  const needs = new Map<number, number>();
  let unknown = 0;
  for (const notice of notices) {
    const subscription = named.get(notice.subscriptionId);
    // Compared in any case, so that time does not tell which ids exist.
    const genuine = isGenuine(notice, subscription?.secretSha256 ?? NO_DIGEST);
    if (subscription === undefined || !genuine) {
      unknown += 1;
      continue;
    }
    const need = SUBSCRIPTION_NEEDS.indexOf(notice.need);
    needs.set(subscription.id, Math.max(need, needs.get(subscription.id) ?? 0));
  }
  const told = [...needs].map(([id, level]) => {
    const need = SUBSCRIPTION_NEEDS[level]!;
    return { id, need: need === 'nothing' ? null : need };
  });
  await noteNotified(db, told);
  events.emit('notification.noted', { kind: 'graph', subscriptions: told.length, unknown });
}

/** Notes that these Gmail accounts have mail. The same told twice is as good as once. */
export async function noteGmail(db: Database, events: Events, addresses: readonly string[]): Promise<void> {
  const unique = [...new Set(addresses)];
  const named = await findNamed(db, 'gmail', unique);
  await noteNotified(
    db,
    named.map(({ id }) => ({ id, need: null })),
  );
  const unknown = unique.length - new Set(named.map(({ providerId }) => providerId)).size;
  events.emit('notification.noted', { kind: 'gmail', subscriptions: named.length, unknown });
}

/** Fits nothing: it is the digest of no text that anybody knows. */
const NO_DIGEST = Buffer.alloc(32);
