/** Mailboxes of Microsoft 365 and Google in Halo's fields. */
import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../../src/lab/certificate.ts';
import { secretOwner } from '../../src/mailbox-source.ts';
import { findMailbox } from '../../src/store/mailboxes.ts';
import { readSecret } from '../../src/store/secrets.ts';
import { credentialEnds } from '../../src/store/watch.ts';
import { useApi } from './fixture.ts';

const fixture = useApi();
type Row = Record<string, unknown> & { id: number; changeseq: number; penstock: Record<string, unknown> };

const AZURE = {
  name: 'Desk',
  type: 3,
  enabled: true,
  azureappid: 'app-id',
  azuretenant: 'example.org',
  azure_authentication_type: 1,
};

async function post(item: object): Promise<Row> {
  const answer = await fixture.send('POST', '/api/Mailbox', [item]);
  expect(answer.statusCode, answer.payload).toBe(201);
  return answer.json<Row>();
}

const settingsOf = async (id: number) => (await findMailbox(fixture.db, id))!.settings;
const secretOf = (id: number, name: string) => readSecret(fixture.db, fixture.keys, secretOwner(id), name);

describe('Azure mailboxes', () => {
  it('become Graph mailboxes, and come back as they were written, without secrets', async () => {
    const written = { ...AZURE, azureemail: 'desk@example.org', new_client_secret: 's3cret' };
    const row = await post({
      ...written,
      azuredatecutoff: '2026-01-01T00:00:00Z',
      azureleavemailininbox: true,
    });
    expect(row).toMatchObject({
      ...AZURE,
      azureemail: 'desk@example.org',
      display_address: 'desk@example.org',
      azure_authority: 0,
      azure_authorized: true,
      azureleavemailininbox: true,
      graph_host: null,
      new_client_secret: null,
    });
    expect(JSON.stringify(row)).not.toContain('s3cret');
    expect(await secretOf(row.id, 'client_secret')).toBe('s3cret');
    const settings = await settingsOf(row.id);
    expect(settings.server).toMatchObject({
      host: 'graph.microsoft.com',
      port: 443,
      tls: 'implicit',
      auth: 'oauth',
    });
    expect(settings.server.user).toBe('desk@example.org');
    expect(settings).toMatchObject({ after: 'leave', dateCutoff: '2026-01-01T00:00:00.000Z' });
    expect(settings.oauth).toMatchObject({
      grant: 'client_credentials',
      clientId: 'app-id',
      tenant: 'example.org',
    });
    // A client may post back what it read.
    expect((await post(row)).changeseq).toBe(row.changeseq);
  });

  it('read a shared mailbox, in the cloud that is named', async () => {
    const addresses = { azureemail: 'ann@example.org', shared_mailbox_emailaddress: 'desk@example.org' };
    const row = await post({ ...AZURE, ...addresses, azure_authority: 2 });
    const settings = await settingsOf(row.id);
    expect(settings.server).toMatchObject({
      user: 'desk@example.org',
      host: 'microsoftgraph.chinacloudapi.cn',
    });
    expect(settings).toMatchObject({ after: 'move', afterFolder: '\\Trash', oauth: { cloud: 'china' } });
    expect(settings.addresses).toContain('ann@example.org');
    expect(row.azure_authorized).toBe(false);
    const moved = await post({
      id: row.id,
      shared_mailbox_emailaddress: '',
      graph_host: 'graph.example.org:8443',
    });
    expect(moved.graph_host).toBe('graph.example.org:8443');
    expect((await settingsOf(row.id)).server).toMatchObject({ user: 'ann@example.org', port: 8443 });
  });

  it('_testonly hands back a refresh token that came for the posted one, and keeps one that came for the stored one', async () => {
    const { id } = await post({
      ...AZURE,
      azure_authentication_type: 0,
      azureemail: 'tried@example.org',
      new_azure_refresh_token: 'stored',
    });
    const { diagnose } = fixture.services;
    fixture.services.diagnose = async (_mailbox, secrets, _signal, rotated) => {
      rotated(`after ${secrets.refresh_token}`);
      const ok = secrets.refresh_token !== 'bad';
      return [{ step: 'login', ok, found: 'token', advice: null, milliseconds: 1 }];
    };
    const tried = async (posted: object) =>
      (await fixture.send('POST', '/api/Mailbox', { id, _testonly: true, ...posted })).json();
    expect((await tried({ new_azure_refresh_token: 'posted' })).refreshtoken).toBe('after posted');
    expect(JSON.stringify(await tried({ refreshtoken: 'bad' }))).toContain('get a new one');
    expect(await secretOf(id, 'refresh_token')).toBe('stored');
    expect((await tried({})).refreshtoken).toBeNull();
    fixture.services.diagnose = diagnose;
    expect(await secretOf(id, 'refresh_token')).toBe('after stored');
  });

  it('of a person who signed in, with the token that was got elsewhere', async () => {
    const delegated = { ...AZURE, azure_authentication_type: 0, azureemail: 'ann@example.org' };
    const row = await post({
      ...delegated,
      new_azure_refresh_token: 'refresh',
      new_azure_access_token: 'access',
    });
    expect(await secretOf(row.id, 'refresh_token')).toBe('refresh');
    expect((await settingsOf(row.id)).oauth).toMatchObject({ grant: 'refresh_token', client: 'none' });
    expect((await settingsOf(row.id)).server.auth).toBe('oauth');
    await post({ id: row.id, new_client_secret: 'secret' });
    expect((await settingsOf(row.id)).oauth).toMatchObject({ client: 'secret' });
  });

  it.each([
    ['no address', {}, 'azureemail'],
    ['no tenant', { azureemail: 'a@example.org', azuretenant: null }, 'azuretenant'],
    ['no application', { azureemail: 'a@example.org', azureappid: null }, 'azureappid'],
    [
      'a password of a person',
      { azureemail: 'a@example.org', azure_authentication_type: 3 },
      'azure_authentication_type',
    ],
    ['an unknown cloud', { azureemail: 'a@example.org', azure_authority: 9 }, 'azure_authority'],
    ['no host', { azureemail: 'a@example.org', graph_host: 'https://x/y' }, 'graph_host'],
  ])('not with %s', async (_name, change, field) => {
    const answer = await fixture.send('POST', '/api/Mailbox', [{ ...AZURE, ...change }]);
    expect(answer.statusCode, answer.payload).toBe(400);
    expect(answer.json()).toMatchObject({ details: [{ index: 0, field }] });
  });

  it('with a certificate, by our own fields', async () => {
    const notAfter = new Date('2031-02-03T04:05:06Z');
    const { cert } = makeCertificate({ names: ['penstock'], notAfter });
    const oauth = { client: 'certificate', certificate: cert };
    const row = await post({
      ...AZURE,
      azureemail: 'c@example.org',
      penstock: { oauth, private_key: 'KEY' },
    });
    expect(row.penstock.oauth).toMatchObject({ ...oauth, secret_expires: '2031-02-03T04:05:06.000Z' });
    expect(await credentialEnds(fixture.db)).toContainEqual({ mailboxId: row.id, at: notAfter });
    const wrong = {
      ...AZURE,
      azureemail: 'd@example.org',
      penstock: { oauth: { ...oauth, certificate: 'x' } },
    };
    const refused = await fixture.send('POST', '/api/Mailbox', [wrong]);
    expect(refused.json()).toMatchObject({ details: [{ field: 'penstock.oauth.certificate' }] });
    expect(row.azure_authorized).toBe(true);
    expect(await secretOf(row.id, 'private_key')).toBe('KEY');
    expect((await post(row)).changeseq).toBe(row.changeseq);
  });
});

