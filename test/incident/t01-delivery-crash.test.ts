/**
 * T1.1 on the way out: a process is killed with SIGKILL while it delivers. Another one goes on, nothing is lost, and no
 * receiver ends up with anything twice.
 */
import { expect, it } from 'vitest';
import { newSigningKey } from '../../src/deliver/webhook.ts';
import type { DeliveryCrashPoint } from '../../src/lab/crash-point.ts';
import { Outbox, outcome } from '../support/outbox.ts';
import { startScript } from '../support/process.ts';
import { HALO_SECRET, Receivers, ROUTING_KEY } from '../support/receivers.ts';

const script = new URL('../support/delivering.ts', import.meta.url).pathname;

it.each<[DeliveryCrashPoint, arrived: boolean]>([
  ['after-delivery-claim', false],
  ['after-delivery', true],
])('T1.1 at %s', async (point, arrived) => {
  const receivers = await Receivers.start();
  const outbox = await Outbox.start();
  const { origin } = receivers;
  const key = newSigningKey();
  receivers.webhookKeys = [key];
  const clientId = 'penstock';
  const destinations = [
    await outbox.add('webhook', { secret: key, settings: { url: `${origin}/hook` } }),
    await outbox.add('halo', {
      secret: HALO_SECRET,
      settings: { url: origin },
      halo: { clientId, mailboxId: 1 },
    }),
    await outbox.add('halo', {
      secret: HALO_SECRET,
      settings: { url: origin },
      halo: { clientId, mode: 'tickets' },
    }),
    await outbox.add('pagerduty', { secret: ROUTING_KEY, settings: { url: `${origin}/v2/enqueue` } }),
    await outbox.add('splunk_oncall', { secret: receivers.splunkUrl }),
  ];
  await outbox.store(1);
  const alert = outcome(1, 'alert.opened');
  // Before anything was sent all kinds are the same.
  if (!arrived) destinations.length = 1;
  // Each in turn has the only delivery that the process knows of when it dies.
  for (const destination of destinations) {
    await outbox.tell(destination, alert);
    const { url, folder } = outbox;
    const env = { PENSTOCK_CRASH_AT: point };
    const program = startScript(script, [JSON.stringify({ url, folder })], { env });
    expect(await program.ended, program.output).toEqual({ code: null, signal: 'SIGKILL' });
    expect((await outbox.rows({ state: 'pending' })).map(({ destinationId }) => destinationId)).toEqual([
      destination.id,
    ]);
    await outbox.passTime(600);
    await outbox.deliverer.run();
  }
  expect(await outbox.rows()).toMatchObject(
    Array(destinations.length).fill({ state: 'delivered', attempts: 2 }),
  );
  expect(receivers.of('webhook')).toHaveLength(arrived ? 2 : 1);
  expect(receivers.webhookIds()).toHaveLength(1);
  if (!arrived) return;
  expect(receivers.of('mail')).toHaveLength(2);
  expect(receivers.halo.mails.size).toBe(1);
  expect(receivers.halo.tickets.size).toBe(1);
  expect(receivers.pages.get('disk/1')).toEqual({ state: 'triggered', calls: 1 });
  expect(new Set(receivers.timeline.get('disk/1'))).toEqual(new Set(['CRITICAL']));
});
