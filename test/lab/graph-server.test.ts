/**
 * The lab's Graph against Microsoft's own client with its own middleware, over TLS, so that it is Graph and not the
 * dialect of our client; and its answers against the names and types of the published metadata.
 */
import tls from 'node:tls';
import { Client, GraphError, ResponseType } from '@microsoft/microsoft-graph-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ANN, GOOD_TOKEN, labCertificate, startGraphLab } from '../support/graph-lab.ts';
import { typeFaults } from '../support/graph-types.ts';
import { names } from '../support/intake.ts';
import { AWKWARD_MESSAGES, simpleMessage } from '../support/messages.ts';

const authorities = tls.getCACertificates('default');
beforeAll(() => tls.setDefaultCACertificates([...authorities, labCertificate().cert]));
afterAll(() => tls.setDefaultCACertificates(authorities));

function sdk(host: string, token = GOOD_TOKEN): Client {
  return Client.init({
    baseUrl: `https://${host}`,
    customHosts: new Set(['127.0.0.1']),
    authProvider: (done) => done(null, token),
  });
}

interface Page {
  value: Record<string, unknown>[];
  '@odata.nextLink'?: string;
  '@odata.deltaLink'?: string;
}

const PREFER = 'IdType="ImmutableId", odata.maxpagesize=2';
const INBOX = `/users/${ANN}/mailFolders/inbox`;

async function round(
  client: Client,
  start: string,
): Promise<{ items: Page['value']; link: string; pages: number }> {
  const items: Page['value'] = [];
  let pages = 0;
  for (let link = start; ; ) {
    const page = (await client.api(link).header('Prefer', PREFER).get()) as Page;
    pages += 1;
    items.push(...page.value);
    if (page['@odata.deltaLink']) return { items, link: page['@odata.deltaLink'], pages };
    link = page['@odata.nextLink']!;
  }
}

describe('lab Graph, by the SDK', () => {
  it('lists in rounds, and tells what has changed and gone since', async () => {
    const lab = await startGraphLab();
    const keys = lab.deliver(...names(1, 5));
    const client = sdk(lab.server.host);
    const first = await round(client, `${INBOX}/messages/delta?$select=subject,isRead`);
    expect(first.items.map(({ subject }) => subject)).toEqual(names(1, 5));
    expect(first.items.map(({ id }) => id)).toEqual(keys);
    expect(first.pages).toBe(3);
    const mailbox = lab.server.mailbox(ANN);
    mailbox.setRead(mailbox.message(keys[1]!)!, true);
    mailbox.remove(mailbox.message(keys[2]!)!);
    lab.deliver('m6');
    const second = await round(client, first.link);
    expect(second.items).toMatchObject([
      { id: keys[1], subject: 'm2', isRead: true },
      { id: keys[2], '@removed': { reason: 'deleted' } },
      { subject: 'm6' },
    ]);
    expect((await round(client, second.link)).items).toEqual([]);
  });

  it('gives an immutable id to those who ask for it, and to others one that a move changes', async () => {
    const lab = await startGraphLab();
    const [key = ''] = lab.deliver('m1');
    const client = sdk(lab.server.host);
    const plain = (await client.api(`${INBOX}/messages`).get()) as Page;
    const id = String(plain.value[0]!.id);
    expect(id).not.toBe(key);
    const path = `/users/${ANN}/messages/${encodeURIComponent(id)}/move`;
    const moved = (await client.api(path).post({ destinationId: 'archive' })) as { id: string };
    expect(moved.id).not.toBe(id);
    await expect(client.api(`/users/${ANN}/messages/${encodeURIComponent(id)}`).get()).rejects.toMatchObject({
      statusCode: 404,
      code: 'ErrorItemNotFound',
    });
    const kept = await client
      .api(`/users/${ANN}/messages/${encodeURIComponent(key)}`)
      .header('Prefer', PREFER)
      .get();
    expect(kept).toMatchObject({ id: key });
  });

  it('gives MIME byte by byte, but not by way of the folder', async () => {
    const lab = await startGraphLab();
    const client = sdk(lab.server.host);
    for (const message of AWKWARD_MESSAGES.values()) {
      const { immutableId } = lab.server.deliver(ANN, message);
      const path = `/messages/${encodeURIComponent(immutableId)}/$value`;
      const whole = client.api(`/users/${ANN}${path}`).responseType(ResponseType.ARRAYBUFFER);
      expect(Buffer.from((await whole.get()) as ArrayBuffer).equals(message)).toBe(true);
      await expect(client.api(`${INBOX}${path}`).get()).rejects.toMatchObject({ statusCode: 405 });
    }
  });

  it('says what Graph says to those who may not', async () => {
    const lab = await startGraphLab();
    lab.server.addMailbox('none@example.org', false);
    lab.server.grant('other', ['write'], ['bob@example.org']);
    const cases = [
      [sdk(lab.server.host, 'wrong'), INBOX, 401, 'InvalidAuthenticationToken'],
      [sdk(lab.server.host, 'other'), INBOX, 403, 'ErrorAccessDenied'],
      [sdk(lab.server.host), '/users/nobody@example.org/mailFolders/inbox', 404, 'ErrorInvalidUser'],
      [sdk(lab.server.host), '/users/none@example.org/mailFolders/inbox', 404, 'MailboxNotEnabledForRESTAPI'],
      [sdk(lab.server.host), `/users/${ANN}/messages/42`, 400, 'ErrorInvalidIdMalformed'],
      [sdk(lab.server.host), `${INBOX}/messages/delta?$deltatoken=old`, 410, 'syncStateNotFound'],
    ] as const;
    for (const [client, path, statusCode, code] of cases) {
      const error = await client
        .api(path)
        .get()
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(GraphError);
      expect(error).toMatchObject({ statusCode, code });
    }
  });

  it('refuses a fifth request at once, as Exchange does', async () => {
    const lab = await startGraphLab();
    lab.deliver('m1');
    lab.server.faults.add({ at: 'get-folder', action: { do: 'wait', ms: 300 } });
    const client = sdk(lab.server.host);
    await Promise.all(Array.from({ length: 6 }, () => client.api(INBOX).get()));
    expect(lab.server.requests.some(({ status }) => status === 429)).toBe(true);
  });
});

