/** Being told of new mail by Graph, from the subscription to the ledger, and what happens when something of that fails. */
import { sql } from 'kysely';
import { describe, expect, it, vi } from 'vitest';
import { createSubscription, graphSubscriptions } from '../../src/source/graph/subscription.ts';
import type { MailboxSettings } from '../../src/store/mailbox-settings.ts';
import { deleteMailbox } from '../../src/store/mailboxes.ts';
import { subscriptionStandings } from '../../src/store/subscriptions.ts';
import { type GraphLab, labCertificate, startGraphLab } from '../support/graph-lab.ts';
import { type Push, startPush } from '../support/push.ts';

interface OnGraph extends Push {
  lab: GraphLab;
  /** Subscriptions at Graph. */
  atGraph(): string[];
  addresses: { graph: string | null; gmail: null };
  /** Lets Graph's notifications arrive. */
  settle(): Promise<void>;
}

/** Polls once an hour unless told otherwise: what is taken meanwhile was told of. */
async function start(settings: Partial<MailboxSettings> = {}): Promise<OnGraph> {
  const lab = await startGraphLab({ notificationCa: labCertificate().cert });
  const mailbox = lab.mailbox();
  const push = await startPush({
    kind: 'graph',
    source: mailbox.source(),
    subscriptions: graphSubscriptions(mailbox),
    settings: { pollSeconds: 3_600, ...settings },
  });
  return {
    ...push,
    lab,
    atGraph: () => [...lab.server.subscriptions.all.keys()],
    addresses: { graph: `${push.url}/notifications/graph`, gmail: null },
    settle: () => lab.server.subscriptions.settled(),
  };
}

