/** From a mail on a server to four other systems, one of which is away. */
import { expect, it } from 'vitest';
import { Deliverer } from '../../src/deliver/deliverer.ts';
import { AllowList } from '../../src/deliver/egress.ts';
import { addDestination } from '../../src/deliver/save.ts';
import { newSigningKey } from '../../src/deliver/webhook.ts';
import { makeSender } from '../../src/delivery.ts';
import { LIMITS } from '../../src/limits.ts';
import type { Runtime } from '../../src/runtime.ts';
import { listDeliveries } from '../../src/store/deliveries.ts';
import { saveRule } from '../../src/store/rules.ts';
import { makeRule, ruleWithSlot } from '../rule/fixtures.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe, startDaemon } from '../support/pipe.ts';
import { HALO_SECRET, Receivers, ROUTING_KEY } from '../support/receivers.ts';
import { Site, until } from '../support/site.ts';

const ALLOW = { PENSTOCK_DESTINATIONS_ALLOW: '127.0.0.1' };

async function addAll({ db, keys }: Runtime, receivers: Receivers): Promise<void> {
  const key = newSigningKey();
  receivers.webhookKeys = [key];
  const { origin } = receivers;
  await db.transaction().execute(async (tx) => {
    const context = { tx, keys, allowed: new AllowList(['127.0.0.1']), actor: 'test' };
    await addDestination(context, 'webhook', {
      name: 'hub',
      secret: key,
      settings: { url: `${origin}/hook` },
    });
    await addDestination(context, 'halo', {
      name: 'halo',
      secret: HALO_SECRET,
      settings: { url: origin },
      halo: { clientId: 'penstock', mailboxId: 1 },
    });
    const url = `${origin}/v2/enqueue`;
    await addDestination(context, 'pagerduty', { name: 'duty', secret: ROUTING_KEY, settings: { url } });
    await addDestination(context, 'splunk_oncall', { name: 'oncall', secret: receivers.splunkUrl });
  });
}

const HOST = { startTag: 'Host: ', useEndOfLine: true };
const ALERTS = { id: 0, name: 'alerts', type: 'alert' as const, sequence: 9, subject: 'PROBLEM' };

it('outcomes reach all four kinds of destination, though one is away at first; ignored mail reaches none', async () => {
  const receivers = await Receivers.start();
  const site = await Site.start({ backend: 'postgres' });
  const { db } = site.runtime;
  await db.transaction().execute(async (tx) => {
    await saveRule(tx, ruleWithSlot(4, HOST, { ...ALERTS, closeString: 'RECOVERED' }), 'test');
    await saveRule(
      tx,
      makeRule({ id: 0, name: 'noise', type: 'ignore', sequence: 10, subject: 'NOISE' }),
      'test',
    );
  });
  await addAll(site.runtime, receivers);
  await site.addMailbox('desk');
  const removeFault = receivers.faults.add({ at: 'pagerduty', action: { do: 'answer', status: 500 } });
  const pipe = await Pipe.start(site, { env: ALLOW });
  const deliverer = new Deliverer(pipe.runtime.db, pipe.events, makeSender(pipe.runtime, pipe.work));
  deliverer.start();
  const send = async (subject: string, body = 'Hello.\r\n'): Promise<void> => {
    site.deliver('desk', simpleMessage(subject, body));
    await site.waitUntilProcessed();
  };
  await send('printer');
  await send('NOISE');
  await send('PROBLEM-1', 'Host: web1\r\nDisk full.\r\n');
  await send('PROBLEM-2', 'Host: web1\r\nRECOVERED\r\n');
  const open = async () => await listDeliveries(db, { state: 'pending', count: 100 });
  // All but those of the destination that is away.
  await until(async () => (await open()).every(({ destination }) => destination === 'duty'));
  removeFault();
  await db.updateTable('destination').set({ open_until: null }).execute();
  await db
    .updateTable('delivery')
    .set({ next_attempt_at: new Date(0) })
    .where('state', '=', 'pending')
    .execute();
  await until(async () => (await open()).length === 0);

  expect(
    receivers
      .of('webhook')
      .map(({ body }) => body.type)
      .sort(),
  ).toEqual(['alert.closed', 'alert.opened', 'ticket.created']);
  expect([...receivers.halo.mails.values()].map(({ subject }) => subject).sort()).toEqual([
    'PROBLEM-1',
    'PROBLEM-2',
    'printer',
  ]);
  expect(receivers.pages.get('web1')).toEqual({ state: 'resolved', calls: 1 });
  expect(receivers.timeline.get('web1')).toEqual(['CRITICAL', 'RECOVERY']);
  const rows = await listDeliveries(db, { count: 100 });
  expect(rows.map(({ state }) => state)).toEqual(Array(10).fill('delivered'));
  const email = (await site.emails()).find(({ subject }) => subject === 'PROBLEM-1')!;
  const trace = await site.trace(email);
  const reached = trace.flatMap((one) => (one.event === 'delivered' ? [one.destination.name] : []));
  expect(reached.sort()).toEqual(['duty', 'halo', 'hub', 'oncall']);
  await deliverer.stop(1_000);
});

