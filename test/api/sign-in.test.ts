/** Sign-in of a person in a browser: the API, an authorization server, and the mailboxes that the account must open. */
import https from 'node:https';
import { sql } from 'kysely';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LabGmailServer } from '../../src/lab/gmail/server.ts';
import { LabGraphServer } from '../../src/lab/graph/server.ts';
import type { LabOauthServer } from '../../src/lab/oauth/server.ts';
import { MailSources, secretOwner } from '../../src/mailbox-source.ts';
import { SignIns } from '../../src/sign-in.ts';
import { defaultMailboxSettings, defaultOauthSettings } from '../../src/store/mailbox-settings.ts';
import { createMailbox, findMailbox, type Mailbox } from '../../src/store/mailboxes.ts';
import { readSecret, writeSecret } from '../../src/store/secrets.ts';
import { onCleanup } from '../support/cleanup.ts';
import { labCertificate } from '../support/graph-lab.ts';
import { startOauth } from '../support/oauth.ts';
import { type Answer, useApi } from './fixture.ts';

const PUBLIC = 'https://penstock.example.org';
const DESK = 'desk@example.org';
const SECRET = 'the-client-secret';

let sources: MailSources;
const fixture = useApi((context) => {
  const { db, keys } = context;
  sources = new MailSources(db, keys);
  context.config.server.publicUrl = PUBLIC;
  context.services.signIns = new SignIns({ db, keys, sources, publicUrl: PUBLIC });
});

let oauth: LabOauthServer;
let graph: LabGraphServer;
let gmail: LabGmailServer;

beforeAll(async () => {
  oauth = await startOauth();
  const certificate = labCertificate();
  graph = new LabGraphServer({
    certificate,
    grantOf(token) {
      const user = oauth.grants.holderOf(token)?.user;
      return user ? { roles: new Set(['read', 'write']), mailboxes: new Set([user]) } : null;
    },
  });
  gmail = new LabGmailServer({
    certificate,
    callerOf(token) {
      const holder = oauth.grants.holderOf(token);
      return holder?.user ? { user: holder.user, scope: holder.scope } : null;
    },
  });
  await Promise.all([graph.start(), gmail.start()]);
  onCleanup(async () => void (await Promise.all([graph.stop(), gmail.stop()])));
  for (const user of [DESK, 'other@example.org']) {
    graph.addMailbox(user);
    gmail.addUser(user);
  }
  oauth.grants.clients.set('app', { secret: SECRET });
});

beforeEach(() => {
  oauth.grants.browserUser = undefined;
  oauth.faults.clear();
});

/** A mailbox for which nobody has signed in yet. */
async function newMailbox(kind: 'graph' | 'gmail'): Promise<Mailbox> {
  const { db, keys } = fixture;
  const url = new URL(kind === 'graph' ? `https://${graph.host}` : gmail.rootUrl);
  const base = defaultMailboxSettings(url.hostname, DESK, kind);
  const tlsCa = [oauth.certificate.cert, labCertificate().cert].join('\n');
  const microsoft = { tenant: 'lab-tenant', tokenUrl: oauth.microsoftUrl('token') };
  const google = { tokenUrl: oauth.googleTokenUrl };
  const settings = {
    ...base,
    server: { ...base.server, port: Number(url.port), tlsCa },
    oauth: {
      ...defaultOauthSettings(kind === 'graph' ? 'microsoft' : 'google'),
      clientId: 'app',
      ...(kind === 'graph' ? microsoft : google),
    },
  };
  return await db.transaction().execute(async (tx) => {
    const mailbox = await createMailbox(tx, { name: 'Desk', kind, enabled: false, settings, halo: {} });
    await writeSecret(tx, keys, secretOwner(mailbox.id), 'client_secret', SECRET);
    return mailbox;
  });
}

const refreshTokenOf = (id: number): Promise<string | null> =>
  readSecret(fixture.db, fixture.keys, secretOwner(id), 'refresh_token');

/** The path of a new link, as it is asked for by an administrator. */
async function newLink(id: number): Promise<string> {
  const answer = await fixture.send('POST', `/api/Mailbox/${id}/authorize`);
  expect(answer.statusCode, answer.payload).toBe(201);
  const { url } = answer.json<{ url: string }>();
  expect(url.startsWith(`${PUBLIC}/oauth/start/${id}?link=`)).toBe(true);
  return url.slice(PUBLIC.length);
}

/** A browser: it keeps cookies, and follows where it is sent. */
class Browser {
  readonly cookies = new Map<string, string>();

  async get(path: string): Promise<Answer> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fixture.api.inject({ url: path, headers: { cookie } });
    for (const set of [answer.headers['set-cookie'] ?? []].flat()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set)!;
      this.cookies.set(name, value);
    }
    return answer;
  }

  /** Opens a link, signs in, and returns the path with which it would come back. */
  async signIn(link: string): Promise<string> {
    const begun = await this.get(link);
    expect(begun.statusCode, begun.payload).toBe(302);
    return await visit(String(begun.headers.location));
  }
}

