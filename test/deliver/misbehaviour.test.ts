/** What receivers of each kind may do to a delivery; whatever it is, the outcome arrives, and counts once. */
import { expect, it } from 'vitest';
import { changeDestination } from '../../src/deliver/save.ts';
import { newSigningKey } from '../../src/deliver/webhook.ts';
import type { HttpAction } from '../../src/lab/http/faults.ts';
import type { Destination } from '../../src/store/destinations.ts';
import { Outbox, outcome } from '../support/outbox.ts';
import { HALO_SECRET, Receivers, ROUTING_KEY, type Route } from '../support/receivers.ts';

const ROUTES: Route[] = ['webhook', 'mail', 'pagerduty', 'splunk'];

/** One destination of each kind that sends one delivery at a time, in the order of {@link ROUTES}. */
async function addAll(receivers: Receivers, outbox: Outbox, timeoutSeconds: number): Promise<Destination[]> {
  const key = newSigningKey();
  receivers.webhookKeys = [key];
  const { origin } = receivers;
  const own = { concurrency: 1, timeoutSeconds };
  const halo = { clientId: 'penstock', mailboxId: 1 };
  return [
    await outbox.add('webhook', { secret: key, settings: { ...own, url: `${origin}/hook` } }),
    await outbox.add('halo', { secret: HALO_SECRET, settings: { ...own, url: origin }, halo }),
    await outbox.add('pagerduty', { secret: ROUTING_KEY, settings: { ...own, url: `${origin}/v2/enqueue` } }),
    await outbox.add('splunk_oncall', { secret: receivers.splunkUrl, settings: own }),
  ];
}

/** What each receiver has made of the outcomes, in its own terms. */
function effects(receivers: Receivers) {
  return {
    webhook: receivers.webhookIds().length,
    mails: receivers.halo.mails.size,
    pages: [...receivers.pages.values()],
    entities: [...receivers.timeline.values()].map((types) => [...new Set(types)]),
  };
}

interface Misbehaviour {
  what: string;
  action: HttpAction;
  /** The error of the first delivery after the first turn; null: it has arrived. */
  code: string | null;
  /** Whether the second delivery is held back, too. */
  holdsAll?: boolean;
  /** Seconds for which nothing may be sent, and how many later everything arrives. */
  left: number;
  later: number;
  switchesOff?: boolean;
  timeoutSeconds?: number;
}

const BUSY = { do: 'answer', status: 429, headers: { 'retry-after': '120' } } as const;

it.each<Misbehaviour>([
  { what: 'slow', action: { do: 'wait', ms: 50 }, code: null, left: 0, later: 0 },
  {
    what: 'without an answer',
    action: { do: 'hang' },
    code: 'stalled',
    left: 4,
    later: 2,
    timeoutSeconds: 1,
  },
  { what: 'busy (429)', action: BUSY, code: 'destination_busy', holdsAll: true, left: 110, later: 15 },
  {
    what: 'broken (500)',
    action: { do: 'answer', status: 500 },
    code: 'destination_failed',
    left: 4,
    later: 2,
  },
  {
    what: 'cut off before it took anything',
    action: { do: 'drop' },
    code: 'connection_lost',
    left: 4,
    later: 2,
  },
  { what: 'cut off after it took it', action: { do: 'lose' }, code: 'connection_lost', left: 4, later: 2 },
  {
    what: 'gone (410)',
    action: { do: 'answer', status: 410 },
    code: 'destination_gone',
    holdsAll: true,
    left: 1_000_000,
    later: 0,
    switchesOff: true,
  },
])('$what: receivers of all kinds', async ({ action, code, left, later, ...more }) => {
  const receivers = await Receivers.start();
  const outbox = await Outbox.start();
  const destinations = await addAll(receivers, outbox, more.timeoutSeconds ?? 20);
  for (const at of ROUTES) receivers.faults.add({ at, action, times: 1 });
  for (const id of [1, 2]) await outbox.store(id);
  for (const one of destinations)
    await outbox.tell(one, outcome(1, 'alert.opened'), outcome(2, 'alert.opened'));
  await outbox.deliverer.run();

  const first =
    code === null
      ? { state: 'delivered' }
      : { state: 'pending', errorCode: code, attempts: expect.any(Number) };
  for (const { id } of destinations) {
    const second = { state: more.holdsAll ? 'pending' : 'delivered' };
    expect(await outbox.rows({ destinationId: id })).toMatchObject([first, second]);
    expect(await outbox.destination(id)).toMatchObject({
      enabled: more.switchesOff !== true,
      disabledReason: more.switchesOff ? expect.stringContaining('410') : null,
      consecutiveFailures: 0,
    });
  }
  const posts = () => ROUTES.map((route) => receivers.of(route).length);
  const sent = more.holdsAll ? 1 : 2;
  expect(posts()).toEqual(ROUTES.map(() => sent));
  await outbox.passTime(left);
  await outbox.deliverer.run();
  expect(posts()).toEqual(ROUTES.map(() => sent));

  if (more.switchesOff) {
    expect(outbox.of('destination.disabled')).toHaveLength(4);
    const { db, keys, allowed } = outbox;
    for (const { id } of destinations) {
      await db
        .transaction()
        .execute((tx) => changeDestination({ tx, keys, allowed, actor: 'test' }, id, { enabled: true }));
    }
  }
  await outbox.passTime(later);
  await outbox.deliverer.run();
  expect(await outbox.states()).toEqual(Array(8).fill('delivered'));
  expect(posts()).toEqual(ROUTES.map(() => (code === null ? 2 : 3)));
  expect(effects(receivers)).toEqual({
    webhook: 2,
    mails: 2,
    pages: Array(2).fill({ state: 'triggered', calls: 1 }),
    entities: Array(2).fill(['CRITICAL']),
  });
});