describe('lab Graph, by the metadata', () => {
  it('answers with names and types that are in it', async () => {
    const lab = await startGraphLab();
    const [key = ''] = lab.deliver('m1');
    lab.server.deliver(ANN, Buffer.from('\r\n'));
    lab.server.deliver(ANN, simpleMessage('m3'));
    lab.server.mailbox(ANN).contacts.push({
      id: 'c1',
      displayName: 'Bob',
      givenName: null,
      surname: null,
      companyName: null,
      emailAddresses: [{ name: null, address: 'bob@example.org' }],
      businessPhones: [],
      mobilePhone: null,
    });
    const client = sdk(lab.server.host);
    const size = "$expand=singleValueExtendedProperties($filter=id%20eq%20'Integer%200x0E08')";
    const message = `/users/${ANN}/messages/${encodeURIComponent(key)}`;
    const answers: [string, string][] = [
      [`/users/${ANN}/mailFolders`, 'list:mailFolder'],
      [INBOX, 'mailFolder'],
      [`${INBOX}/messages`, 'list:message'],
      [`${INBOX}/messages/delta?${size}`, 'list:message'],
      [`${message}?${size}`, 'message'],
      [`/users/${ANN}/contacts`, 'list:contact'],
    ];
    for (const [path, type] of answers) {
      const answer = (await client.api(path).get()) as { value?: unknown[] };
      expect(typeFaults(type.startsWith('list:') ? answer.value : answer, type), path).toEqual([]);
      if (type.startsWith('list:')) expect(answer.value!.length, path).toBeGreaterThan(0);
    }
    expect(typeFaults(await client.api(message).patch({ isRead: true }), 'message')).toEqual([]);
    expect(
      typeFaults(await client.api(`${message}/move`).post({ destinationId: 'archive' }), 'message'),
    ).toEqual([]);
    const made = await client.api(`/users/${ANN}/mailFolders`).post({ displayName: 'Done' });
    expect(typeFaults(made, 'mailFolder')).toEqual([]);
  });

  it('the check finds what is not', () => {
    expect(typeFaults({ id: 1 }, 'message')).toEqual(['message.id is no text: 1']);
    expect(typeFaults({ size: 5 }, 'message')).toEqual(['message.size is not in the metadata']);
    expect(typeFaults({ receivedDateTime: 'today' }, 'message')).toHaveLength(1);
    expect(typeFaults([{ from: { emailAddress: { mail: 'x' } } }], 'list:message')).toHaveLength(1);
  });
});
