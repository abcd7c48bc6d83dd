/** Each grant against a lab authorization server over TLS. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeCertificate } from '../../src/lab/certificate.ts';
import type { LabOauthServer } from '../../src/lab/oauth/server.ts';
import { credentialOf, signInTarget } from '../../src/mailbox-credential.ts';
import {
  GMAIL_API_SCOPE,
  GOOGLE_ENDPOINTS,
  managedIdentityEndpoint,
  microsoftAppScope,
  microsoftEndpoints,
  microsoftUserScope,
} from '../../src/source/oauth/authority.ts';
import type { Credential } from '../../src/source/oauth/credential.ts';
import { expiryFacts } from '../../src/source/oauth/expiry.ts';
import { requestTokens } from '../../src/source/oauth/token-request.ts';
import { defaultMailboxSettings, defaultOauthSettings } from '../../src/store/mailbox-settings.ts';
import { defaultSending } from '../../src/store/sending-settings.ts';
import { tempFolder } from '../support/folder.ts';
import { byRefreshToken, bySecret, entraCredential, startOauth } from '../support/oauth.ts';

let server: LabOauthServer;

beforeAll(async () => {
  server = await startOauth();
});

beforeEach(() => {
  server.grants.clients.clear();
  server.grants.rotate = false;
  server.faults.clear();
  server.seen.length = 0;
});

const ask = (credential: Credential, refreshToken: string | null = null) =>
  requestTokens(credential, refreshToken, Date.now());

/** Asks, and says who the token lets in. */
async function holder(credential: Credential): Promise<unknown> {
  const answer = await ask(credential);
  if (!('accessToken' in answer)) throw new Error(answer.message);
  return server.grants.holderOf(answer.accessToken);
}

describe('client credentials', () => {
  it('by secret', async () => {
    server.grants.clients.set('app', { secret: 's€cret &=+' });
    const credential = entraCredential(server, bySecret('s€cret &=+'));
    expect(await holder(credential)).toMatchObject({ user: null, scope: credential.scope });
    expect(await ask(entraCredential(server, bySecret('wrong')))).toMatchObject({
      code: 'credential_refused',
      reason: 'AADSTS7000215',
    });
  });

  it('by certificate', async () => {
    const mine = makeCertificate({ names: ['penstock'], key: 'rsa' });
    const other = makeCertificate({ names: ['penstock'], key: 'rsa' });
    server.grants.clients.set('app', { certificates: [mine.cert] });
    const by = (certificate: string, privateKey: string): Credential =>
      entraCredential(server, {
        kind: 'client_credentials',
        client: { kind: 'certificate', certificate, privateKey },
      });
    expect(await holder(by(mine.cert, mine.key))).toMatchObject({ user: null });
    for (const wrong of [by(other.cert, other.key), by(mine.cert, other.key)]) {
      expect(await ask(wrong)).toMatchObject({
        terminal: true,
        code: 'credential_refused',
        reason: 'AADSTS700027',
      });
    }
    expect(await ask(by('nonsense', mine.key))).toMatchObject({ terminal: true, code: 'credential_refused' });
    expect(await ask(by(mine.cert, 'nonsense'))).toMatchObject({
      terminal: true,
      code: 'credential_refused',
    });
    const elliptic = makeCertificate({ names: ['penstock'] });
    expect(await ask(by(elliptic.cert, elliptic.key))).toMatchObject({
      message: 'The private key must be an RSA key',
    });
  });

  it('by the token of another issuer, read anew each time', async () => {
    server.grants.clients.set('app', { federatedSubject: 'system:serviceaccount:mail:penstock' });
    const tokenFile = join(await tempFolder(), 'token');
    const credential = entraCredential(server, {
      kind: 'client_credentials',
      client: { kind: 'federated', tokenFile },
    });
    // The platform may be late; that is no fault of the credential.
    expect(await ask(credential)).toMatchObject({ terminal: false, code: 'credential_refused' });
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const subject = async (sub: string): Promise<void> =>
      writeFile(
        tokenFile,
        `${await new SignJWT({ sub }).setProtectedHeader({ alg: 'RS256' }).sign(privateKey)}\n`,
      );
    await subject('system:serviceaccount:mail:other');
    expect(await ask(credential)).toMatchObject({ terminal: true, reason: 'AADSTS70021' });
    await subject('system:serviceaccount:mail:penstock');
    expect(await holder(credential)).toMatchObject({ user: null });
  });
});

