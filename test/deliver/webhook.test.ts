/** Webhooks, verified by the reference code of Standard Webhooks. */
import { describe, expect, it } from 'vitest';
import { changeDestination } from '../../src/deliver/save.ts';
import { newSigningKey, readSigningKeys } from '../../src/deliver/webhook.ts';
import { LIMITS } from '../../src/limits.ts';
import { replayDeliveries } from '../../src/store/deliveries.ts';
import { readSecret } from '../../src/store/secrets.ts';
import { Outbox, outcome } from '../support/outbox.ts';
import { Receivers } from '../support/receivers.ts';

async function startWebhook(concurrency = 4) {
  const receivers = await Receivers.start();
  const outbox = await Outbox.start();
  const key = newSigningKey();
  receivers.webhookKeys = [key];
  const settings = { url: `${receivers.origin}/hook`, concurrency };
  const destination = await outbox.add('webhook', { secret: key, settings });
  return { receivers, outbox, destination, key };
}

describe('a webhook', () => {
  it('gets each outcome once, signed, in its published shape', async () => {
    const { receivers, outbox, destination } = await startWebhook();
    await outbox.tell(
      destination,
      outcome(1),
      outcome(2, 'alert.opened', { fields: [{ field: '__proto__', value: 'x' }] }),
    );
    await outbox.deliverer.run();
    expect(await outbox.states()).toEqual(['delivered', 'delivered']);
    const bodies = receivers.of('webhook').map(({ body }) => body);
    expect(bodies.find(({ type }) => type === 'ticket.created')).toMatchObject({
      timestamp: '2026-03-01T12:00:00.000Z',
      data: { email: { id: 1, subject: 'mail 1' }, ticket: { id: 1, open: true }, reason: 'no_rule' },
    });
    expect(JSON.stringify(bodies)).toContain('"field":"__proto__"');
    const rows = await outbox.rows();
    expect(receivers.webhookIds().sort()).toEqual(rows.map(({ messageId }) => messageId).sort());
    expect(outbox.of('delivery.delivered')).toHaveLength(2);
  });

  it('T28: what mail brings along never becomes a header, nor a line of its own', async () => {
    const { receivers, outbox, destination } = await startWebhook();
    const email = {
      ...outcome(1).email,
      subject: 'x\r\nBcc: a@b\u0000\u001b[31m',
      from: '"a\r\nwebhook-id: msg_x" <a@b>',
    };
    await outbox.tell(destination, outcome(1, 'ticket.created', { email }));
    await outbox.deliverer.run();
    const [post] = receivers.of('webhook');
    expect(Object.keys(post!.headers)).not.toContain('bcc');
    for (const character of ['\r', '\n', '\u001b']) expect(post!.text).not.toContain(character);
    expect((post!.body.data as { email: { subject: string } }).email.subject).toBe('x\r\nBcc: a@b\u001b[31m');
  });

  it('is signed with every key, so that a key can be changed while both are valid', async () => {
    const { receivers, outbox, destination, key } = await startWebhook();
    const next = newSigningKey();
    const { db, keys, allowed } = outbox;
    const change = (secret: string) =>
      db
        .transaction()
        .execute((tx) => changeDestination({ tx, keys, allowed, actor: 'test' }, destination.id, { secret }));
    await change(`${next} ${key}`);
    receivers.webhookKeys = [key, next];
    await outbox.tell(destination, outcome(1));
    await outbox.deliverer.run();
    expect(String(receivers.of('webhook')[0]!.headers['webhook-signature']).split(' ')).toHaveLength(2);
    await change(next);
    receivers.webhookKeys = [next];
    await outbox.tell(destination, outcome(2));
    await outbox.deliverer.run();
    expect(await outbox.states()).toEqual(['delivered', 'delivered']);
  });

  it('keeps its keys encrypted, and no message shows one', async () => {
    const { outbox, destination, key } = await startWebhook();
    const kept = await outbox.db.selectFrom('secret').selectAll().execute();
    expect(kept).toHaveLength(1);
    expect(kept[0]!.ciphertext.includes(key)).toBe(false);
    expect(await readSecret(outbox.db, outbox.keys, `destination:${destination.id}`, 'keys')).toBe(key);
    for (const bad of [
      'whsec_short',
      'secret words',
      `${key}!`,
      '',
      Array(6).fill(newSigningKey()).join(' '),
    ]) {
      const message = (() => {
        try {
          readSigningKeys(bad);
          return 'taken';
        } catch (error) {
          return (error as Error).message;
        }
      })();
      expect(message).toMatch(/^(A webhook|Signing key)/);
      if (bad !== '') expect(message).not.toContain(bad);
    }
  });
});

it('a delivery that never gets through is given up after days, shown, and sent again by a person under its id', async () => {
  const { receivers, outbox, destination } = await startWebhook();
  const remove = receivers.faults.add({ at: 'webhook', action: { do: 'answer', status: 500 } });
  await outbox.tell(destination, outcome(1));
  for (let days = 0; days < 30 && (await outbox.states())[0] === 'pending'; days += 1) {
    await outbox.deliverer.run();
    await outbox.passTime(86_400);
  }
  const [row] = await outbox.rows({ state: 'dead' });
  expect(row).toMatchObject({
    attempts: 10,
    errorCode: 'destination_failed',
    error: expect.stringContaining('500'),
  });
  expect(outbox.of('delivery.dead')).toHaveLength(1);
  expect(receivers.of('webhook')).toHaveLength(10);
  remove();
  const wish = { destinationId: destination.id };
  expect(await outbox.db.transaction().execute((tx) => replayDeliveries(tx, wish))).toEqual({
    replayed: 1,
    outdated: 0,
  });
  await outbox.passTime(LIMITS.breakerSecondsMost);
  await outbox.deliverer.run();
  expect(await outbox.states()).toEqual(['delivered']);
  expect(receivers.webhookIds()).toEqual([row!.messageId]);
});
