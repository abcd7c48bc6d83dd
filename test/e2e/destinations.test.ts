/** From a mail on a server to four other systems, one of which is away. */
import { expect, it } from 'vitest';
import { Deliverer } from '../../src/deliver/deliverer.ts';
import { AllowList } from '../../src/deliver/egress.ts';
import { addDestination } from '../../src/deliver/save.ts';
import { newSigningKey } from '../../src/deliver/webhook.ts';
import { makeSender } from '../../src/delivery.ts';
import type { Runtime } from '../../src/runtime.ts';
import { listDeliveries } from '../../src/store/deliveries.ts';
import { saveRule } from '../../src/store/rules.ts';
import { makeRule, ruleWithSlot } from '../rule/fixtures.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
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

it('outcomes reach all four kinds of destination, though one is away at first; ignored mail reaches none', async () => {
  const receivers = await Receivers.start();
  const site = await Site.start({ backend: 'postgres' });
  const { db } = site.runtime;
  await db.transaction().execute(async (tx) => {
    const host = { startTag: 'Host: ', useEndOfLine: true };
    const alert = { id: 0, name: 'alerts', type: 'alert' as const, sequence: 9, subject: 'PROBLEM' };
    await saveRule(tx, ruleWithSlot(4, host, { ...alert, closeString: 'RECOVERED' }), 'test');
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
