import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { FailureBrake } from '../../src/api/auth/failure-brake.ts';
import { grantScopes, mayCall } from '../../src/api/auth/scopes.ts';
import { buildApi } from '../../src/api/server.ts';
import { LIMITS } from '../../src/limits.ts';
import { createClient, disableClient } from '../../src/store/clients.ts';
import { readSecret } from '../../src/store/secrets.ts';
import { askToken, useApi } from './fixture.ts';

const fixture = useApi();

describe('POST /auth/token', () => {
  it('gives a token whose type, lifetime and scope known clients can use', async () => {
    const client = await createClient(fixture.db, 'ok', ['read:tickets', 'edit:tickets']);
    const answer = await askToken(fixture.api, {
      client_id: client.clientId,
      client_secret: client.clientSecret,
      scope: 'all',
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'read:tickets edit:tickets',
    });
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  it('takes the tenant as a query or as a form field, and in any letter case of the path', async () => {
    const client = await createClient(fixture.db, 'tenant', ['all']);
    const form = { client_id: client.clientId, client_secret: client.clientSecret };
    expect((await askToken(fixture.api, form, '?tenant=acme')).statusCode).toBe(200);
    expect((await askToken(fixture.api, { ...form, tenant: 'acme' })).statusCode).toBe(200);
    const upper = await fixture.api.inject({
      method: 'POST',
      url: '/Auth/Token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ grant_type: 'client_credentials', ...form }).toString(),
    });
    expect(upper.statusCode).toBe(200);
  });

  it('takes the credentials as HTTP Basic', async () => {
    const client = await createClient(fixture.db, 'basic', ['all']);
    const answer = await fixture.api.inject({
      method: 'POST',
      url: '/auth/token',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${client.clientId}:${client.clientSecret}`).toString('base64')}`,
      },
      payload: 'grant_type=client_credentials',
    });
    expect(answer.statusCode).toBe(200);
  });

  it.each([
    ['a wrong secret', { client_secret: 'wrong' }, 401, 'invalid_client'],
    ['an unknown client', { client_id: 'nobody' }, 401, 'invalid_client'],
    ['no secret', { client_secret: '' }, 401, 'invalid_client'],
    ['another grant', { grant_type: 'password' }, 400, 'unsupported_grant_type'],
    ['a scope the client lacks', { scope: 'admin' }, 400, 'invalid_scope'],
  ])('refuses %s', async (_, change, status, error) => {
    const client = await createClient(fixture.db, 'refused', ['read:tickets']);
    const form = { client_id: client.clientId, client_secret: client.clientSecret, ...change };
    const answer = await askToken(fixture.api, form);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toEqual({ error, error_description: expect.any(String) });
  });

  it('refuses a disabled client, also one whose secret was right a moment ago', async () => {
    const client = await createClient(fixture.db, 'disabled', ['all']);
    const form = { client_id: client.clientId, client_secret: client.clientSecret };
    expect((await askToken(fixture.api, form)).statusCode).toBe(200);
    await disableClient(fixture.db, client.clientId);
    await expect
      .poll(async () => (await askToken(fixture.api, form)).statusCode, { timeout: 5_000 })
      .toBe(401);
  });

  it('keeps the signing key sealed', async () => {
    const { ciphertext } = await fixture.db
      .selectFrom('secret')
      .selectAll()
      .where('owner', '=', 'api')
      .executeTakeFirstOrThrow();
    const key = await readSecret(fixture.db, fixture.keys, 'api', 'signing-key');
    expect(Buffer.from(key!, 'base64')).toHaveLength(32);
    expect(ciphertext.includes(Buffer.from(key!))).toBe(false);
  });
});

describe('Guessing secrets', () => {
  it('is turned away after a while, with whole seconds to wait, and only for who does it', async () => {
    const api = await buildApi({
      ...fixture.context,
      config: { ...fixture.context.config, server: { ...fixture.context.config.server, trustProxy: true } },
    });
    const client = await createClient(fixture.db, 'guessed', ['all']);
    const ask = async (secret: string, address: string) =>
      await api.inject({
        method: 'POST',
        url: '/auth/token',
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-for': address },
        payload: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: client.clientId,
          client_secret: secret,
        }).toString(),
      });
    const guesses = Array.from({ length: LIMITS.signInFailuresPerMinute }, () => ask('wrong', '192.0.2.1'));
    for (const answer of await Promise.all(guesses)) expect(answer.statusCode).toBe(401);
    const answer = await ask(client.clientSecret, '192.0.2.1');
    expect(answer.statusCode).toBe(429);
    expect(answer.headers['retry-after']).toMatch(/^[1-9]\d?$/);
    expect((await ask(client.clientSecret, '192.0.2.2')).statusCode).toBe(200);
    await api.close();
  });

  it('is forgotten when the minute is over', () => {
    let now = 0;
    const brake = new FailureBrake(() => now);
    for (let i = 0; i < LIMITS.signInFailuresPerMinute; i += 1) brake.noteFailure('a');
    expect(brake.secondsToWait('a')).toBe(60);
    expect(brake.secondsToWait('b')).toBe(0);
    now = 59_500;
    expect(brake.secondsToWait('a')).toBe(1);
    now = 60_000;
    expect(brake.secondsToWait('a')).toBe(0);
    brake.noteFailure('a');
    expect(brake.secondsToWait('a')).toBe(0);
  });
});

