/**
 * Reads what arrives at the web address for Graph's notifications. Anybody can post there: only items that carry the
 * secret of a subscription of ours count, and even those are nothing but hints: no content is taken from them. Pure.
 */
import { timingSafeEqual } from 'node:crypto';
import { secretDigest } from './client-state.ts';

/** What must be done about a subscription, the most urgent last. */
export const SUBSCRIPTION_NEEDS = ['nothing', 'renew', 'recreate'] as const;
export type SubscriptionNeed = (typeof SUBSCRIPTION_NEEDS)[number];

/** A notice of somebody who may or may not be Graph: that depends on the secret. */
export interface GivenNotice {
  subscriptionId: string;
  /** SHA-256 of the secret that came with it. */
  secretSha256: Buffer;
  need: SubscriptionNeed;
}

/** Graph sends far fewer in one post. */
const ITEMS = 1_000;
const TOKEN_LENGTH = 4_096;
const ID_LENGTH = 200;
/** 128 characters are allowed. */
const SECRET_LENGTH = 512;

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
 * What a post tells. Several items about one subscription with one need are one notice; items without an id or a secret
 * are none. The sender is told nothing of that: Graph expects 202 for all, and whoever tries out secrets shall learn
 * nothing.
 */
export function readNotifications(body: unknown): GivenNotice[] {
  const { value } = (body ?? {}) as { value?: unknown };
  const items = Array.isArray(value) ? value.slice(0, ITEMS) : [];
  const notices = new Map<string, GivenNotice>();
  for (const item of items) {
    const { subscriptionId, clientState, lifecycleEvent } = (item ?? {}) as Record<string, unknown>;
    if (!isText(subscriptionId, ID_LENGTH) || !isText(clientState, SECRET_LENGTH)) continue;
    const need = typeof lifecycleEvent === 'string' ? lifecycleNeed(lifecycleEvent) : 'nothing';
    const key = JSON.stringify([subscriptionId, clientState, need]);
    if (!notices.has(key))
      notices.set(key, { subscriptionId, secretSha256: secretDigest(clientState), need });
  }
  return [...notices.values()];
}

/** Whether a notice carries the secret of the subscription that it names. In a time that does not tell how much fits. */
export function isGenuine(notice: GivenNotice, secretSha256: Buffer | null): boolean {
  return secretSha256?.length === 32 && timingSafeEqual(notice.secretSha256, secretSha256);
}

/**
 * The answer to a handshake: the token of the query, already decoded, as plain text and never as a page. Null when the
 * request is none.
 */
export function handshakeAnswer(validationToken: unknown): string | null {
  if (typeof validationToken !== 'string' || validationToken === '') return null;
  return validationToken.length <= TOKEN_LENGTH ? validationToken : null;
}

/** No text that PostgreSQL would refuse. */
function isText(value: unknown, most: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= most && !value.includes('\0');
}
