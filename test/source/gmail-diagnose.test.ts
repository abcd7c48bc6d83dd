/** The diagnosis names what is wrong, and where to mend it. */
import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { LabGmailServer } from '../../src/lab/gmail/server.ts';
import type { LabOauthServer } from '../../src/lab/oauth/server.ts';
import { gmailSource } from '../../src/source/gmail/gmail-source.ts';
import type { GmailSettings } from '../../src/source/gmail/settings.ts';
import { accessTokens } from '../../src/source/oauth/access-tokens.ts';
import { GMAIL_API_SCOPE } from '../../src/source/oauth/authority.ts';
import type { DiagnosisStep } from '../../src/source/source.ts';
import { onCleanup } from '../support/cleanup.ts';
import { simpleMessage } from '../support/messages.ts';
import { entraCredential, loginsOf, startOauth, startTokenLab, type TokenLab } from '../support/oauth.ts';

const ADDRESS = 'desk@example.com';
const ACCOUNT = 'penstock@project.iam.gserviceaccount.com';
const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
let oauth: LabOauthServer;
let tokens: TokenLab;
let gmail: LabGmailServer;
let used = 0;

beforeAll(async () => {
  [oauth, tokens] = await Promise.all([startOauth(), startTokenLab()]);
  gmail = new LabGmailServer({
    callerOf(token) {
      const holder = oauth.grants.holderOf(token);
      return holder?.user ? { user: holder.user, scope: holder.scope } : null;
    },
  });
  await gmail.start();
  onCleanup(() => gmail.stop());
  gmail.addUser(ADDRESS).add(simpleMessage('hello'), ['INBOX']);
});

/** The whole way: a service account, a token by delegation, the API. */
async function diagnose(
  changes: Partial<GmailSettings> = {},
  { subject = ADDRESS, scope = GMAIL_API_SCOPE, granted = [GMAIL_API_SCOPE] } = {},
): Promise<DiagnosisStep[]> {
  used += 1;
  oauth.grants.serviceAccounts.set(ACCOUNT, {
    publicKey,
    scopes: granted,
    users: [ADDRESS, 'other@example.com'],
  });
  const credential = entraCredential(
    oauth,
    { kind: 'service_account', email: ACCOUNT, privateKey, privateKeyId: null, subject },
    { id: `mailbox:${used}`, provider: 'google', tokenUrl: oauth.googleTokenUrl, scope },
  );
  const source = gmailSource({
    user: ADDRESS,
    tokens: accessTokens(loginsOf(tokens.service(), [credential])),
    folders: ['INBOX'],
    maxMessageBytes: 1_000_000,
    rootUrl: gmail.rootUrl,
    tlsCa: gmail.certificate.cert,
    ...changes,
  });
  return await source.diagnose(new AbortController().signal);
}

describe('the diagnosis', () => {
  it('goes through when all is well', async () => {
    const steps = await diagnose();
    expect(steps.map(({ step, ok }) => `${step} ${ok}`)).toEqual([
      'dns true',
      'tcp true',
      'tls true',
      'login true',
      'folders true',
    ]);
    expect(steps[3]!.found).toBe('The token is good for desk@example.com');
    expect(steps[4]!.found).toBe('INBOX (1 messages)');
  });

  it.each([
    [
      'delegation that is not granted',
      {},
      { granted: [] },
      /Domain-wide delegation is not granted/,
      /domain-wide delegation/,
    ],
    [
      'a mailbox that does not exist',
      {},
      { subject: 'nobody@example.com' },
      /mailbox is not known/,
      /Check the address desk@example.com/,
    ],
    [
      'another account',
      {},
      { subject: 'other@example.com' },
      /another account/,
      /Sign in as desk@example.com/,
    ],
    [
      'a scope that is too small',
      {},
      {
        scope: 'https://www.googleapis.com/auth/gmail.send',
        granted: ['https://www.googleapis.com/auth/gmail.send'],
      },
      /lacks a scope/,
      /allow reading and changing mail/,
    ],
    [
      'a label that is missing',
      { folders: ['INBOX', 'Support'] },
      {},
      /Missing: Support/,
      /choose from: INBOX/,
    ],
    ['a certificate that is not trusted', { tlsCa: null }, {}, /self-signed/, /authority/],
    ['a wrong address', { rootUrl: 'https://127.0.0.1:1/' }, {}, /ECONNREFUSED/, /port/],
  ] as const)('names %s', async (_case, settings, credential, found, advice) => {
    const last = (await diagnose(settings as Partial<GmailSettings>, credential as object)).at(-1);
    expect(last).toMatchObject({
      ok: false,
      found: expect.stringMatching(found),
      advice: expect.stringMatching(advice),
    });
  });

  it.each([
    ['api-disabled', /not enabled in the project.*project=42/, /Enable the Gmail API/],
    ['domain-policy', /administrator of the domain/, /API controls/],
    ['no-mailbox', /no Gmail mailbox/, /licence/],
  ] as const)('names what is wrong with the account or its project: %s', async (trouble, found, advice) => {
    gmail.trouble.set(ADDRESS, trouble);
    const last = (await diagnose()).at(-1);
    gmail.trouble.clear();
    expect(last).toMatchObject({
      step: 'login',
      ok: false,
      found: expect.stringMatching(found),
      advice: expect.stringMatching(advice),
    });
  });
});