it('a file of the server is named on the command line only', async () => {
  const oauth = { client: 'federated', token_file: '/etc/passwd', token_url: 'https://example.net/token' };
  const item = { ...AZURE, azureemail: 'f@example.org', penstock: { oauth } };
  const answer = await fixture.send('POST', '/api/Mailbox', [item]);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ details: [{ field: 'penstock.oauth.token_file' }] });
});

describe('Google mailboxes', () => {
  it('become Gmail mailboxes of a service account', async () => {
    const oauth = { client_id: 'robot@lab.iam.example' };
    const google = { type: 4, google_type: 2, google_email: 'desk@example.org', labeltype: 'Handled' };
    const row = await post({ ...google, penstock: { oauth, private_key: 'KEY' } });
    expect(row).toMatchObject({ ...google, google_authorized: true });
    const settings = await settingsOf(row.id);
    expect(settings.server).toMatchObject({
      host: 'gmail.googleapis.com',
      user: 'desk@example.org',
      auth: 'oauth',
    });
    expect(settings).toMatchObject({ after: 'move', afterFolder: 'Handled' });
    expect(settings.oauth).toMatchObject({ provider: 'google', grant: 'service_account' });
    expect((await post(row)).changeseq).toBe(row.changeseq);
  });

  it('of a person who signed in', async () => {
    const google = {
      type: 4,
      google_email: 'ann@example.org',
      new_google_refresh_token: 'r',
      new_client_secret: 's',
    };
    const row = await post({ ...google, penstock: { oauth: { client_id: 'web' } } });
    expect((await settingsOf(row.id)).oauth).toMatchObject({ grant: 'refresh_token', client: 'secret' });
    expect((await settingsOf(row.id)).afterFolder).toBe('\\Trash');
    expect(row).toMatchObject({ google_authorized: true, google_type: 0, new_google_refresh_token: null });
  });
});

