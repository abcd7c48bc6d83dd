/** Graph mailboxes without any secret of ours: the identity of the machine, and the token of another issuer. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, expect, it, vi } from 'vitest';
import { defaultOauthSettings, type OauthSettings } from '../../src/store/mailbox-settings.ts';
import { tempFolder } from '../support/folder.ts';
import { simpleMessage } from '../support/messages.ts';
import { type OauthSite, startOauthSite } from '../support/oauth-site.ts';
import { Pipe } from '../support/pipe.ts';

afterEach(() => void vi.unstubAllEnvs());

const CLUSTER = 'system:serviceaccount:mail:penstock';
/** What Kubernetes projects into a pod; Entra looks at its subject. */
const podToken = (subject: string): string =>
  [{ alg: 'RS256' }, { sub: subject }, 'signature']
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');

interface Way {
  /** Makes the platform, and returns how the mailbox uses it. */
  prepare(lab: OauthSite, tokenFile: string): Promise<Partial<OauthSettings>>;
  /** The route of the lab's token server that must be asked. */
  asked: 'identity' | 'token';
  /** Takes the permission away. */
  withdraw(lab: OauthSite, tokenFile: string): Promise<void>;
  says: RegExp;
}

const machine = (env: (lab: OauthSite) => Record<string, string>, clientId: string): Way => ({
  async prepare(lab) {
    for (const [name, value] of Object.entries(env(lab))) vi.stubEnv(name, value);
    lab.oauth.grants.identities.add(clientId);
    return { grant: 'managed_identity', clientId };
  },
  asked: 'identity',
  withdraw: async (lab) => void lab.oauth.grants.identities.delete(clientId),
  says: /Identity not found/,
});

const ways: [name: string, way: Way][] = [
  [
    'the identity of a virtual machine, from its metadata service',
    machine(({ oauth }) => ({ AZURE_POD_IDENTITY_AUTHORITY_HOST: oauth.origin }), ''),
  ],
  [
    'one of several identities of an App Service',
    machine(
      ({ oauth }) => ({
        IDENTITY_ENDPOINT: `${oauth.origin}/metadata/identity/oauth2/token`,
        IDENTITY_HEADER: oauth.identityHeader,
      }),
      'identity-2',
    ),
  ],
  [
    'the token of a pod that the application trusts (workload identity)',
    {
      async prepare(lab, tokenFile) {
        lab.oauth.grants.clients.set('app', { federatedSubject: CLUSTER });
        await writeFile(tokenFile, podToken(CLUSTER));
        const application = {
          clientId: 'app',
          tenant: 'lab-tenant',
          tokenUrl: lab.oauth.microsoftUrl('token'),
        };
        return { grant: 'client_credentials', client: 'federated', tokenFile, ...application };
      },
      asked: 'token',
      // The platform writes the file anew all the time; each request has what it holds then.
      withdraw: async (_lab, tokenFile) =>
        await writeFile(tokenFile, podToken('system:serviceaccount:mail:other')),
      says: /AADSTS70021/,
    },
  ],
];

/** Lets an hour pass for tokens, by the database's clock. */
async function endTokens({ site, oauth }: OauthSite): Promise<void> {
  oauth.grants.expireAccessTokens();
  await sql`update oauth_token set obtained_at = obtained_at - interval '1 hour'`.execute(site.runtime.db);
}

it.each(ways)('mail of a Graph mailbox comes by %s', async (_name, way) => {
  const lab = await startOauthSite();
  const { site } = lab;
  const tokenFile = join(await tempFolder('identity'), 'token');
  const how = await way.prepare(lab, tokenFile);
  const oauth = { ...defaultOauthSettings('microsoft'), ...how };
  const mailbox = await lab.addMailbox('graph', { oauth });
  // None of our own is there to fall back on.
  await sql`delete from secret where name = 'client_secret'`.execute(site.runtime.db);
  const steps = await site.runtime.sources.diagnose(mailbox, new AbortController().signal);
  expect(steps.find((step) => !step.ok)).toBeUndefined();

  lab.deliver('graph', simpleMessage('one'));
  const pipe = await Pipe.start(site);
  await site.waitUntilProcessed();
  // An hour later: another token is got in the same way.
  await endTokens(lab);
  lab.deliver('graph', simpleMessage('two'));
  await site.waitUntilProcessed();
  expect(await site.audit()).toMatchObject({ listed: 2, unaccounted: 0 });
  expect(pipe.of('token.failed')).toEqual([]);
  expect(lab.oauth.seen.every(({ route }) => route === way.asked)).toBe(true);
  expect(lab.oauth.seen.filter(({ form }) => form.has('client_secret'))).toEqual([]);
  // The diagnosis asks, and each hour does.
  expect(lab.oauth.count(way.asked)).toBeGreaterThanOrEqual(2);

  await pipe.stop();
  await way.withdraw(lab, tokenFile);
  await endTokens(lab);
  const found = await site.runtime.sources.diagnose(mailbox, new AbortController().signal);
  expect(found.at(-1)).toMatchObject({ step: 'login', ok: false, found: expect.stringMatching(way.says) });
});
