/** Watches, and the pushes that come of them: signed by a lab's keys, checked as Google's would be. */
import type { JWTPayload } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LabPush } from '../../src/lab/gmail/watches.ts';
import type { LabOauthServer } from '../../src/lab/oauth/server.ts';
import { GmailApi } from '../../src/source/gmail/api.ts';
import { pushKeys, readPush, verifyPush } from '../../src/source/gmail/push.ts';
import { DEFAULT_GMAIL_OPTIONS } from '../../src/source/gmail/settings.ts';
import { makeWatch } from '../../src/source/gmail/watch.ts';
import { deliver, fixedToken, startGmailLab } from '../support/gmail-lab.ts';
import { simpleMessage } from '../support/messages.ts';
import { startOauth } from '../support/oauth.ts';

let oauth: LabOauthServer;
let keys: ReturnType<typeof pushKeys>;
const expected = {
  audience: 'https://penstock.example.com/webhooks/gmail',
  serviceAccount: 'push@project.iam.gserviceaccount.com',
};

beforeAll(async () => {
  oauth = await startOauth();
  keys = pushKeys(oauth.jwksUrl, oauth.certificate.cert);
});

const seconds = (): number => Math.floor(Date.now() / 1000);
const claims = (changes: JWTPayload = {}): JWTPayload => ({
  iss: 'https://accounts.google.com',
  aud: expected.audience,
  email: expected.serviceAccount,
  email_verified: true,
  iat: seconds(),
  exp: seconds() + 3600,
  ...changes,
});
const verify = async (payload: JWTPayload): Promise<void> =>
  verifyPush(`Bearer ${await oauth.sign(payload)}`, expected, keys);

describe('who sent a push', () => {
  it('is our subscription, by a token of Google', async () => {
    await expect(verify(claims())).resolves.toBeUndefined();
    await expect(verify(claims({ iss: 'accounts.google.com' }))).resolves.toBeUndefined();
    // Fetched once and kept.
    expect(oauth.count('jwks')).toBe(1);
  });

  it.each([
    ['another audience', { aud: 'https://elsewhere.example.com/' }],
    ['another issuer', { iss: 'https://accounts.evil.example' }],
    ['an end that is past', { iat: 1_000_000, exp: 1_003_600 }],
    ['no end', { exp: undefined }],
    ['the subscription of somebody else', { email: 'push@evil.iam.gserviceaccount.com' }],
    ['an address that nobody verified', { email_verified: false }],
    ['an address that is verified in name only', { email_verified: 'true' }],
    ['no address', { email: undefined }],
  ] as [string, JWTPayload][])('is nobody with %s', async (_case, changes) => {
    await expect(verify(claims(changes))).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('is nobody without a token, with a forged or an unsigned one', async () => {
    const token = await oauth.sign(claims());
    const [head, body, signature] = token.split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const other = Buffer.from(JSON.stringify(claims({ aud: expected.audience, sub: 'x' }))).toString(
      'base64url',
    );
    const stranger = await startOauth();
    for (const authorization of [
      undefined,
      '',
      'Bearer ',
      `Basic ${token}`,
      `Bearer ${none}.${body}.`,
      `Bearer ${head}.${other}.${signature}`,
      `Bearer ${await stranger.sign(claims())}`,
      `Bearer ${'x'.repeat(10_000)}`,
    ]) {
      await expect(verifyPush(authorization, expected, keys)).rejects.toMatchObject({ code: 'unauthorized' });
    }
  });

  it('cannot be told while the keys cannot be got: that is no refusal', async () => {
    const unreachable = pushKeys('https://127.0.0.1:1/jwks');
    await expect(
      verifyPush(`Bearer ${await oauth.sign(claims())}`, expected, unreachable),
    ).rejects.toMatchObject({ code: 'connect_failed', temporary: true });
  });
});

describe('a watch', () => {
  it('leads to pushes about the labels of the mailbox', async () => {
    const lab = await startGmailLab();
    const mailbox = lab.addUser('Desk@Example.com');
    const settings = {
      user: 'Desk@Example.com',
      tokens: fixedToken('token-Desk@Example.com'),
      folders: ['INBOX'],
      maxMessageBytes: 1,
      rootUrl: lab.server.rootUrl,
      tlsCa: lab.server.certificate.cert,
    };
    const api = new GmailApi(settings, DEFAULT_GMAIL_OPTIONS);
    const { signal } = new AbortController();
    const pushes: LabPush[] = [];
    lab.server.watches.onPush = (push) => void pushes.push(push);
    deliver(mailbox, simpleMessage('before'));
    const watch = await makeWatch(api, 'projects/my-project/topics/gmail', ['INBOX'], signal);
    expect(watch).toMatchObject({ id: 'desk@example.com', historyId: expect.stringMatching(/^\d+$/) });
    expect(watch.expiresAt.getTime() - Date.now()).toBeGreaterThan(6 * 24 * 3_600_000);
    mailbox.add(simpleMessage('sent'), ['SENT']);
    deliver(mailbox, simpleMessage('after'));
    expect(pushes.map((push) => readPush(push))).toEqual([
      {
        address: 'desk@example.com',
        historyId: expect.stringMatching(/^\d+$/),
        messageId: '1',
        subscription: 'projects/lab/subscriptions/penstock',
      },
    ]);
    await api.stopWatch(signal);
    deliver(mailbox, simpleMessage('later'));
    expect(pushes).toHaveLength(1);
    await expect(makeWatch(api, 'my-topic', ['INBOX'], signal)).rejects.toMatchObject({
      code: 'validation_failed',
    });
    await expect(
      makeWatch(api, 'projects/my-project/topics/gmail', ['INBOX', 'Nowhere'], signal),
    ).rejects.toMatchObject({
      code: 'folder_missing',
    });
    api.close();
  });

  const data = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
  it.each([
    ['nothing', undefined],
    ['a text', 'hello'],
    ['no message', {}],
    ['no data', { message: {} }],
    ['data that is no JSON', { message: { data: '????' } }],
    ['data that is a number', { message: { data: data(7) } }],
    ['no address', { message: { data: data({ historyId: 1 }) } }],
    ['an address that is none', { message: { data: data({ emailAddress: 'a b@c' }) } }],
    ['much too much', { message: { data: 'x'.repeat(20_000) } }],
  ])('a push with %s is none', (_case, body) => {
    expect(() => readPush(body)).toThrow('This is no notification of Gmail');
  });
});