describe('notifications of a mailbox', () => {
  const pushOf = async (id: number) => (await settingsOf(id)).push;

  it('are on unless they are switched off, by inbound_method or by _webhookaction', async () => {
    const row = await post({ ...AZURE, azureemail: 'push@example.org' });
    expect(row).toMatchObject({ inbound_method: 1, azure_subscribed: false, azure_subscription_id: '' });
    expect(await post({ id: row.id, inbound_method: 0 })).toMatchObject({ inbound_method: 0 });
    expect(await pushOf(row.id)).toBe(false);
    // There is no public address here, and that is said.
    const on = await post({ id: row.id, _webhookaction: 1 });
    expect(on).toMatchObject({ inbound_method: 1, _warning: expect.stringContaining('only polled') });
    expect(await pushOf(row.id)).toBe(true);
    expect(await post({ id: row.id, _webhookaction: 3 })).toMatchObject({ inbound_method: 0 });
    // A client may post back what it read.
    const shown = await post({ id: row.id });
    expect((await post(shown)).changeseq).toBe(shown.changeseq);
    const refused = [
      [{ type: 1, server: 's', username: 'u', password: 'p', inbound_method: 1 }, 'inbound_method'],
      [{ type: 0, server: 's', username: 'u', password: 'p', _webhookaction: 1 }, '_webhookaction'],
      [{ id: row.id, _webhookaction: 9 }, '_webhookaction'],
      [{ id: row.id, inbound_method: 2 }, 'inbound_method'],
    ] as const;
    for (const [item, field] of refused) {
      const answer = await fixture.send('POST', '/api/Mailbox', [item]);
      expect(answer.statusCode).toBe(400);
      expect(answer.json()).toMatchObject({ details: [{ field }] });
    }
  });

  it('are renewed when that is asked for, and shown with their end', async () => {
    const row = await post({ ...AZURE, azureemail: 'told@example.org' });
    const soon = new Date(Date.now() + 3_600_000);
    const kept = { mailbox_id: row.id, folder: 'INBOX', provider_id: 'sub-1', expires_at: soon };
    await fixture.db.insertInto('subscription').values(kept).execute();
    await fixture.db
      .insertInto('oauth_token')
      .values({ credential: secretOwner(row.id), obtained_at: new Date(), life_ms: 3_600_000 })
      .execute();
    const shown = await post({ id: row.id, _webhookaction: 2 });
    expect(shown).toMatchObject({
      azure_subscribed: true,
      azure_subscription_id: 'sub-1',
      azure_subscription_expiry: soon.toISOString(),
      accesstokenexpirydate: expect.any(String),
    });
    const asked = fixture.db.selectFrom('subscription').select('need').where('mailbox_id', '=', row.id);
    expect(await asked.execute()).toEqual([{ need: 'renew' }]);
    expect((await post(shown)).changeseq).toBe(shown.changeseq);
  });
});

describe('other mailboxes', () => {
  it('keep the fields of Azure and Google, and log in with tokens by our fields', async () => {
    const imap = { type: 1, server: 'outlook.office365.com', username: 'i@example.org', azureappid: 'kept' };
    const oauth = {
      provider: 'microsoft',
      grant: 'client_credentials',
      client_id: 'app',
      tenant: 'example.org',
    };
    const row = await post({ ...imap, new_client_secret: 's', penstock: { oauth } });
    expect(row.azureappid).toBe('kept');
    expect((await settingsOf(row.id)).server.auth).toBe('oauth');
    expect(row.penstock.oauth).toMatchObject({ ...oauth, client: 'secret' });
  });
});

describe('GET /api/Mailbox/{id}/OutlookContacts', () => {
  it('lists those of a Graph mailbox, and of no other', async () => {
    const graph = await post({ ...AZURE, azureemail: 'contacts@example.org' });
    const answer = await fixture.send('GET', `/api/Mailbox/${graph.id}/OutlookContacts`);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject([{ id: 'c1', firstname: 'Ann', emailaddress: 'ann@example.org' }]);
    const imap = await post({ type: 1, server: 'imap.example.org', username: 'x@example.org' });
    const refused = await fixture.send('GET', `/api/Mailbox/${imap.id}/OutlookContacts`);
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ code: 'unsupported' });
    expect((await fixture.send('GET', '/api/Mailbox/999999/OutlookContacts')).statusCode).toBe(404);
  });
});