/** What the provider sends a browser to. */
async function visit(url: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  https
    .get(url, { ca: oauth.certificate.cert }, (response) => {
      response.resume();
      resolve(response.headers.location ?? '');
    })
    .on('error', reject);
  const location = await promise;
  expect(location.startsWith(`${PUBLIC}/oauth/callback?`)).toBe(true);
  return location.slice(PUBLIC.length);
}

/** A page for people: no script, nothing from elsewhere, nothing secret. */
function expectPage(answer: Answer, status: number, title: string): void {
  expect(answer.statusCode, answer.payload).toBe(status);
  expect(answer.headers['content-type']).toBe('text/html; charset=utf-8');
  expect(answer.payload).toContain(`<h1>${title}</h1>`);
  expect(answer.payload).not.toMatch(/<script|refresh-|access-|\son\w+=/);
  const policy = String(answer.headers['content-security-policy']);
  expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none';/);
  expect(policy).not.toContain('unsafe');
  expect(answer.headers['referrer-policy']).toBe('no-referrer');
  expect(answer.headers['cache-control']).toBe('no-store');
}

describe.each(['graph', 'gmail'] as const)('sign-in for a %s mailbox', (kind) => {
  it('leads to a mailbox that works', async () => {
    const { id } = await newMailbox(kind);
    const link = await newLink(id);
    const browser = new Browser();
    const begun = await browser.get(link);
    const provider = new URL(String(begun.headers.location)).searchParams;
    expect(provider.get('code_challenge_method')).toBe('S256');
    expect(provider.get('login_hint')).toBe(DESK);
    expect(begun.headers['set-cookie']).toMatch(
      /^penstock_sign_in_[0-9a-f]{16}=[\w-]{43}; Path=\/oauth\/callback; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
    );
    const back = await visit(String(begun.headers.location));
    expectPage(await browser.get(back), 200, 'You have signed in');
    expect(await refreshTokenOf(id)).toMatch(/^refresh-/);
    const mailbox = (await findMailbox(fixture.db, id))!;
    const steps = await sources.diagnose(mailbox, new AbortController().signal);
    expect(steps.filter((step) => !step.ok)).toEqual([]);
    // Once: neither the answer nor the link is good for anything now.
    expectPage(await browser.get(back), 410, 'This sign-in is over');
    expectPage(await browser.get(link), 410, 'This sign-in is over');
    const { rows } = await sql<{ actor: string }>`
      select actor from audit_log where action = 'authorize' and change->>'mailbox' = ${String(id)}`.execute(
      fixture.db,
    );
    expect(rows).toEqual([{ actor: expect.stringMatching(/^client:/) }]);
  });

  it('stores nothing of an account that does not open the mailbox, and the link is good for another try', async () => {
    const { id } = await newMailbox(kind);
    const link = await newLink(id);
    const browser = new Browser();
    oauth.grants.browserUser = 'other@example.org';
    const wrong = await browser.get(await browser.signIn(link));
    expectPage(wrong, 403, 'This account does not open the mailbox');
    expect(wrong.payload).toContain(DESK);
    expect(await refreshTokenOf(id)).toBeNull();
    oauth.grants.browserUser = undefined;
    expectPage(await browser.get(await browser.signIn(link)), 200, 'You have signed in');
  });

  it('says so when the person declines', async () => {
    const { id } = await newMailbox(kind);
    const browser = new Browser();
    oauth.grants.browserUser = null;
    const declined = await browser.get(await browser.signIn(await newLink(id)));
    expectPage(declined, 400, 'The sign-in was refused');
    expect(await refreshTokenOf(id)).toBeNull();
  });
});

describe('an answer of the provider', () => {
  it('is worth nothing in another browser, and still good in the one that began', async () => {
    const { id } = await newMailbox('graph');
    const browser = new Browser();
    const back = await browser.signIn(await newLink(id));
    expectPage(await new Browser().get(back), 403, 'The sign-in began in another browser');
    // Nor where the cookie of another sign-in is.
    const other = new Browser();
    await other.signIn(await newLink((await newMailbox('graph')).id));
    expectPage(await other.get(back), 403, 'The sign-in began in another browser');
    expectPage(await browser.get(back), 200, 'You have signed in');
  });

  it('with a code that belongs to another sign-in is refused by the provider', async () => {
    const [mine, theirs] = [await newMailbox('graph'), await newMailbox('graph')];
    const browser = new Browser();
    const back = new URL(await browser.signIn(await newLink(mine.id)), PUBLIC);
    const stolen = new URL(await new Browser().signIn(await newLink(theirs.id)), PUBLIC);
    back.searchParams.set('code', stolen.searchParams.get('code')!);
    expectPage(await browser.get(back.pathname + back.search), 400, 'The sign-in was refused');
    expect(await refreshTokenOf(mine.id)).toBeNull();
  });

  it.each([
    '/oauth/callback',
    '/oauth/callback?state=invented&code=x',
    '/oauth/callback?error=access_denied',
  ])('that belongs to nothing is told so: %s', async (path) =>
    expectPage(await new Browser().get(path), 410, 'This sign-in is over'),
  );

  it('comes too late after ten minutes', async () => {
    const { id } = await newMailbox('graph');
    const browser = new Browser();
    const back = await browser.signIn(await newLink(id));
    await sql`update sign_in_attempt set expires_at = now()`.execute(fixture.db);
    expectPage(await browser.get(back), 410, 'This sign-in is over');
  });

  it('leaves everything as it was when the provider fails', async () => {
    const { id } = await newMailbox('graph');
    const browser = new Browser();
    const link = await newLink(id);
    oauth.faults.add({ at: 'token', action: { do: 'answer', status: 500 }, times: 1 });
    expectPage(await browser.get(await browser.signIn(link)), 400, 'The sign-in was refused');
    expect(await refreshTokenOf(id)).toBeNull();
  });
});