describe('refresh tokens', () => {
  it.each(['microsoft', 'google'] as const)('at %s', async (provider) => {
    server.grants.clients.set('app', { secret: 'secret' });
    const token = server.grants.issueRefreshToken('ann@example.com', 'mail');
    const tokenUrl = provider === 'google' ? server.googleTokenUrl : server.microsoftUrl('token');
    const credential = entraCredential(server, byRefreshToken(token), { provider, tokenUrl });
    expect(await holder(credential)).toMatchObject({ user: 'ann@example.com' });
    expect(server.seen.at(-1)!.form.has('scope')).toBe(provider === 'microsoft');
    server.grants.revoke('ann@example.com');
    expect(await ask(credential)).toMatchObject({ terminal: true, code: 'sign_in_needed' });
  });
});

describe('a service account with domain-wide delegation', () => {
  it('gets a token for a user, and says what is missing', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const email = 'penstock@project.iam.gserviceaccount.com';
    server.grants.serviceAccounts.set(email, {
      publicKey,
      scopes: [GMAIL_API_SCOPE],
      users: ['desk@example.com'],
    });
    const forUser = (subject: string, changes: Partial<Credential> = {}): Credential =>
      entraCredential(
        server,
        { kind: 'service_account', email, privateKey, privateKeyId: 'key-1', subject },
        { provider: 'google', tokenUrl: server.googleTokenUrl, scope: GMAIL_API_SCOPE, ...changes },
      );
    expect(await holder(forUser('desk@example.com'))).toMatchObject({
      user: 'desk@example.com',
      scope: GMAIL_API_SCOPE,
    });
    expect(await ask(forUser('nobody@example.com'))).toMatchObject({
      terminal: true,
      code: 'credential_refused',
    });
    expect(await ask(forUser('desk@example.com', { scope: 'https://mail.google.com/' }))).toMatchObject({
      terminal: true,
      code: 'consent_needed',
      reason: 'unauthorized_client',
    });
  });
});

describe('the identity of the machine', () => {
  it('is asked for without a secret, and its numbers may be strings', async () => {
    const url = `${server.origin}/metadata/identity/oauth2/token?resource=https%3A%2F%2Fgraph.microsoft.com`;
    const grant = { kind: 'managed_identity', endpoint: { url, headers: { metadata: 'true' } } } as const;
    const answer = await ask(entraCredential(server, grant));
    expect(answer).toMatchObject({ lifeMs: 3_600_000 });
  });

  it('comes from where the platform says', () => {
    const machine = managedIdentityEndpoint({}, 'https://graph.microsoft.com', 'id-1');
    expect(machine).toEqual({
      url: 'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com&client_id=id-1',
      headers: { metadata: 'true' },
    });
    const env = { IDENTITY_ENDPOINT: 'http://localhost:42356/msi/token', IDENTITY_HEADER: 'h' };
    expect(managedIdentityEndpoint(env, 'r', null)).toEqual({
      url: 'http://localhost:42356/msi/token?api-version=2019-08-01&resource=r',
      headers: { 'x-identity-header': 'h' },
    });
  });
});

describe('trouble on the way', () => {
  it.each([
    [
      'an error of the server',
      { do: 'answer', status: 500, body: { error: 'server_error' } },
      'server_protocol',
    ],
    ['a limit', { do: 'answer', status: 429, headers: { 'retry-after': '30' } }, 'server_busy'],
    ['a page instead of JSON', { do: 'answer', status: 200, body: ['<html>'] }, 'server_protocol'],
    [
      'a redirect',
      { do: 'answer', status: 307, headers: { location: 'https://example.com/' } },
      'server_protocol',
    ],
    ['a broken connection', { do: 'drop' }, 'connection_lost'],
    ['an answer that is cut', { do: 'cut', after: 20 }, 'connection_lost'],
    ['an endless answer', { do: 'answer', status: 200, body: 'x'.repeat(300_000) }, 'server_protocol'],
  ] as const)('%s is temporary', async (_case, action, code) => {
    server.grants.clients.set('app', { secret: 'secret' });
    server.faults.add({ at: 'token', action, times: 1 });
    const credential = entraCredential(server, bySecret('secret'));
    expect(await ask(credential)).toMatchObject({ terminal: false, code });
    expect(await holder(credential)).toMatchObject({ user: null });
    expect(server.count('token')).toBe(2);
  });

  it('names the host when it cannot be reached or trusted', async () => {
    const elsewhere = { tokenUrl: 'https://127.0.0.1:1/token' };
    expect(await ask(entraCredential(server, bySecret('s'), elsewhere))).toMatchObject({
      terminal: false,
      code: 'connect_failed',
      message: 'No connection to 127.0.0.1:1: ECONNREFUSED',
    });
    expect(await ask(entraCredential(server, bySecret('s'), { tlsCa: null }))).toMatchObject({
      terminal: false,
      code: 'tls_failed',
    });
  });
});

