/**
 * Reads what arrives at the web address for Graph's notifications. Anybody can post there: only items that carry the
 * secret of a subscription of ours count, and even those are nothing but hints. Pure.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

/** What must be done about a subscription. */
export type SubscriptionNeed = 'nothing' | 'renew' | 'recreate';

export interface Notice {
  subscriptionId: string;
  need: SubscriptionNeed;
}

/** What is known of a subscription of ours. */
export interface KnownSubscription {
  clientState: string;
  /** Tenant that it belongs to; null when that is not known. */
  tenantId: string | null;
}

/** Graph sends far fewer in one post. */
const ITEMS = 1_000;
const TOKEN_LENGTH = 4_096;

/**
 * What a lifecycle event asks for. In each case mail may have come of which nothing was told, so the mailbox is to be
 * polled as after any notice; also after events that are not known yet.
 */
export function lifecycleNeed(event: string): SubscriptionNeed {
  switch (event) {
    // Renewing authorises anew.
    case 'reauthorizationRequired':
      return 'renew';
    case 'subscriptionRemoved':
      return 'recreate';
    // Notifications were lost.
    case 'missed':
      return 'nothing';
    default:
      return 'nothing';
  }
}

/**
 * What a post tells, one notice for each item of ours; `strangers` counts the others. The sender is told neither: Graph
 * expects 202 for all, and whoever tries out secrets shall learn nothing.
 */
export function readNotifications(
  body: unknown,
  find: (subscriptionId: string) => KnownSubscription | undefined,
): { notices: Notice[]; strangers: number } {
  const { value } = (body ?? {}) as { value?: unknown };
  const items = Array.isArray(value) ? value.slice(0, ITEMS) : [];
  const notices: Notice[] = [];
  for (const item of items) {
    const { subscriptionId, clientState, tenantId, lifecycleEvent } = (item ?? {}) as Record<string, unknown>;
    const known = typeof subscriptionId === 'string' ? find(subscriptionId) : undefined;
    // Compared in any case, so that time does not tell which ids exist.
    const isSecretRight = isSameSecret(clientState, known?.clientState);
    const isTenantRight = !known?.tenantId || known.tenantId === tenantId;
    if (!isSecretRight || !isTenantRight || typeof subscriptionId !== 'string') continue;
    const need = typeof lifecycleEvent === 'string' ? lifecycleNeed(lifecycleEvent) : 'nothing';
    notices.push({ subscriptionId, need });
  }
  return { notices, strangers: items.length - notices.length };
}

/**
 * The answer to a handshake: the token of the query, already decoded, as plain text and never as a page. Null when the
 * request is none.
 */
export function handshakeAnswer(validationToken: unknown): string | null {
  if (typeof validationToken !== 'string' || validationToken === '') return null;
  return validationToken.length <= TOKEN_LENGTH ? validationToken : null;
}

function isSameSecret(given: unknown, expected: string | undefined): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const equal = timingSafeEqual(digest(typeof given === 'string' ? given : ''), digest(expected ?? ''));
  // An empty secret is none, whoever has it.
  return equal && given !== '' && typeof given === 'string';
}