it('T1.1 kill -9 of a daemon while it delivers: every outcome arrives, and twice only under the same id', async () => {
  const receivers = await Receivers.start();
  const site = await Site.start({ backend: 'postgres' });
  const { db } = site.runtime;
  await db.transaction().execute((tx) => saveRule(tx, ruleWithSlot(4, HOST, ALERTS), 'test'));
  await addAll(site.runtime, receivers);
  await site.addMailbox('desk');
  const requests = () =>
    (['webhook', 'mail', 'pagerduty', 'splunk'] as const).flatMap((route) => receivers.of(route)).length;
  const pending = async () => await listDeliveries(db, { state: 'pending', count: 100 });
  let alerts = 0;
  for (const point of ['after-delivery-claim', 'after-delivery']) {
    for (let round = 0; round < 3; round += 1) {
      alerts += 1;
      site.deliver('desk', simpleMessage(`PROBLEM-${alerts}`, `Host: web${alerts}\r\nDisk full.\r\n`));
    }
    const daemon = startDaemon(site, { ...ALLOW, PENSTOCK_CRASH_AT: point, PENSTOCK_CRASH_AFTER: '3' });
    expect(await daemon.ended, daemon.output).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await pending()).not.toEqual([]);
    await site.passTime(LIMITS.claimSeconds + 1);
    await db
      .updateTable('delivery')
      .set({ claimed_until: new Date(0) })
      .where('state', '=', 'pending')
      .execute();
  }
  // The last one died with what a receiver had taken, so that this must come again.
  const delivered = async () => (await listDeliveries(db, { state: 'delivered', count: 100 })).length;
  expect(requests()).toBeGreaterThan(await delivered());

  const last = startDaemon(site, ALLOW);
  await site.waitUntilProcessed();
  await until(
    async () => (await delivered()) === alerts * 4,
    async () => `${JSON.stringify(await pending())}\n${last.output}`,
  );
  expect(requests()).toBeGreaterThan(alerts * 4);
  const rows = await listDeliveries(db, { count: 100 });
  const ids = rows.filter(({ destination }) => destination === 'hub').map(({ messageId }) => messageId);
  expect(receivers.webhookIds().sort()).toEqual(ids.sort());
  expect(receivers.halo.mails.size).toBe(alerts);
  expect([...receivers.pages.values()]).toEqual(Array(alerts).fill({ state: 'triggered', calls: 1 }));
  const entities = [...receivers.timeline.values()].map((types) => [...new Set(types)]);
  expect(entities).toEqual(Array(alerts).fill(['CRITICAL']));
  expect(await last.stop()).toMatchObject({ code: 0 });
});
