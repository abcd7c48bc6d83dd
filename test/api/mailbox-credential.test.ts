/** What mailboxes log in with, over the API (halo-api.md 3.6). */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { firstCredential, noteRefused, noteUsed } from '../../src/store/credentials.ts';
import { findMailbox } from '../../src/store/mailboxes.ts';
import { readSecret } from '../../src/store/secrets.ts';
import { newMailbox, useApi } from './fixture.ts';

const fixture = useApi();
type Row = Record<string, unknown> & {
  id: number;
  mailbox_id: number;
  penstock: Record<string, unknown> & { state: string };
};

async function post(item: object): Promise<Row> {
  const answer = await fixture.send('POST', '/api/MailboxCredential', [item]);
  expect(answer.statusCode, answer.payload).toBe(201);
  return answer.json<Row>();
}

async function listOf(mailbox: number): Promise<Row[]> {
  return (await fixture.send('GET', `/api/MailboxCredential?mailbox_id=${mailbox}`)).json<Row[]>();
}

async function nameOf(id: number): Promise<string> {
  const row = fixture.db.selectFrom('mailbox_credential').select('name').where('id', '=', id);
  return (await row.executeTakeFirstOrThrow()).name;
}

const azure = { type: 3, azureappid: 'app', azuretenant: 'example.org', azure_authentication_type: 1 };
let used = 0;
const newGraph = async (more: object = {}): Promise<number> => {
  used += 1;
  return await newMailbox(fixture, {
    ...azure,
    azureemail: `desk${used}@example.org`,
    server: null,
    password: null,
    new_client_secret: 'first-secret',
    ...more,
  });
};