describe('Tokens', () => {
  const ask = async (authorization: string) =>
    await fixture.send('GET', '/api/Lookup', undefined, { authorization });

  it('are asked for with WWW-Authenticate when they are missing, wrong, changed or foreign', async () => {
    const foreign = await new SignJWT({ scope: 'all' })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer('penstock')
      .setSubject('x')
      .setExpirationTime('1h')
      .sign(new Uint8Array(32));
    const [head, , signature] = fixture.token.split('.');
    const changed = `${head}.${Buffer.from('{"sub":"x","exp":9999999999}').toString('base64url')}.${signature}`;
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${fixture.token.split('.')[1]}.`;
    for (const header of [
      '',
      'Bearer',
      'Bearer undefined',
      `Bearer ${foreign}`,
      `Bearer ${changed}`,
      `Bearer ${unsigned}`,
    ]) {
      const answer = await ask(header);
      expect(answer.statusCode, header).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(answer.json()).toMatchObject({ code: 'unauthorized', ClassName: 'UnauthorizedException' });
    }
  });

  it('of a disabled client stop within seconds', async () => {
    const client = await createClient(fixture.db, 'stop', ['all']);
    const form = { client_id: client.clientId, client_secret: client.clientSecret };
    const token = ((await askToken(fixture.api, form)).json() as { access_token: string }).access_token;
    expect((await ask(`Bearer ${token}`)).statusCode).toBe(200);
    await disableClient(fixture.db, client.clientId);
    await expect.poll(async () => (await ask(`Bearer ${token}`)).statusCode, { timeout: 5_000 }).toBe(401);
  });

  it('open what their scopes allow and nothing else', async () => {
    const reader = await fixture.tokenFor('read:tickets');
    const writer = await fixture.tokenFor('edit:tickets');
    const ingester = await fixture.tokenFor('penstock:ingest');
    const table: [string, string, string, unknown, number][] = [
      [reader, 'GET', '/api/incomingemail', undefined, 200],
      [reader, 'POST', '/api/incomingemail', [{ id: 1 }], 403],
      [reader, 'GET', '/api/Mailbox', undefined, 403],
      [reader, 'POST', '/api/Mail/ProcessMail', [1], 403],
      [writer, 'POST', '/api/incomingemail', [{ id: 999_999 }], 404],
      [writer, 'GET', '/api/incomingemail', undefined, 403],
      [writer, 'POST', '/api/EmailRule', [{ type: 1 }], 403],
      [ingester, 'POST', '/api/Mail/ProcessMail', [], 200],
      [ingester, 'POST', '/api/incomingemail', [{ id: 1 }], 403],
    ];
    for (const [token, method, url, body, status] of table) {
      const answer = await fixture.send(method, url, body, { authorization: `Bearer ${token}` });
      expect(answer.statusCode, `${method} ${url}`).toBe(status);
    }
  });
});

describe('Scopes', () => {
  it.each([
    [undefined, ['a', 'b'], ['a', 'b']],
    ['all', ['read:tickets'], ['read:tickets']],
    ['read:tickets', ['all'], ['read:tickets']],
    ['read:tickets edit:tickets', ['read:tickets'], ['read:tickets']],
    ['admin', ['read:tickets'], null],
    ['  ', ['all'], ['all']],
  ])('asked for %j by a client with %j: %j', (asked, has, granted) => {
    expect(grantScopes(asked, has)).toEqual(granted);
  });

  it('admin and all may do everything', () => {
    for (const scope of ['admin', 'all']) {
      for (const access of ['read_mail', 'write_mail', 'ingest', 'admin'] as const) {
        expect(mayCall(access, [scope])).toBe(true);
      }
    }
    expect(mayCall('admin', ['all:standard', 'edit:tickets'])).toBe(false);
  });
});

describe('GET /api/AuthInfo and /api/Lookup', () => {
  it('say where to get a token, without one', async () => {
    for (const url of ['/api/AuthInfo', '/api/authinfo', '/AUTHINFO', '/api/authinfo/']) {
      const answer = await fixture.api.inject({ url, headers: { host: 'mail.example.org' } });
      expect(answer.statusCode, url).toBe(200);
      expect(answer.json()).toEqual({ auth_url: 'http://mail.example.org/auth', tenant_id: null });
    }
  });

  it('answers every lookup with something', async () => {
    const answer = await fixture.send('GET', '/api/lookup?LookupID=11');
    expect(answer.json()).toEqual([{ id: 1, lookupid: 11, name: 'Penstock' }]);
    expect((await fixture.send('GET', '/api/Lookup')).json()).toHaveLength(1);
  });
});