describe('push from Graph', () => {
  it('brings mail into the ledger without a poll of its own', async () => {
    const graph = await start();
    graph.lab.deliver('before');
    await graph.startPolling();
    await graph.untilStored('before');
    await graph.keeper(graph.addresses).review();
    expect(graph.toldOf('subscription.failed')).toEqual([]);
    expect(graph.toldOf('subscription.changed')).toMatchObject([{ folder: 'INBOX', did: 'made' }]);
    expect(graph.atGraph()).toEqual([(await graph.row())?.provider_id]);
    graph.lab.deliver('told');
    await graph.untilStored('before', 'told');
    await graph.settle();
    expect(graph.lab.server.subscriptions.answers).toEqual([202]);
    expect(await graph.row()).toMatchObject({ failures: 0, notified_at: expect.any(Date) });
  });

  it('keeps no secret, only its digest', async () => {
    const graph = await start();
    await graph.startPolling();
    await graph.keeper(graph.addresses).review();
    const [subscription] = graph.lab.server.subscriptions.all.values();
    const secret = subscription!.clientState!;
    const { rows } = await sql<{ text: string }>`
      select row_to_json(subscription)::text as text from subscription`.execute(graph.db);
    expect(rows[0]!.text).not.toContain(secret);
    expect((await graph.row())?.secret_sha256).toHaveLength(32);
  });

  it('that gets lost is made good by polling', async () => {
    const graph = await start({ pollSeconds: 1 });
    await graph.startPolling();
    await graph.keeper(graph.addresses).review();
    graph.lab.server.subscriptions.dropNext = 1_000;
    graph.lab.deliver('untold');
    await graph.untilStored('untold');
    expect((await graph.row())?.notified_at).toBe(null);
  });

  it('whose word to the poller gets lost is heard at the next review', async () => {
    const graph = await start();
    await graph.startPolling();
    const keeper = graph.keeper(graph.addresses);
    await keeper.review();
    graph.lab.server.subscriptions.dropNext = 1;
    graph.lab.deliver('m');
    // As a process does that dies between its commit and the notice.
    await sql`update subscription set notified_at = now() + interval '1 day'`.execute(graph.db);
    await keeper.review();
    await graph.untilStored('m');
  });

  it('whose answer gets lost when it is made leaves no other one behind', async () => {
    const graph = await start();
    await graph.startPolling();
    graph.lab.server.faults.add({ at: 'create-subscription', action: { do: 'act-and-reset' }, times: 1 });
    const keeper = graph.keeper(graph.addresses);
    await keeper.review();
    const [lost] = graph.atGraph();
    expect(lost).toBeDefined();
    expect(await graph.row()).toMatchObject({ provider_id: null, failures: 1 });
    // Subscriptions of others, which the same application has.
    const client = graph.lab.mailbox().client();
    const others = await createSubscription(client, 'inbox', `${graph.url}/notifications/graph?other`, 's');
    client.close();
    await graph.passTime(1);
    await keeper.review();
    const made = (await graph.row())?.provider_id as string;
    expect(graph.atGraph().sort()).toEqual([others.id, made].sort());
    expect(made).not.toBe(lost);
  });

  it('whose making a stop breaks off leaves no other one behind either', async () => {
    const graph = await start();
    await graph.startPolling();
    graph.lab.server.faults.add({ at: 'create-subscription', action: { do: 'act-and-reset' }, times: 1 });
    const keeper = graph.keeper(graph.addresses);
    await keeper.review();
    // As a process leaves it that was stopped in mid-turn.
    await sql`update subscription set failures = 0, next_attempt_at = now()`.execute(graph.db);
    await graph.keeper(graph.addresses).review();
    expect(graph.atGraph()).toEqual([(await graph.row())?.provider_id]);
  });

  it('refused by the handshake is tried again later, and mail is taken meanwhile', async () => {
    const graph = await start({ pollSeconds: 1 });
    await graph.startPolling();
    const keeper = graph.keeper({ ...graph.addresses, graph: `${graph.url}/nobody` });
    await keeper.review();
    expect(graph.toldOf('subscription.failed')).toMatchObject([{ code: 'push_refused', consecutive: 1 }]);
    expect(await graph.row()).toMatchObject({ failures: 1, error_code: 'push_refused', provider_id: null });
    expect(await subscriptionStandings(graph.db)).toEqual([
      {
        mailboxId: graph.mailboxId,
        failures: 1,
        expiresAt: null,
        notifiedAt: null,
        providerId: null,
        live: false,
      },
    ]);
    // Not before its time.
    await keeper.review();
    expect(graph.toldOf('subscription.failed')).toHaveLength(1);
    await graph.passTime(1);
    await keeper.review();
    expect(graph.toldOf('subscription.failed')).toMatchObject([{}, { consecutive: 2 }]);
    graph.lab.deliver('polled');
    await graph.untilStored('polled');
    // Somebody has repaired the address.
    await graph.passTime(1);
    await graph.keeper(graph.addresses).review();
    expect(await graph.row()).toMatchObject({
      failures: 0,
      error_code: null,
      provider_id: graph.atGraph()[0],
    });
  });

  it('is renewed at half of its life, by the subscription that it is', async () => {
    const graph = await start();
    await graph.startPolling();
    const keeper = graph.keeper(graph.addresses);
    await keeper.review();
    const before = graph.atGraph();
    await keeper.review();
    expect(graph.toldOf('subscription.changed')).toHaveLength(1);
    await graph.passTime(36);
    await keeper.review();
    expect(graph.toldOf('subscription.changed')).toMatchObject([{ did: 'made' }, { did: 'renewed' }]);
    expect(graph.atGraph()).toEqual(before);
    graph.lab.deliver('still told');
    await graph.untilStored('still told');
  });

  it('that ended while we were away is made anew, and what came meanwhile is taken', async () => {
    const graph = await start();
    await graph.startPolling();
    await graph.keeper(graph.addresses).review();
    const [ended] = graph.atGraph();
    graph.lab.server.subscriptions.remove(ended!);
    graph.lab.deliver('untold');
    await graph.passTime(24 * 7);
    await graph.keeper(graph.addresses).review();
    expect(graph.atGraph()).toHaveLength(1);
    expect(graph.atGraph()).not.toEqual([ended]);
    await graph.untilStored('untold');
    graph.lab.deliver('told');
    await graph.untilStored('told', 'untold');
  });

  it('that Graph removed is made anew when it says so', async () => {
    const graph = await start();
    await graph.startPolling();
    const keeper = graph.keeper(graph.addresses);
    await keeper.review();
    const [removed] = graph.atGraph();
    graph.lab.server.subscriptions.lifecycle(removed!, 'subscriptionRemoved');
    await graph.settle();
    graph.lab.deliver('untold');
    expect(await graph.row()).toMatchObject({ need: 'recreate' });
    await keeper.review();
    expect(graph.atGraph()).toHaveLength(1);
    expect(await graph.row()).toMatchObject({ need: null, provider_id: graph.atGraph()[0] });
    await graph.untilStored('untold');
  });

  it('that Graph paused goes on after it was authorised anew', async () => {
    const graph = await start();
    await graph.startPolling();
    const keeper = graph.keeper(graph.addresses);
    await keeper.review();
    const [id] = graph.atGraph();
    graph.lab.server.subscriptions.lifecycle(id!, 'reauthorizationRequired');
    await graph.settle();
    graph.lab.deliver('in the pause');
    await keeper.review();
    expect(graph.atGraph()).toEqual([id]);
    expect(await graph.row()).toMatchObject({ need: null });
    await graph.untilStored('in the pause');
    graph.lab.deliver('after it');
    await graph.untilStored('after it', 'in the pause');
  });

  it('missed by Graph is polled for', async () => {
    const graph = await start();
    await graph.startPolling();
    await graph.keeper(graph.addresses).review();
    graph.lab.server.subscriptions.dropNext = 1;
    graph.lab.deliver('missed');
    graph.lab.server.subscriptions.lifecycle(graph.atGraph()[0]!, 'missed');
    await graph.untilStored('missed');
  });

  it('moves with the public address, and ends without one, which is told once', async () => {
    const graph = await start({ pollSeconds: 1 });
    await graph.startPolling();
    await graph.keeper(graph.addresses).review();
    const [old] = graph.atGraph();
    const elsewhere = `${graph.url}/api/Mail/Azure`;
    await graph.keeper({ graph: elsewhere, gmail: null }).review();
    expect(graph.atGraph()).toHaveLength(1);
    expect(graph.atGraph()).not.toEqual([old]);
    const off = graph.keeper({ graph: null, gmail: null });
    await off.review();
    await off.review();
    expect(graph.atGraph()).toEqual([]);
    expect(await graph.row()).toBe(undefined);
    expect(graph.toldOf('subscription.off')).toEqual([{ kinds: ['graph'] }]);
    graph.lab.deliver('polled');
    await graph.untilStored('polled');
  });

  it('is asked for once, however many processes want it', async () => {
    const graph = await start();
    await graph.startPolling();
    const keepers = Array.from({ length: 4 }, () => graph.keeper(graph.addresses));
    await Promise.all(keepers.map((keeper) => keeper.review()));
    expect(graph.atGraph()).toHaveLength(1);
    expect(graph.toldOf('subscription.changed')).toHaveLength(1);
  });

  it('is forgotten with its mailbox', async () => {
    const graph = await start();
    await graph.startPolling();
    const keeper = graph.keeper(graph.addresses);
    await keeper.review();
    await graph.db.transaction().execute((tx) => deleteMailbox(tx, graph.mailboxId));
    await vi.waitFor(
      async () => {
        await keeper.review();
        expect(await graph.row()).toBe(undefined);
      },
      { timeout: 60_000 },
    );
  });

  it('does not cut a wait short that the server asked for', async () => {
    const graph = await start();
    await graph.startPolling();
    await graph.keeper(graph.addresses).review();
    const action = { do: 'answer', status: 429, retryAfter: 3_600 } as const;
    graph.lab.server.faults.add({ at: 'delta', action });
    graph.lab.deliver('a', 'b', 'c');
    await vi.waitFor(() => expect(graph.toldOf('mailbox.failed')).not.toEqual([]), { timeout: 60_000 });
    graph.lab.deliver('d', 'e');
    await graph.settle();
    await expect(
      vi.waitFor(() => expect(graph.toldOf('mailbox.failed').length).toBeGreaterThan(1), { timeout: 2_000 }),
    ).rejects.toThrow();
    expect(await graph.row()).toMatchObject({ notified_at: expect.any(Date) });
  });
});