describe('/api/MailboxCredential', () => {
  it('has the login of each mailbox, and takes further ones, which are tried after it', async () => {
    const mailbox = await newGraph();
    const [own] = await listOf(mailbox);
    expect(own).toMatchObject({
      mailbox_id: mailbox,
      client_id: 'app',
      tenant: 'example.org',
      azure_authentication_type: 1,
      credential_type: 0,
      authorized: true,
      penstock: { auth: 'oauth', sequence: 0, state: 'standby', secrets: ['client_secret'] },
    });
    // What is left out is as with the first: a new secret of the same application.
    const second = await post({ mailbox_id: mailbox, new_client_secret: 'second-secret' });
    expect(second).toMatchObject({ client_id: 'app', tenant: 'example.org', penstock: { sequence: 1 } });
    expect((await listOf(mailbox)).map(({ id }) => id)).toEqual([own!.id, second.id]);
    expect((await fixture.send('GET', `/api/MailboxCredential/${second.id}`)).json()).toEqual(second);
    expect(JSON.stringify([own, second])).not.toMatch(/(?:first|second)-secret/);
    const name = await nameOf(second.id);
    expect(await readSecret(fixture.db, fixture.keys, name, 'client_secret')).toBe('second-secret');
    const { ciphertext } = await fixture.db
      .selectFrom('secret')
      .select('ciphertext')
      .where('owner', '=', name)
      .executeTakeFirstOrThrow();
    expect(ciphertext.toString('latin1')).not.toContain('second-secret');
  });

  it('changes nothing when a client posts back what it read, and starts the poller anew when something changes', async () => {
    const mailbox = await newGraph();
    const second = await post({ mailbox_id: mailbox, new_client_secret: 's' });
    const changes = async () => (await findMailbox(fixture.db, mailbox))!.changeSeq;
    const before = await changes();
    expect(await post(second)).toEqual(second);
    expect(await changes()).toBe(before);
    const changed = await post({ id: second.id, client_id: 'other', penstock: { sequence: 0 } });
    expect(changed).toMatchObject({ client_id: 'other', tenant: 'example.org' });
    expect(await changes()).toBeGreaterThan(before);
    await post({ id: second.id, new_client_secret: 't' });
    expect(await changes()).toBeGreaterThan(before + 1);
  });

  it('says which one is in use, and why others are not', async () => {
    const { db } = fixture;
    const mailbox = await newMailbox(fixture);
    const own = (await firstCredential(db, mailbox))!;
    const second = await post({ mailbox_id: mailbox, password: 'second' });
    const third = await post({ mailbox_id: mailbox, penstock: { auth: 'xoauth2' } });
    await noteRefused(db, own.name, fail('auth_failed', 'The server refused the login: wrong'));
    await noteUsed(db, mailbox, await nameOf(second.id));
    expect((await listOf(mailbox)).map(({ penstock }) => penstock)).toMatchObject([
      {
        state: 'refused',
        state_reason: 'The server refused the login: wrong',
        error_code: 'auth_failed',
        error_at: expect.any(String),
        hint: expect.stringContaining('password'),
      },
      { state: 'in_use', in_use_since: expect.any(String), error_code: null },
      { state: 'incomplete', state_reason: 'It has no token.' },
    ]);
    // Somebody mends it: what the server said counts no more.
    await post({ id: own.id, new_password: 'right' });
    const [mended] = await listOf(mailbox);
    expect(mended!.penstock).toMatchObject({ state: 'standby', error_code: null });
    expect(third.authorized).toBe(false);
  });

  it('the login fields of the mailbox are those of its first credential', async () => {
    const mailbox = await newGraph();
    const read = async () => (await fixture.send('GET', `/api/Mailbox/${mailbox}`)).json<Row>();
    const second = await post({ mailbox_id: mailbox, client_id: 'second', new_client_secret: 's2' });
    expect((await read()).azureappid).toBe('app');
    const [own] = await listOf(mailbox);
    await post({ id: own!.id, penstock: { sequence: 9 } });
    expect((await read()).azureappid).toBe('second');
    // A secret that is posted with the mailbox goes to that one, and not to the other.
    await fixture.send('POST', '/api/Mailbox', [{ id: mailbox, new_client_secret: 'changed' }]);
    const secretOf = async (id: number) =>
      await readSecret(fixture.db, fixture.keys, await nameOf(id), 'client_secret');
    expect(await secretOf(second.id)).toBe('changed');
    expect(await secretOf(own!.id)).toBe('first-secret');
  });

  it('deletes one with its secrets, but not the last of a mailbox', async () => {
    const mailbox = await newGraph();
    const [own] = await listOf(mailbox);
    const url = `/api/MailboxCredential/${own!.id}`;
    expect((await fixture.send('DELETE', url)).statusCode).toBe(409);
    const name = await nameOf(own!.id);
    await post({ mailbox_id: mailbox, new_client_secret: 's2' });
    const deleted = await fixture.send('DELETE', url);
    expect(deleted.statusCode).toBe(200);
    expect(deleted.json()).toMatchObject({ id: own!.id });
    expect(await readSecret(fixture.db, fixture.keys, name, 'client_secret')).toBeNull();
    expect((await fixture.send('GET', url)).statusCode).toBe(404);
    expect((await fixture.send('DELETE', url)).statusCode).toBe(404);
    // With the mailbox all of it goes.
    await fixture.send('DELETE', `/api/Mailbox/${mailbox}`);
    expect(await listOf(mailbox)).toEqual([]);
    const left = await fixture.db
      .selectFrom('secret')
      .select('owner')
      .where('owner', 'like', `mailbox:${mailbox}%`)
      .execute();
    expect(left).toEqual([]);
  });

  it.each([
    ['no mailbox', { mailbox_id: undefined }, 'mailbox_id'],
    ['another server: that is another mailbox', { server: 'imap.example.net' }, 'server'],
    ['another account', { username: 'somebody@example.net' }, 'username'],
    ['another instance', { instance_id: 3 }, 'instance_id'],
    ['a password of a person', { azure_authentication_type: 3 }, 'azure_authentication_type'],
    ['an unknown proof', { credential_type: 7 }, 'credential_type'],
    ['no application', { client_id: '' }, 'azureappid'],
    ['a password where there are only tokens', { penstock: { auth: 'password' } }, 'penstock.server.auth'],
    [
      'a file of the server',
      { penstock: { oauth: { client: 'federated', token_file: '/etc/passwd' } } },
      'penstock.oauth.token_file',
    ],
  ])('takes none with %s', async (_name, change, field) => {
    const mailbox = await newGraph();
    const answer = await fixture.send('POST', '/api/MailboxCredential', [{ mailbox_id: mailbox, ...change }]);
    expect(answer.statusCode, answer.payload).toBe(400);
    expect(answer.json()).toMatchObject({ details: [{ index: 0, field }] });
    expect(await listOf(mailbox)).toHaveLength(1);
  });

  it('is for administrators', async () => {
    const headers = { authorization: `Bearer ${await fixture.tokenFor('read:tickets', 'edit:tickets')}` };
    expect((await fixture.send('GET', '/api/MailboxCredential', undefined, headers)).statusCode).toBe(403);
  });
});
