/** Order, concurrency and outages: nothing lost, nothing doubled, nobody run over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { newSigningKey } from '../../src/deliver/webhook.ts';
import { judgeHealth } from '../../src/observe/health.ts';
import { claimDeliveries, destinationStandings, purgeDeliveries } from '../../src/store/deliveries.ts';
import { deleteDestination } from '../../src/store/destinations.ts';
import { purgeProcessed } from '../../src/store/retention.ts';
import { Outbox, outcome } from '../support/outbox.ts';
import { Receivers } from '../support/receivers.ts';

async function startWebhook(concurrency: number) {
  const receivers = await Receivers.start();
  const outbox = await Outbox.start();
  const key = newSigningKey();
  receivers.webhookKeys = [key];
  const settings = { url: `${receivers.origin}/hook`, concurrency, timeoutSeconds: 5 };
  const destination = await outbox.add('webhook', { secret: key, settings });
  return { receivers, outbox, destination };
}

type Data = { data: { ticket: { id: number }; reason: string } };

it('deliveries of a ticket keep their order while others overtake one that fails', async () => {
  const { receivers, outbox, destination } = await startWebhook(8);
  const updates = [1, 2, 3].flatMap((ticket) =>
    ['a', 'b', 'c'].map((reason) => outcome(ticket, 'ticket.updated', { reason })),
  );
  receivers.faults.add({ at: 'webhook', action: { do: 'answer', status: 500 }, times: 1 });
  await outbox.tell(destination, ...updates);
  await outbox.deliverer.run();
  const held = (await outbox.rows({ state: 'pending' })).map(({ ticketId }) => ticketId);
  expect(held).toHaveLength(3);
  expect(new Set(held).size).toBe(1);
  await outbox.passTime(6);
  await outbox.deliverer.run();
  const orderOf = (ticket: number) =>
    receivers
      .of('webhook')
      .map(({ body }) => (body as unknown as Data).data)
      .filter((data) => data.ticket.id === ticket)
      .map(({ reason }) => reason)
      .join('');
  // The first attempt of the first one failed; its followers waited for it.
  expect([1, 2, 3].map(orderOf).sort()).toEqual(['aabc', 'abc', 'abc']);
});

it('two processes together keep to the concurrency, and to one of a ticket at a time', async () => {
  const { outbox, destination } = await startWebhook(3);
  const beside = await Outbox.start({ beside: outbox });
  await outbox.tell(destination, ...[1, 1, 2, 3, 4, 5, 6].map((id) => outcome(id, 'ticket.updated')));
  const claims = (
    await Promise.all([
      claimDeliveries(outbox.db, destination.id),
      claimDeliveries(beside.db, destination.id),
    ])
  ).flat();
  expect(claims.map(({ ticketId }) => ticketId).sort()).toEqual([1, 2, 3]);
  expect(await claimDeliveries(beside.db, destination.id)).toEqual([]);
});

it('a process that dies while it delivers leaves a claim that expires; its late result is not taken', async () => {
  const { receivers, outbox, destination } = await startWebhook(1);
  await outbox.tell(destination, outcome(1));
  const [claim] = await claimDeliveries(outbox.db, destination.id);
  expect(claim).toMatchObject({ attempts: 1, maybeSent: false });
  await outbox.deliverer.run();
  expect(receivers.of('webhook')).toHaveLength(0);
  await outbox.passTime(200);
  const [again] = await claimDeliveries(outbox.db, destination.id);
  expect(again).toMatchObject({ id: claim!.id, messageId: claim!.messageId, attempts: 2, maybeSent: true });
  await outbox.passTime(200);
  await outbox.deliverer.run();
  expect(await outbox.rows()).toMatchObject([{ state: 'delivered', attempts: 3 }]);
});

it('a stop lets go of what hangs, and the next start sends it under its id', async () => {
  const { receivers, outbox, destination } = await startWebhook(1);
  receivers.faults.add({ at: 'webhook', action: { do: 'hang' }, times: 1 });
  await outbox.tell(destination, outcome(1));
  outbox.deliverer.nudge();
  while (receivers.of('webhook').length === 0) await sleep(5);
  await outbox.deliverer.stop(10);
  const next = await Outbox.start({ beside: outbox });
  await next.deliverer.run();
  expect(await outbox.rows()).toMatchObject([{ state: 'delivered', attempts: 2 }]);
  expect(receivers.webhookIds()).toHaveLength(1);
});

it('a destination that is down for an hour loses nothing, gets nothing twice, and is asked a few times only', async () => {
  const { receivers, outbox, destination } = await startWebhook(4);
  const { port } = receivers;
  const wanted: string[] = [];
  const tell = async (id: number) =>
    await outbox.tell(destination, outcome(id), outcome(id, 'ticket.updated'));
  for (let id = 1; id <= 5; id += 1) await tell(id);
  await outbox.deliverer.run();
  await receivers.stop();
  let attempts = 0;
  for (let minute = 0; minute < 60; minute += 1) {
    await tell(100 + minute);
    await outbox.deliverer.run();
    await outbox.passTime(60);
    attempts = outbox.of('delivery.failed').length;
  }
  expect(attempts).toBeGreaterThan(4);
  expect(attempts).toBeLessThan(25);
  expect(outbox.of('destination.left_alone').length).toBeGreaterThan(0);
  const facts = {
    database: { ok: true as const },
    queue: { ok: true as const },
    diskFreeBytes: 1e12,
    backlog: null,
    mailboxes: [],
    staleIntervals: 3,
    destinations: await destinationStandings(outbox.db, 1_000),
  };
  expect(judgeHealth(facts, new Date())).toMatchObject({
    ready: true,
    status: 'degraded',
    reasons: [{ check: 'destinations', blocks: false, text: expect.stringContaining('120 deliveries wait') }],
  });
  await receivers.listen(port);
  // The breaker lets one through, and then everything.
  await outbox.passTime(1_000);
  await outbox.deliverer.run();
  const rows = await outbox.rows();
  expect(rows.filter(({ state }) => state !== 'delivered')).toEqual([]);
  wanted.push(...rows.map(({ messageId }) => messageId));
  expect(receivers.webhookIds().sort()).toEqual(wanted.sort());
  expect(receivers.of('webhook')).toHaveLength(130);
  expect(outbox.of('destination.recovered')).toHaveLength(1);
});

it('mail whose outcome was not delivered is kept, however old; what arrived goes by age', async () => {
  const { outbox, destination } = await startWebhook(1);
  await outbox.store(1);
  await outbox.tell(destination, outcome(1));
  await sql`update incoming_email set processed_at = now() - interval '30 days'`.execute(outbox.db);
  expect(await purgeProcessed(outbox.db, 14)).toMatchObject({ emails: 0 });
  await outbox.deliverer.run();
  expect(await purgeDeliveries(outbox.db, 14)).toMatchObject({ deliveries: 0 });
  expect(await purgeProcessed(outbox.db, 14)).toMatchObject({ emails: 1 });
  await outbox.passTime(15 * 86_400);
  expect(await purgeDeliveries(outbox.db, 14)).toMatchObject({ deliveries: 1 });

  // Queued by a process that did not know yet that the destination was removed.
  await outbox.db.transaction().execute((tx) => deleteDestination(tx, destination.id));
  await outbox.tell(destination, outcome(2));
  expect(await purgeDeliveries(outbox.db, 14)).toMatchObject({ deliveries: 0 });
  await sql`update destination set deleted_at = now() - interval '15 days'`.execute(outbox.db);
  expect(await purgeDeliveries(outbox.db, 14)).toMatchObject({ deliveries: 1 });
});
