/** Sign-in of a person by code and by device, against a lab authorization server. */
import https from 'node:https';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LabOauthServer } from '../../src/lab/oauth/server.ts';
import { type Application, beginSignIn, finishSignIn } from '../../src/source/oauth/authorization-code.ts';
import { beginDeviceSignIn, devicePollStep, finishDeviceSignIn } from '../../src/source/oauth/device-code.ts';
import { startOauth } from '../support/oauth.ts';

let server: LabOauthServer;
let application: Application;
const redirectUri = 'https://penstock.example.com/signed-in';

beforeAll(async () => {
  server = await startOauth();
  server.grants.clients.set('app', { secret: 'secret' });
  server.grants.clients.set('public', {});
  application = {
    provider: 'microsoft',
    clientId: 'app',
    client: { kind: 'secret', secret: 'secret', expiresAt: null },
    tokenUrl: server.microsoftUrl('token'),
    tlsCa: server.certificate.cert,
  };
});

/** What a browser does: follows the address and comes back with the parameters. */
async function browse(url: string): Promise<URLSearchParams> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  https
    .get(url, { ca: server.certificate.cert }, (response) => {
      response.resume();
      resolve(response.headers.location ?? '');
    })
    .on('error', reject);
  return new URL(await promise).searchParams;
}

const begin = (changes: Partial<Application> = {}) =>
  beginSignIn(
    { ...application, ...changes },
    {
      authorizeUrl: server.microsoftUrl('authorize'),
      redirectUri,
      scope: 'Mail.ReadWrite offline_access',
      loginHint: 'ann@example.com',
    },
  );

describe('by authorization code', () => {
  it('leads to a refresh token for the person', async () => {
    const signIn = begin();
    const tokens = await finishSignIn(application, signIn, await browse(signIn.url));
    expect(server.grants.holderOf(tokens.accessToken)).toMatchObject({ user: 'ann@example.com' });
    expect(tokens.refreshToken).toMatch(/^refresh-/);
  });

  it('takes no answer that belongs to another sign-in', async () => {
    const [mine, other] = [begin(), begin()];
    const answer = await browse(other.url);
    await expect(finishSignIn(application, mine, answer)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(finishSignIn(application, mine, new URLSearchParams())).rejects.toMatchObject({
      code: 'forbidden',
    });
    // A code that was stolen is worth nothing without what proves who began.
    answer.set('state', mine.state);
    await expect(finishSignIn(application, mine, answer)).rejects.toMatchObject({ code: 'sign_in_needed' });
  });

  it('says why the provider refused', async () => {
    const signIn = begin();
    const answer = new URLSearchParams({
      state: signIn.state,
      error: 'access_denied',
      error_description: 'AADSTS65004: User declined to consent to access the app.',
    });
    await expect(finishSignIn(application, signIn, answer)).rejects.toMatchObject({
      code: 'consent_needed',
      fields: { reason: 'AADSTS65004' },
    });
  });

  it('asks Google for a refresh token each time', () => {
    const { searchParams } = new URL(begin({ provider: 'google' }).url);
    expect(searchParams.get('access_type')).toBe('offline');
    expect(searchParams.get('prompt')).toBe('consent');
    expect(searchParams.get('code_challenge_method')).toBe('S256');
  });
});

describe('by device', () => {
  it('waits for the person', async () => {
    const publicClient: Application = { ...application, clientId: 'public', client: { kind: 'none' } };
    const signIn = await beginDeviceSignIn(publicClient, server.microsoftUrl('devicecode'), 'mail');
    const asked = server.count('token');
    const tokens = finishDeviceSignIn(publicClient, signIn, new AbortController().signal);
    await expect.poll(() => server.count('token')).toBeGreaterThan(asked + 1);
    server.grants.approveDevice(signIn.userCode, 'bob@example.com');
    expect(server.grants.holderOf((await tokens).accessToken)).toMatchObject({ user: 'bob@example.com' });
  });

  it('ends when the time is up, and when it is no longer wanted', async () => {
    const signIn = await beginDeviceSignIn(application, server.microsoftUrl('devicecode'), 'mail');
    const { signal } = new AbortController();
    await expect(
      finishDeviceSignIn(application, { ...signIn, expiresInMs: 1 }, signal),
    ).rejects.toMatchObject({
      code: 'sign_in_needed',
    });
    await expect(finishDeviceSignIn(application, signIn, AbortSignal.abort())).rejects.toThrow('aborted');
  });

  it.each([
    [{ status: 200, body: {} }, 'done'],
    [{ status: 400, body: { error: 'authorization_pending' } }, { waitMs: 5_000 }],
    [{ status: 400, body: { error: 'slow_down' } }, { waitMs: 10_000 }],
    [{ status: 503, body: null }, { waitMs: 10_000 }],
    [{ status: 429, body: null, retryAfterMs: 30_000 }, { waitMs: 30_000 }],
    [{ status: 400, body: { error: 'expired_token' } }, 'failed'],
    [{ status: 400, body: { error: 'access_denied' } }, 'failed'],
  ])('after %o: %o', (answer, step) => {
    expect(devicePollStep({ retryAfterMs: null, ...answer }, 5_000)).toEqual(step);
  });
});
