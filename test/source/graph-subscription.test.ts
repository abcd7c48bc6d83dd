/** Subscriptions to new mail, and what is made of what comes in by them. */

import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { LifecycleEvent } from '../../src/lab/graph/subscriptions.ts';
import type { GraphClient } from '../../src/source/graph/client.ts';
import { newClientState, secretDigest } from '../../src/source/graph/client-state.ts';
import { listContacts } from '../../src/source/graph/contacts.ts';
import {
  handshakeAnswer,
  isGenuine,
  lifecycleNeed,
  readNotifications,
  type SubscriptionNeed,
} from '../../src/source/graph/notification.ts';
import {
  createSubscription,
  deleteSubscription,
  renewSubscription,
} from '../../src/source/graph/subscription.ts';
import { ANN, GOOD_TOKEN, type GraphLab, labCertificate, startGraphLab } from '../support/graph-lab.ts';
import { typeFaults } from '../support/graph-types.ts';

interface Listener {
  url: string;
  /** Secrets by the ids of subscriptions. */
  known: Map<string, string>;
  bodies: unknown[];
  notices: { subscriptionId: string; need: SubscriptionNeed }[];
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
    for (const notice of readNotifications(body)) {
      const { subscriptionId, need } = notice;
      const secret = listener.known.get(subscriptionId);
      if (secret !== undefined && isGenuine(notice, secretDigest(secret)))
        listener.notices.push({ subscriptionId, need });
    }
    response.writeHead(202).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/notify`;
  const listener: Listener = { url, known: new Map(), bodies: [], notices: [] };
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
  const { id } = await createSubscription(client, 'inbox', listener.url, clientState);
  listener.known.set(id, clientState);
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
    await expect(createSubscription(clientOf(lab), 'inbox', listener.url, 'x')).rejects.toMatchObject({
      code: 'push_refused',
      temporary: true,
      fields: { graphCode: 'ValidationError' },
    });
    expect(lab.server.subscriptions.all.size).toBe(0);
  });

  it('are renewed, and made anew when they are gone', async () => {
    const { lab, client, id } = await startSubscribed();
    const own = lab.server.subscriptions.all.get(id)!;
    own.expirationDateTime = new Date(Date.now() + 60_000);
    const renewed = await renewSubscription(client, id);
    expect(renewed!.expiresAt).toEqual(own.expirationDateTime);
    expect(renewed!.expiresAt.getTime() - Date.now()).toBeGreaterThan(2 * 24 * 3_600_000);
    await deleteSubscription(client, id);
    expect(lab.server.subscriptions.all.size).toBe(0);
    await deleteSubscription(client, id);
    expect(await renewSubscription(client, id)).toBe(null);
  });

  it('fit the shorter life that older documents allow', async () => {
    const lab = await startGraphLab({ notificationCa: labCertificate().cert, subscriptionMaxMinutes: 4_230 });
    const { url } = await startListener();
    const subscription = await createSubscription(clientOf(lab), 'inbox', url, newClientState());
    expect(subscription.expiresAt.getTime()).toBeGreaterThan(Date.now());
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
  ] as [LifecycleEvent, SubscriptionNeed][]) {
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
    await expect(createSubscription(clientOf(lab), 'inbox', url, 'x')).rejects.toMatchObject({
      code: 'permission_denied',
    });
  });
});

describe('notifications', () => {
  const item = { subscriptionId: 's', clientState: 'secret', tenantId: 't', changeType: 'created' };
  const [own] = readNotifications({ value: [item] });

  it('are genuine with the secret of their subscription, and with no other', () => {
    expect(own).toEqual({ subscriptionId: 's', secretSha256: secretDigest('secret'), need: 'nothing' });
    expect(isGenuine(own!, secretDigest('secret'))).toBe(true);
    for (const other of [
      null,
      Buffer.alloc(0),
      Buffer.alloc(32),
      secretDigest('Secret'),
      Buffer.from('secret'),
    ])
      expect(isGenuine(own!, other)).toBe(false);
  });

  const strangers: [string, unknown][] = [
    ['no secret', { ...item, clientState: undefined }],
    ['an empty secret', { ...item, clientState: '' }],
    ['a secret that is too long', { ...item, clientState: 'x'.repeat(600) }],
    ['an object for a secret', { ...item, clientState: { toString: 'secret' } }],
    ['no id', { ...item, subscriptionId: undefined }],
    ['a number for an id', { ...item, subscriptionId: 7 }],
    ['an id that no database takes', { ...item, subscriptionId: 's\0' }],
    ['an id that is too long', { ...item, subscriptionId: 'x'.repeat(600) }],
    ['null', null],
    ['a number', 7],
  ];
  for (const [name, stranger] of strangers) {
    it(`with ${name} are none`, () => {
      expect(readNotifications({ value: [stranger, item] })).toEqual([own]);
    });
  }

  it('about one subscription are one, but for what they ask for', () => {
    const removed = { ...item, lifecycleEvent: 'subscriptionRemoved' };
    const read = readNotifications({ value: [item, item, removed, { ...item, resource: 'x' }, removed] });
    expect(read.map(({ need }) => need)).toEqual(['nothing', 'recreate']);
  });

  it('beyond a thousand in one post are left: the mailbox is polled anyway', () => {
    const value = Array.from({ length: 1_500 }, (_, index) => ({ ...item, subscriptionId: `s${index}` }));
    expect(readNotifications({ value })).toHaveLength(1_000);
  });

  it('that are no list hold nothing', () => {
    for (const body of [null, undefined, 'x', {}, { value: 'x' }, { value: null }])
      expect(readNotifications(body)).toEqual([]);
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