describe('authorities', () => {
  it.each([
    ['global', 'graph', 'https://graph.microsoft.com/.default', 'https://graph.microsoft.com/Mail.ReadWrite'],
    [
      'global',
      'imap',
      'https://outlook.office365.com/.default',
      'https://outlook.office.com/IMAP.AccessAsUser.All',
    ],
    [
      'us_government',
      'graph',
      'https://graph.microsoft.us/.default',
      'https://graph.microsoft.us/Mail.ReadWrite',
    ],
    ['china', 'smtp', 'https://partner.outlook.cn/.default', 'https://partner.outlook.cn/SMTP.Send'],
  ] as const)('%s, %s', (cloud, use, app, user) => {
    expect(microsoftAppScope(cloud, use)).toBe(app);
    expect(microsoftUserScope(cloud, use)).toBe(`${user} offline_access`);
  });

  it.each([
    ['graph', 'https://graph.microsoft.com/Mail.ReadWrite https://graph.microsoft.com/Mail.Send'],
    ['imap', 'https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send'],
    ['pop3', 'https://outlook.office.com/POP.AccessAsUser.All https://outlook.office.com/SMTP.Send'],
  ] as const)('of a sign-in to %s have what sending needs, when it is asked for', (use, scopes) => {
    expect(microsoftUserScope('global', use, true)).toBe(`${scopes} offline_access`);
  });

  it.each([
    ['graph', null, 'Mail.Send'],
    ['graph', 'password', null],
    ['imap', 'oauth', 'SMTP.Send'],
    ['imap', 'password', null],
    ['imap', null, null],
  ] as const)('of a sign-in to %s that sends by SMTP with %s add %s', (kind, auth, added) => {
    const settings = defaultMailboxSettings('localhost', 'ann@example.org', kind);
    settings.server.auth = 'oauth';
    settings.oauth = {
      ...defaultOauthSettings('microsoft'),
      grant: 'refresh_token',
      client: 'none',
      tenant: 'x',
    };
    const smtp = { host: 'h', port: 587, tls: 'starttls', tlsVerify: true, tlsCa: null, user: '' } as const;
    settings.sending = auth === null ? null : { ...defaultSending('smtp'), smtp: { ...smtp, auth } };
    const names = signInTarget({ kind, settings }, {})
      .scope.split(' ')
      .map((scope) => scope.split('/').at(-1));
    expect(names.filter((name) => name!.endsWith('.Send'))).toEqual(added === null ? [] : [added]);
    // A renewal asks for reading alone: who gave no permission to send must not lose it.
    const credential = credentialOf('x', { kind, settings }, { refresh_token: 'r' });
    expect(credential.scope).not.toContain('.Send');
  });

  it('are https, each cloud its own', () => {
    expect(microsoftEndpoints('china', 'contoso.cn').token).toBe(
      'https://login.chinacloudapi.cn/contoso.cn/oauth2/v2.0/token',
    );
    expect(GOOGLE_ENDPOINTS.token).toBe('https://oauth2.googleapis.com/token');
  });

  it.each(['', '../evil', 'a/b', 'a b', 'a?b', 'evil.com#', '.', 'x'.repeat(300)])(
    'refuse the tenant %j',
    (tenant) => {
      expect(() => microsoftEndpoints('global', tenant)).toThrow('The tenant is not an id or a domain name.');
    },
  );
});

describe('expiry', () => {
  it('is known of secrets, certificates and some refresh tokens', () => {
    const notAfter = new Date('2031-02-03T04:05:06Z');
    const certificate = makeCertificate({ names: ['a'], notAfter, key: 'rsa' });
    const client = {
      kind: 'certificate',
      certificate: certificate.cert,
      privateKey: certificate.key,
    } as const;
    const at = '2027-01-01T00:00:00.000Z';
    const secret = { kind: 'secret', secret: 's', expiresAt: at } as const;
    const facts = (grant: Credential['grant'], refresh: string | null = null) =>
      expiryFacts(entraCredential(server, grant), refresh);
    expect(facts({ kind: 'client_credentials', client })).toEqual([
      { what: 'certificate', at: '2031-02-03T04:05:06.000Z' },
    ]);
    expect(facts({ kind: 'refresh_token', client: secret, refreshToken: 'r' }, at)).toEqual([
      { what: 'client_secret', at },
      { what: 'refresh_token', at },
    ]);
    expect(facts(bySecret('s'))).toEqual([]);
  });
});
