/** A Halo as destination: the mail itself, or tickets and actions; nothing twice, and replies to the ticket they belong to. */
import { describe, expect, it } from 'vitest';
import type { HaloSettings } from '../../src/deliver/destination.ts';
import { ticketIdIn } from '../../src/deliver/halo.ts';
import { externalTicketId } from '../../src/store/deliveries.ts';
import { readTrace } from '../../src/store/traces.ts';
import { Outbox, outcome } from '../support/outbox.ts';
import { HALO_SECRET, Receivers } from '../support/receivers.ts';

async function startHalo(halo: Partial<HaloSettings>, secret = HALO_SECRET) {
  const receivers = await Receivers.start();
  const outbox = await Outbox.start();
  const destination = await outbox.add('halo', {
    secret,
    settings: { url: receivers.origin },
    halo: { clientId: 'penstock', ...halo },
  });
  return { receivers, outbox, destination };
}

describe('mail', () => {
  it('is handed in with its bytes and its structure; the ticket that Halo names is kept', async () => {
    const { receivers, outbox, destination } = await startHalo({ mailboxId: 7 });
    await outbox.store(1);
    await outbox.tell(destination, outcome(1));
    await outbox.deliverer.run();
    const [post] = receivers.of('mail');
    const raw = Buffer.from(String(post!.body.raw), 'base64').toString();
    expect(raw).toContain('Subject: mail 1');
    expect(post!.body).toMatchObject({
      haloMailboxId: 7,
      mimeMessage: {
        subject: 'mail 1',
        from: [{ name: 'Ann', address: 'ann@example.org' }],
        textBody: expect.stringContaining('Hello.'),
      },
    });
    const [mail] = [...receivers.halo.mails.values()];
    expect(await externalTicketId(outbox.db, 1, destination.id)).toBe(String(mail!.ticket_id));
    expect(await readTrace(outbox.db, 1)).toMatchObject([
      {
        event: 'delivered',
        destination: { id: destination.id, name: 'halo' },
        reference: String(mail!.ticket_id),
      },
    ]);
  });

  it('that Halo took before the line dropped is one mail there', async () => {
    const { receivers, outbox, destination } = await startHalo({ mailboxId: 7, endpoint: 'Google' });
    receivers.faults.add({ at: 'mail', action: { do: 'lose' }, times: 1 });
    await outbox.store(1);
    await outbox.tell(destination, outcome(1));
    await outbox.deliverer.run();
    await outbox.passTime(6);
    await outbox.deliverer.run();
    expect(receivers.of('mail')).toHaveLength(2);
    expect(receivers.halo.mails.size).toBe(1);
    expect(await outbox.states()).toEqual(['delivered']);
    expect(Buffer.from(String(receivers.of('mail')[0]!.body.raw), 'base64url').toString()).toContain(
      'mail 1',
    );
  });

  it('whose bytes are gone is given up at once, and the next goes on', async () => {
    const { outbox, destination } = await startHalo({ mailboxId: 7 });
    await outbox.store(2);
    await outbox.tell(destination, outcome(1), outcome(2));
    await outbox.deliverer.run();
    expect(await outbox.rows()).toMatchObject([
      { state: 'dead', errorCode: 'raw_missing' },
      { state: 'delivered' },
    ]);
  });
});

describe('tickets', () => {
  it('are made, answered and closed there, in order', async () => {
    const { receivers, outbox, destination } = await startHalo({ mode: 'tickets', closedStatusId: 9 });
    await outbox.store(1);
    await outbox.tell(
      destination,
      outcome(1),
      outcome(1, 'ticket.updated', { private: true }),
      outcome(1, 'ticket.closed'),
    );
    await outbox.deliverer.run();
    expect(await outbox.states()).toEqual(['delivered', 'delivered', 'delivered']);
    const [id, ticket] = [...receivers.halo.tickets][0]!;
    expect(ticket).toMatchObject({
      summary: 'mail 1',
      status_id: 9,
      details: expect.stringContaining('Hello.'),
    });
    expect(receivers.halo.actions).toMatchObject([
      { ticket_id: id, hiddenfromuser: true, outcome: 'Email' },
      { ticket_id: id, hiddenfromuser: false },
    ]);
    expect(receivers.halo.tokens).toBe(1);
  });

  it.each(['tickets', 'actions'] as const)(
    '%s that may have arrived are looked for, not made twice',
    async (route) => {
      const { receivers, outbox, destination } = await startHalo({ mode: 'tickets' });
      receivers.faults.add({ at: route, action: { do: 'lose' }, times: 1 });
      await outbox.store(1);
      await outbox.tell(destination, outcome(1), outcome(1, 'ticket.updated'));
      for (let turn = 0; turn < 3; turn += 1) {
        await outbox.deliverer.run();
        await outbox.passTime(6);
      }
      expect(await outbox.states()).toEqual(['delivered', 'delivered']);
      expect(receivers.halo.tickets.size).toBe(1);
      expect(receivers.halo.actions).toHaveLength(1);
    },
  );
});

it('deliveries side by side use one token; one that ended is replaced once; a wrong secret is told as such, and is no secret in the message', async () => {
  const { receivers, outbox, destination } = await startHalo({ mailboxId: 7 });
  for (const id of [1, 2, 3, 4, 5, 6]) await outbox.store(id);
  await outbox.tell(destination, outcome(1), outcome(2), outcome(3));
  await outbox.deliverer.run();
  expect(receivers.halo.tokens).toBe(1);
  receivers.halo.tokens = 50;
  await outbox.tell(destination, outcome(4), outcome(5), outcome(6));
  await outbox.deliverer.run();
  expect(await outbox.states()).toEqual(Array(6).fill('delivered'));
  expect(receivers.halo.tokens).toBe(51);

  const wrong = await startHalo({ mailboxId: 7 }, 'not this one');
  await wrong.outbox.store(1);
  await wrong.outbox.tell(wrong.destination, outcome(1));
  await wrong.outbox.deliverer.run();
  const [row] = await wrong.outbox.rows();
  expect(row).toMatchObject({ state: 'pending', errorCode: 'destination_refused' });
  expect(JSON.stringify(row)).not.toContain('not this one');
});

it.each([
  [{ id: 5 }, '5'],
  [[{ id: 5 }], '5'],
  [{ id: 5, faultid: 6 }, '6'],
  [{ id: 5, mbid: 1 }, null],
  [{ id: 5, mbid: 1, ticket_id: 8 }, '8'],
  [{ id: 0 }, null],
  [{ id: '5' }, null],
  [[], null],
  [null, null],
])('the ticket in %j is %s', (answer, id) => {
  expect(ticketIdIn(answer)).toBe(id);
});
