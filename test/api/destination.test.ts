/** `/Destination` and `/Delivery`. */
import { expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { queueDeliveries } from '../../src/store/deliveries.ts';
import { outcome } from '../support/outbox.ts';
import { ROUTING_KEY } from '../support/receivers.ts';
import { useApi } from './fixture.ts';

const fixture = useApi((context) => {
  context.config = { ...context.config, destinations: { allow: ['hub.corp'] } };
});

const post = async (item: object) => await fixture.send('POST', '/api/Destination', [item]);

it('makes each kind, changes in part, and returns no secret but a key that was made, once', async () => {
  const { db, send } = fixture;
  const made = await post({ type: 'webhook', name: 'hub', url: 'https://hub.example.org/x' });
  expect(made.statusCode, made.payload).toBe(201);
  const webhook = made.json<{ id: number; made_secret: string }>();
  expect(webhook.made_secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  const halo = await post({
    type: 'halo',
    name: 'halo',
    url: 'https://halo.example.org',
    new_secret: 'halo secret',
    halo: { client_id: 'app', mailbox_id: 3 },
  });
  const duty = await post({ type: 'pagerduty', name: 'duty', new_secret: ROUTING_KEY, severity: 'error' });
  const splunkUrl = 'https://alert.victorops.com/integrations/generic/20131114/alert/geheim/desk';
  const splunk = await post({ type: 'splunk_oncall', name: 'oncall', new_secret: splunkUrl });
  expect([halo.statusCode, duty.statusCode, splunk.statusCode]).toEqual([201, 201, 201]);
  expect(splunk.json()).toMatchObject({
    url: 'https://alert.victorops.com',
    events: expect.arrayContaining(['alert.opened']),
  });

  const changed = await post({ id: webhook.id, enabled: false, events: ['ticket.created'] });
  expect(changed.json()).toMatchObject({
    name: 'hub',
    enabled: false,
    events: ['ticket.created'],
    url: 'https://hub.example.org/x',
  });
  const all = await send('GET', '/api/Destination');
  expect(all.json<unknown[]>()).toHaveLength(4);
  const audit = await db
    .selectFrom('audit_log')
    .select('change')
    .where('entity', '=', 'destination')
    .execute();
  const shown = all.payload + halo.payload + duty.payload + splunk.payload + JSON.stringify(audit);
  for (const secret of [webhook.made_secret, 'halo secret', ROUTING_KEY, 'geheim'])
    expect(shown).not.toContain(secret);
});

it.each([
  [{ name: 'x', url: 'https://a.example' }, /type/],
  [{ type: 'fax', name: 'x' }, /type|enum|one of/i],
  [{ type: 'webhook', url: 'https://a.example' }, /needs a name/],
  [{ type: 'webhook', name: 'x', url: 'hub' }, /must be a whole URL/],
  [{ type: 'webhook', name: 'x', url: 'ftp://a.example' }, /must begin with https/],
  [{ type: 'webhook', name: 'x', url: 'http://a.example' }, /destinations\.allow/],
  [{ type: 'webhook', name: 'x', url: 'https://u:p@a.example' }, /no user name/],
  [{ type: 'webhook', name: 'x', url: 'https://a.example', events: [] }, /at least one event/],
  [{ type: 'webhook', name: 'x', url: 'https://a.example', new_secret: 'short' }, /Signing key 1 is no key/],
  [{ type: 'webhook', name: 'x', url: 'https://a.example', concurrency: 0 }, /concurrency|minimum|>=/],
  [
    { type: 'halo', name: 'x', url: 'https://a.example', new_secret: 's', halo: { mailbox_id: 1 } },
    /client id/,
  ],
  [
    { type: 'halo', name: 'x', url: 'https://a.example', new_secret: 's', halo: { client_id: 'c' } },
    /mailbox/,
  ],
  [{ type: 'pagerduty', name: 'x' }, /integration key/],
  [{ type: 'pagerduty', name: 'x', new_secret: 'a b' }, /letters and digits/],
  [{ id: 99_999, name: 'x' }, /no destination 99999/],
])('refuses %j', async (item, why) => {
  const answer = await post(item);
  expect([400, 404]).toContain(answer.statusCode);
  expect(answer.payload).toMatch(why);
});

it('T24.1 keys of a prototype stay without effect', async () => {
  const text =
    '[{"type":"webhook","name":"p","url":"http://hub.corp/","__proto__":{"enabled":false},"halo":{"constructor":{"x":1}}}]';
  const answer = await fixture.api.inject({
    method: 'POST',
    url: '/api/Destination',
    headers: { authorization: `Bearer ${fixture.token}`, 'content-type': 'application/json' },
    payload: text,
  });
  expect([201, 400]).toContain(answer.statusCode);
  expect(({} as Record<string, unknown>).enabled).toBeUndefined();
});

it('needs a token with the right scope', async () => {
  for (const [method, path] of [
    ['GET', '/api/Destination'],
    ['POST', '/api/Destination'],
    ['DELETE', '/api/Destination/1'],
    ['POST', '/api/Destination/1/test'],
    ['POST', '/api/Destination/1/replay'],
    ['POST', '/api/Destination/1/release'],
    ['GET', '/api/Delivery'],
  ] as const) {
    const body = method === 'POST' ? {} : undefined;
    expect((await fixture.send(method, path, body, { authorization: 'Bearer x' })).statusCode).toBe(401);
    const authorization = `Bearer ${await fixture.tokenFor('read:tickets')}`;
    expect((await fixture.send(method, path, body, { authorization })).statusCode).toBe(403);
  }
});

it('tests, shows what was given up, replays, releases and removes', async () => {
  const { db, send, services } = fixture;
  const { id } = (await post({ type: 'webhook', name: 'w', url: 'https://w.example' })).json<{
    id: number;
  }>();
  expect((await send('POST', `/api/Destination/${id}/test`, {})).json()).toMatchObject({ ok: true });
  const { testDestination } = services;
  services.testDestination = async () => {
    throw fail('egress_blocked', 'w.example is 10.0.0.1');
  };
  expect((await send('POST', `/api/Destination/${id}/test`, {})).json()).toMatchObject({
    ok: false,
    code: 'egress_blocked',
    advice: expect.stringContaining('destinations.allow'),
  });
  services.testDestination = testDestination;

  const events = [outcome(1), outcome(2), outcome(3)];
  await db.transaction().execute((tx) =>
    queueDeliveries(
      tx,
      events.map((event) => ({ destinationId: id, ledgerId: 1, event })),
    ),
  );
  await db
    .updateTable('delivery')
    .set({ state: 'dead', error_code: 'delivery_refused', error: 'no' })
    .where('destination_id', '=', id)
    .execute();
  const listed = await send('GET', `/api/Delivery?destination_id=${id}&state=dead&count=2`);
  const [newest, next] = listed.json<{ id: number; advice: string }[]>();
  expect(newest).toMatchObject({
    event: 'ticket.created',
    ticket_id: 3,
    error: 'no',
    advice: expect.stringContaining('replay'),
  });
  expect((await send('GET', `/api/Delivery?destination_id=${id}&before=${next!.id}`)).json()).toMatchObject([
    { ticket_id: 1 },
  ]);
  expect((await send('GET', '/api/Delivery?incoming_email_id=2')).json()).toMatchObject([{ ticket_id: 2 }]);

  const replayed = await send('POST', `/api/Destination/${id}/replay`, { ids: [newest!.id] });
  expect([replayed.statusCode, replayed.json()]).toEqual([202, { replayed: 1, outdated: 0 }]);
  const released = await send('POST', `/api/Destination/${id}/release`, {});
  expect(released.json()).toEqual({ released: 2 });
  expect((await send('DELETE', `/api/Destination/${id}`)).statusCode).toBe(200);
  expect((await send('DELETE', `/api/Destination/${id}`)).statusCode).toBe(404);
  const states = (await send('GET', `/api/Delivery?destination_id=${id}`)).json<{ state: string }[]>();
  expect(states.map(({ state }) => state)).toEqual(['dropped', 'dropped', 'dropped']);
  const secrets = await db
    .selectFrom('secret')
    .select('owner')
    .where('owner', '=', `destination:${id}`)
    .execute();
  expect(secrets).toEqual([]);
});
