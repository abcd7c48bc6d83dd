/** Subscriptions to new mail, and what is made of what comes in by them. */

import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { LifecycleEvent } from '../../src/lab/graph/subscriptions.ts';
import type { GraphClient } from '../../src/source/graph/client.ts';
import { listContacts } from '../../src/source/graph/contacts.ts';
import {
  handshakeAnswer,
  type KnownSubscription,
  lifecycleNeed,
  type Notice,
  readNotifications,
} from '../../src/source/graph/notification.ts';
import {
  createSubscription,
  deleteSubscription,
  newClientState,
  renewSubscription,
  subscriptionDue,
} from '../../src/source/graph/subscription.ts';
import { ANN, GOOD_TOKEN, type GraphLab, labCertificate, startGraphLab } from '../support/graph-lab.ts';
import { typeFaults } from '../support/graph-types.ts';

interface Listener {
  url: string;
  known: Map<string, KnownSubscription>;
  bodies: unknown[];
  notices: Notice[];
  strangers: number;
}

/** A web address as the API will have one: it answers handshakes, and takes everything else with 202. */
async function startListener(shake = handshakeAnswer): Promise<Listener> {
  const { key, cert } = labCertificate();
  const server = https.createServer({ key, cert }, async (request, response) => {
    const token = shake(new URL(request.url ?? '/', 'https://x').searchParams.get('validationToken'));
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    if (token !== null) return void response.writeHead(200, { 'Content-Type': 'text/plain' }).end(token);
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString() || 'null');
    listener.bodies.push(body);
    const read = readNotifications(body, (id) => listener.known.get(id));
    listener.notices.push(...read.notices);
    listener.strangers += read.strangers;
    response.writeHead(202).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/notify`;
  const listener: Listener = { url, known: new Map(), bodies: [], notices: [], strangers: 0 };
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return listener;
}

async function startSubscribed(): Promise<{
  lab: GraphLab;
  client: GraphClient;
  listener: Listener;
  id: string;
}> {
  const lab = await startGraphLab({ notificationCa: labCertificate().cert });
  const client = clientOf(lab);
  const listener = await startListener();
  const clientState = newClientState();
  const wish = { folder: 'inbox', notificationUrl: listener.url, lifecycleUrl: listener.url, clientState };
  const { id } = await createSubscription(client, wish);
  listener.known.set(id, { clientState, tenantId: lab.server.subscriptions.options.tenantId });
  return { lab, client, listener, id };
}

function clientOf(lab: GraphLab): GraphClient {
  const client = lab.mailbox().client();
  onTestFinished(() => client.close());
  return client;
}

describe('subscriptions', () => {
  it('are made after a handshake, and then tell of new mail', async () => {
    const { lab, listener, id } = await startSubscribed();
    lab.deliver('m1');
    await lab.server.subscriptions.settled();
    expect(listener.notices).toEqual([{ subscriptionId: id, need: 'nothing' }]);
    expect(lab.server.subscriptions.answers).toEqual([202]);
    const [body] = listener.bodies as { value: unknown[] }[];
    expect(typeFaults(body!.value, 'list:changeNotification')).toEqual([]);
  });

  it('are refused without an answer to the handshake', async () => {
    const lab = await startGraphLab({ notificationCa: labCertificate().cert });
    const listener = await startListener((token) => (token === null ? null : `<p>${String(token)}`));
    const wish = {
      folder: 'inbox',
      notificationUrl: listener.url,
      lifecycleUrl: listener.url,
      clientState: 'x',
    };
    await expect(createSubscription(clientOf(lab), wish)).rejects.toMatchObject({
      code: 'server_protocol',
      fields: { graphCode: 'ValidationError' },
    });
    expect(lab.server.subscriptions.all.size).toBe(0);
  });

  it('are renewed, and made anew when they are gone', async () => {
    const { lab, client, id } = await startSubscribed();
    const own = lab.server.subscriptions.all.get(id)!;
    own.expirationDateTime = new Date(Date.now() + 60_000);
    const renewed = await renewSubscription(client, id);
    expect(Date.parse(renewed!.expiresAt)).toBe(own.expirationDateTime.getTime());
    expect(Date.parse(renewed!.expiresAt) - Date.now()).toBeGreaterThan(2 * 24 * 3_600_000);
    await deleteSubscription(client, id);
    expect(lab.server.subscriptions.all.size).toBe(0);
    await deleteSubscription(client, id);
    expect(await renewSubscription(client, id)).toBe(null);
  });

  it('fit the shorter life that older documents allow', async () => {
    const lab = await startGraphLab({ notificationCa: labCertificate().cert, subscriptionMaxMinutes: 4_230 });
    const { url } = await startListener();
    const wish = { folder: 'inbox', notificationUrl: url, lifecycleUrl: url, clientState: newClientState() };
    const subscription = await createSubscription(clientOf(lab), wish);
    expect(subscriptionDue(subscription, Date.now())).toBe('nothing');
  });

  it('that are paused tell nothing until they are renewed', async () => {
    const { lab, client, listener, id } = await startSubscribed();
    lab.server.subscriptions.lifecycle(id, 'reauthorizationRequired');
    lab.deliver('m1');
    await lab.server.subscriptions.settled();
    expect(listener.notices).toEqual([{ subscriptionId: id, need: 'renew' }]);
    await renewSubscription(client, id);
    lab.deliver('m2');
    await lab.server.subscriptions.settled();
    expect(listener.notices).toHaveLength(2);
  });

  for (const [event, need] of [
    ['reauthorizationRequired', 'renew'],
    ['subscriptionRemoved', 'recreate'],
    ['missed', 'nothing'],
  ] as [LifecycleEvent, Notice['need']][]) {
    it(`${event} asks for ${need}`, async () => {
      expect(lifecycleNeed(event)).toBe(need);
      const { lab, listener, id } = await startSubscribed();
      lab.server.subscriptions.lifecycle(id, event);
      await lab.server.subscriptions.settled();
      expect(listener.notices).toEqual([{ subscriptionId: id, need }]);
    });
  }

  it('need a permission to read the mailbox', async () => {
    const lab = await startGraphLab();
    lab.server.grant(GOOD_TOKEN, ['contacts']);
    const url = 'https://127.0.0.1:9/';
    const wish = { folder: 'inbox', notificationUrl: url, lifecycleUrl: url, clientState: 'x' };
    await expect(createSubscription(clientOf(lab), wish)).rejects.toMatchObject({
      code: 'permission_denied',
    });
  });
});

describe('when a subscription is due', () => {
  const hour = 3_600_000;
  const at = (ms: number): string => new Date(ms).toISOString();
  const cases: [
    string,
    { renewedAt: string; expiresAt: string } | null,
    ReturnType<typeof subscriptionDue>,
  ][] = [
    ['there is none', null, 'create'],
    ['made just now', { renewedAt: at(0), expiresAt: at(70 * hour) }, 'nothing'],
    ['before half of its life', { renewedAt: at(-34 * hour), expiresAt: at(36 * hour) }, 'nothing'],
    ['at half of its life', { renewedAt: at(-35 * hour), expiresAt: at(35 * hour) }, 'renew'],
    ['it has ended', { renewedAt: at(-99 * hour), expiresAt: at(-hour) }, 'renew'],
    ['the clock was set back', { renewedAt: at(hour), expiresAt: at(71 * hour) }, 'renew'],
  ];
  for (const [name, subscription, expected] of cases) {
    it(`${name}: ${expected}`, () => expect(subscriptionDue(subscription, 0)).toBe(expected));
  }
});

describe('notifications', () => {
  const known: KnownSubscription = { clientState: 'secret', tenantId: 't' };
  const find = (id: string): KnownSubscription | undefined => (id === 's' ? known : undefined);
  const item = { subscriptionId: 's', clientState: 'secret', tenantId: 't', changeType: 'created' };
  const strangers: [string, unknown][] = [
    ['another secret', { ...item, clientState: 'Secret' }],
    ['no secret', { ...item, clientState: undefined }],
    ['an object for a secret', { ...item, clientState: { toString: 'secret' } }],
    ['an unknown subscription', { ...item, subscriptionId: 'x' }],
    ['an unknown subscription with an empty secret', { ...item, subscriptionId: 'x', clientState: '' }],
    ['another tenant', { ...item, tenantId: 'u' }],
    ['null', null],
    ['a number', 7],
    ['an inherited name', { ...item, subscriptionId: '__proto__' }],
  ];
  for (const [name, stranger] of strangers) {
    it(`with ${name} are not ours`, () => {
      const read = readNotifications({ value: [stranger, item] }, find);
      expect(read).toEqual({ notices: [{ subscriptionId: 's', need: 'nothing' }], strangers: 1 });
    });
  }

  it('an empty secret of ours fits nothing', () => {
    const read = readNotifications({ value: [{ ...item, clientState: '' }] }, () => ({
      clientState: '',
      tenantId: null,
    }));
    expect(read).toEqual({ notices: [], strangers: 1 });
  });

  it('that are no list hold nothing', () => {
    for (const body of [null, 'x', {}, { value: 'x' }, { value: null }]) {
      expect(readNotifications(body, find)).toEqual({ notices: [], strangers: 0 });
    }
  });

  it('a handshake gets its token back as it is, within limits', () => {
    expect(handshakeAnswer('Validation: <b>&+ü')).toBe('Validation: <b>&+ü');
    for (const none of [undefined, null, '', ['a'], 'x'.repeat(5_000)])
      expect(handshakeAnswer(none)).toBe(null);
  });

  it('secrets of subscriptions differ, and are short enough', () => {
    expect(newClientState()).not.toBe(newClientState());
    expect(newClientState().length).toBeLessThanOrEqual(128);
  });
});

describe('contacts', () => {
  it('are listed over pages, up to a limit', async () => {
    const lab = await startGraphLab();
    const nothing = { givenName: null, surname: null, companyName: null, mobilePhone: null };
    for (let index = 0; index < 450; index += 1) {
      const emailAddresses = [{ name: null, address: `c${index}@example.org` }];
      const contact = {
        ...nothing,
        id: `c${index}`,
        displayName: `C ${index}`,
        emailAddresses,
        businessPhones: ['1'],
      };
      lab.server.mailbox(ANN).contacts.push(contact);
    }
    const contacts = await listContacts(clientOf(lab), 1_000);
    expect(contacts).toHaveLength(450);
    expect(contacts[449]).toEqual({
      id: 'c449',
      displayName: 'C 449',
      givenName: '',
      surname: '',
      address: 'c449@example.org',
      company: '',
      phone: '1',
      mobile: '',
    });
    expect(await listContacts(clientOf(lab), 300)).toHaveLength(300);
  });

  it('need a permission of their own', async () => {
    const lab = await startGraphLab();
    lab.server.grant(GOOD_TOKEN, ['write']);
    await expect(listContacts(clientOf(lab), 10)).rejects.toMatchObject({ code: 'permission_denied' });
  });
});
