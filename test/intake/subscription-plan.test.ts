/** What is due for subscriptions, by tables. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import {
  type SubscriptionStep,
  subscriptionRetryMs,
  subscriptionStep,
  wantedSubscriptions,
} from '../../src/intake/subscription-plan.ts';
import type { SourceKind } from '../../src/source/source.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';

const HOUR = 3_600_000;
const NOW = new Date('2026-03-01T12:00:00Z');
const hence = (hours: number): Date => new Date(NOW.getTime() + hours * HOUR);

const URL = 'https://mail.example.com/notifications/graph';
const TOPIC = 'projects/p/topics/t';

describe('the subscriptions that a mailbox should have', () => {
  const settings = { ...defaultMailboxSettings('h', 'u'), folders: ['INBOX', 'Sales'] };
  const wanted = (kind: SourceKind, graph: string | null = URL, gmail: string | null = TOPIC) =>
    wantedSubscriptions({ kind, settings }, { graph, gmail });

  it('are one for each folder on Graph, and one for the account on Gmail', () => {
    expect(wanted('graph').map(({ folder, folders, address }) => ({ folder, folders, address }))).toEqual([
      { folder: 'INBOX', folders: ['INBOX'], address: URL },
      { folder: 'Sales', folders: ['Sales'], address: URL },
    ]);
    expect(wanted('gmail')).toMatchObject([{ folder: '', folders: ['INBOX', 'Sales'], address: TOPIC }]);
  });

  it.each(['imap', 'pop3'] as const)('are none for %s', (kind) => expect(wanted(kind)).toEqual([]));

  it('are none without an address of that kind', () => {
    expect(wanted('graph', null)).toEqual([]);
    expect(wanted('gmail', URL, null)).toEqual([]);
  });

  it('are others when the address or the labels are others', () => {
    const [one] = wanted('graph');
    expect(wanted('graph')[0]?.madeFor).toBe(one?.madeFor);
    expect(wanted('graph', `${URL}x`)[0]?.madeFor).not.toBe(one?.madeFor);
    const fewer = { ...settings, folders: ['INBOX'] };
    const watch = wantedSubscriptions({ kind: 'gmail', settings: fewer }, { graph: URL, gmail: TOPIC });
    expect(watch[0]?.madeFor).not.toBe(wanted('gmail')[0]?.madeFor);
  });
});

describe('what is due', () => {
  type Kept = NonNullable<Parameters<typeof subscriptionStep>[1]>;
  const good: Kept = {
    providerId: 's',
    madeFor: 'here',
    renewedAt: hence(-1),
    expiresAt: hence(69),
    need: null,
    nextAttemptAt: null,
  };
  const never: Kept = { ...good, providerId: null, madeFor: null, renewedAt: null, expiresAt: null };
  const here = { madeFor: 'here' };
  const cases: [string, SourceKind, Kept | null, typeof here | null, SubscriptionStep][] = [
    ['there is none', 'graph', null, here, 'make'],
    ['there is none, and none is wanted', 'graph', null, null, 'nothing'],
    ['an attempt has failed', 'graph', never, here, 'make'],
    ['an attempt has failed just now', 'graph', { ...never, nextAttemptAt: hence(1) }, here, 'nothing'],
    ['the wait is over', 'graph', { ...never, nextAttemptAt: hence(0) }, here, 'make'],
    ['it is young', 'graph', good, here, 'nothing'],
    [
      'it is before half of its life',
      'graph',
      { ...good, renewedAt: hence(-34), expiresAt: hence(36) },
      here,
      'nothing',
    ],
    [
      'it is at half of its life',
      'graph',
      { ...good, renewedAt: hence(-35), expiresAt: hence(35) },
      here,
      'renew',
    ],
    [
      'it has ended while we were away',
      'graph',
      { ...good, renewedAt: hence(-99), expiresAt: hence(-29) },
      here,
      'renew',
    ],
    ['a clock was set back', 'graph', { ...good, renewedAt: hence(1), expiresAt: hence(71) }, here, 'renew'],
    [
      'a renewal failed just now',
      'graph',
      { ...good, renewedAt: hence(-60), nextAttemptAt: hence(1) },
      here,
      'nothing',
    ],
    ['the provider wants it authorised anew', 'graph', { ...good, need: 'renew' }, here, 'renew'],
    ['the provider has removed it', 'graph', { ...good, need: 'recreate' }, here, 'make'],
    [
      'it was removed, but making failed just now',
      'graph',
      { ...good, need: 'recreate', nextAttemptAt: hence(1) },
      here,
      'nothing',
    ],
    ['the address is another', 'graph', { ...good, madeFor: 'there' }, here, 'remake'],
    ['it is not wanted any more', 'graph', good, null, 'remove'],
    [
      'it is not wanted, but removing failed just now',
      'graph',
      { ...good, nextAttemptAt: hence(1) },
      null,
      'nothing',
    ],
    [
      'a watch of a week is a day old',
      'gmail',
      { ...good, renewedAt: hence(-24), expiresAt: hence(144) },
      here,
      'renew',
    ],
    [
      'a watch of a week is younger',
      'gmail',
      { ...good, renewedAt: hence(-23), expiresAt: hence(145) },
      here,
      'nothing',
    ],
    [
      'a short watch is at half of its life',
      'gmail',
      { ...good, renewedAt: hence(-5), expiresAt: hence(5) },
      here,
      'renew',
    ],
  ];
  it.each(cases)('%s', (_name, kind, kept, wanted, step) => {
    expect(subscriptionStep(kind, kept, wanted, NOW)).toBe(step);
  });
});

describe('the wait after a failure', () => {
  const refused = fail('push_refused', 'no');
  it.each([
    [refused, 1, 60_000],
    [refused, 2, 120_000],
    [refused, 3, 240_000],
    [refused, 7, HOUR],
    [refused, 5_000, HOUR],
    [fail('permission_denied', 'no'), 1, HOUR],
    [fail('server_busy', 'later', { backoffMs: 2 * HOUR }), 1, 2 * HOUR],
  ])('%s, attempt %i: %i ms', (error, failures, ms) => {
    expect(subscriptionRetryMs(error, failures, 0)).toBe(ms);
    expect(subscriptionRetryMs(error, failures, 0.999)).toBeGreaterThan(ms);
  });
});
