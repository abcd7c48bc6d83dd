import { expect, it } from 'vitest';
import { mailboxItem, useApi } from './fixture.ts';

const fixture = useApi();

it('/api/Site creates, changes in part, lists and deletes, with audit rows', async () => {
  const { db, send } = fixture;
  const made = await send('POST', '/api/Site', [
    { name: 'Berlin', client_id: 4, email_domains: ['Berlin.Example '], to_domains: ['desk.example'] },
    { name: 'Paris' },
  ]);
  expect(made.statusCode, made.payload).toBe(201);
  const [berlin, paris] = made.json<{ id: number }[]>();
  expect(berlin).toMatchObject({ name: 'Berlin', client_id: 4, email_domains: ['berlin.example'] });
  const changed = await send('POST', '/api/Site', [{ id: berlin!.id, email_domains: ['*.berlin.example'] }]);
  expect(changed.json()).toEqual({
    id: berlin!.id,
    name: 'Berlin',
    client_id: 4,
    email_domains: ['*.berlin.example'],
    to_domains: ['desk.example'],
  });
  expect((await send('DELETE', `/api/Site/${paris!.id}`)).statusCode).toBe(200);
  expect((await send('DELETE', `/api/Site/${paris!.id}`)).statusCode).toBe(404);
  expect((await send('POST', '/api/Site', [{ id: paris!.id, name: 'x' }])).statusCode).toBe(404);
  expect((await send('POST', '/api/Site', [{ email_domains: ['x'] }])).statusCode).toBe(400);
  expect((await send('GET', '/api/Site')).json()).toMatchObject([{ id: berlin!.id }]);
  const audit = await db.selectFrom('audit_log').select('action').where('entity', '=', 'site').execute();
  expect(audit.map(({ action }) => action)).toEqual(['create', 'create', 'update', 'delete']);
});

it('a mailbox keeps which steps it takes', async () => {
  const answer = await fixture.send('POST', '/api/Mailbox', [mailboxItem({ site_domain_matching: false })]);
  expect(answer.json()).toMatchObject({
    site_prefix_matching: true,
    site_wildcard_matching: true,
    site_domain_matching: false,
    site_tocc_matching: true,
  });
  const { settings } = await fixture.db.selectFrom('mailbox').select('settings').executeTakeFirstOrThrow();
  expect(settings.policy).toMatchObject({ siteByDomain: false, siteByRecipient: true });
});