describe('a link', () => {
  it('is for its mailbox, for ten minutes, and cannot be guessed', async () => {
    const [one, two] = [await newMailbox('graph'), await newMailbox('graph')];
    const link = await newLink(one.id);
    const browser = new Browser();
    expectPage(await browser.get(link.replace(`/${one.id}?`, `/${two.id}?`)), 410, 'This sign-in is over');
    expectPage(await browser.get(`/oauth/start/${one.id}`), 410, 'This sign-in is over');
    expectPage(await browser.get(`/oauth/start/${one.id}?link=invented`), 410, 'This sign-in is over');
    await sql`update sign_in set expires_at = now()`.execute(fixture.db);
    expectPage(await browser.get(link), 410, 'This sign-in is over');
  });

  it('that something else opens first, such as a preview in a chat, still works', async () => {
    const { id } = await newMailbox('graph');
    const link = await newLink(id);
    for (let opened = 0; opened < 3; opened += 1) await new Browser().get(link);
    const browser = new Browser();
    expectPage(await browser.get(await browser.signIn(link)), 200, 'You have signed in');
  });

  it('is kept as a digest only, like everything of a sign-in', async () => {
    const { id } = await newMailbox('graph');
    const link = await newLink(id);
    const browser = new Browser();
    const back = new URL(await browser.signIn(link), PUBLIC);
    const { rows } = await sql<{ text: string }>`
      select (select string_agg(row_to_json(sign_in)::text, '') from sign_in)
        || (select string_agg(row_to_json(sign_in_attempt)::text, '') from sign_in_attempt) as text`.execute(
      fixture.db,
    );
    const secrets = [link.split('link=')[1]!, back.searchParams.get('state')!, ...browser.cookies.values()];
    for (const secret of secrets) expect(rows[0]!.text).not.toContain(secret);
  });

  it('is made by administrators only, and only where somebody signs in', async () => {
    const { id } = await newMailbox('graph');
    const headers = { authorization: `Bearer ${await fixture.tokenFor('edit:tickets')}` };
    const url = `/api/Mailbox/${id}/authorize`;
    expect((await fixture.send('POST', url, undefined, headers)).statusCode).toBe(403);
    expect((await fixture.send('POST', '/api/Mailbox/999999/authorize')).statusCode).toBe(404);
    const imap = await fixture.send('POST', '/api/Mailbox', [
      { type: 1, server: 'imap.example.org', username: 'x@example.org', password: 'p' },
    ]);
    const refused = await fixture.send('POST', `/api/Mailbox/${imap.json<{ id: number }>().id}/authorize`);
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ code: 'unsupported' });
    const nowhere = new SignIns({ db: fixture.db, keys: fixture.keys, sources, publicUrl: null });
    await expect(nowhere.link(id, null, 'test')).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe("Halo's way to hand in a code", () => {
  it.each([
    ['graph', '_exchangecodefortoken', 'oauth_code', 'azureredirecturi'],
    ['gmail', '_getgoogletoken', 'google_code', 'google_redirect'],
  ] as const)('of a %s mailbox, by %s', async (kind, flag, codeField, redirectField) => {
    const { id } = await newMailbox(kind);
    const authorize = kind === 'graph' ? oauth.microsoftUrl('authorize') : `${oauth.origin}/o/oauth2/v2/auth`;
    const asked = new URL(authorize);
    asked.search = new URLSearchParams({
      redirect_uri: `${PUBLIC}/oauth/callback`,
      login_hint: DESK,
      scope: 'mail',
    }).toString();
    const code = new URL(await visit(asked.href), PUBLIC).searchParams.get('code')!;
    const item = { id, [flag]: true, [codeField]: code, [redirectField]: `${PUBLIC}/oauth/callback` };
    const answer = await fixture.send('POST', '/api/Mailbox', [item]);
    expect(answer.statusCode, answer.payload).toBe(201);
    expect(answer.payload).not.toContain(code);
    expect(await refreshTokenOf(id)).toMatch(/^refresh-/);
    // A code is good once.
    const again = await fixture.send('POST', '/api/Mailbox', [item]);
    expect(again.statusCode).toBe(400);
    expect(again.json()).toMatchObject({ details: [{ index: 0, field: codeField }] });
    const without = await fixture.send('POST', '/api/Mailbox', [{ id, [flag]: true }]);
    expect(without.json()).toMatchObject({ details: [{ index: 0, field: codeField }] });
  });
});
