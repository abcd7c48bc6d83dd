/** The addresses where providers tell of new mail: who is believed, what is written, and when it is answered. */
import { sql } from 'kysely';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { LabOauthServer } from '../../src/lab/oauth/server.ts';
import { LIMITS } from '../../src/limits.ts';
import { pushKeys } from '../../src/source/gmail/push.ts';
import { secretDigest } from '../../src/source/graph/client-state.ts';
import type { SourceKind } from '../../src/source/source.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';
import { createMailbox } from '../../src/store/mailboxes.ts';
import { saveMade, takeTurn } from '../../src/store/subscriptions.ts';
import { startOauth } from '../support/oauth.ts';
import { useApi } from './fixture.ts';

const PUBLIC_URL = 'https://mail.example.com/';
const ACCOUNT = 'push@project.iam.gserviceaccount.com';
let oauth: LabOauthServer;

beforeAll(async () => {
  oauth = await startOauth();
});

const fixture = useApi((context) => {
  context.config.server.publicUrl = PUBLIC_URL;
  context.config.gmail.pushAccount = ACCOUNT;
  context.pushKeys = pushKeys(oauth.jwksUrl, oauth.certificate.cert);
});

let made = 0;

/** A mailbox with one subscription; its secret is `secret-<providerId>`. */
async function subscribed(kind: SourceKind, folder = 'INBOX'): Promise<{ mailbox: number; id: string }> {
  const { db } = fixture;
  const settings = defaultMailboxSettings('mail.example', `user${made}@example.org`);
  const draft = { name: 'Desk', kind, enabled: true, settings, halo: {} };
  const mailbox = (await db.transaction().execute((tx) => createMailbox(tx, draft))).id;
  made += 1;
  const id = kind === 'gmail' ? `user${made}@example.org` : `subscription-${made}`;
  const row = (await takeTurn(db, mailbox, folder, 60))!;
  await saveMade(db, row, 'x', {
    id,
    resource: 'x',
    expiresAt: new Date(Date.now() + 3_600_000),
    secretSha256: kind === 'gmail' ? null : secretDigest(`secret-${id}`),
    historyId: null,
  });
  return { mailbox, id };
}

const item = (id: string, more: object = {}): object => ({
  subscriptionId: id,
  clientState: `secret-${id}`,
  changeType: 'created',
  resource: 'Users/a/Messages/b',
  tenantId: 't',
  ...more,
});

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fixture.send('POST', url, body, { authorization: '', ...headers });

async function rowOf(mailbox: number): Promise<{ notified: boolean; need: string | null }> {
  const row = await fixture.db
    .selectFrom('subscription')
    .select(['notified_at', 'need'])
    .where('mailbox_id', '=', mailbox)
    .executeTakeFirstOrThrow();
  return { notified: row.notified_at !== null, need: row.need };
}

/** Statements that wrote to subscriptions since this was called, as the database counts them. */
async function countWrites(): Promise<() => Promise<number>> {
  const { db } = fixture;
  await sql`create table if not exists written (at timestamptz)`.execute(db);
  await sql`create or replace function note_write() returns trigger language plpgsql as
    $$ begin insert into written values (now()); return null; end $$`.execute(db);
  await sql`create or replace trigger note_write after update on subscription
    for each statement execute function note_write()`.execute(db);
  await sql`delete from written`.execute(db);
  return async () => {
    const { rows } = await sql<{ count: number }>`select count(*)::int as count from written`.execute(db);
    return rows[0]!.count;
  };
}

/** Resolves when a statement waits for a lock. */
async function untilBlocked(): Promise<void> {
  await vi.waitFor(
    async () => {
      const { rows } = await sql`
        select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(fixture.db);
      expect(rows.length).toBeGreaterThan(0);
    },
    { timeout: 30_000 },
  );
}

describe('the handshake of Graph', () => {
  const paths = ['/api/Mail/Azure', '/api/mail/azure', '/MAIL/Azure', '/notifications/graph'];
  it.each(paths)('%s gives the token back as plain text', async (path) => {
    const token = 'Validation: <b>&+ü';
    const url = `${path}?validationToken=${encodeURIComponent(token)}`;
    const answer = await fixture.api.inject({
      method: 'POST',
      url,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      payload: '',
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.payload).toBe(token);
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  it('has limits', async () => {
    for (const query of ['', 'x'.repeat(5_000)]) {
      const answer = await post(`/notifications/graph?validationToken=${query}`, undefined);
      expect(answer.statusCode).toBe(400);
      expect(answer.headers['content-type']).toContain('application/json');
    }
  });
});

describe('notifications of Graph', () => {
  it('that are ours are noted', async () => {
    const { mailbox, id } = await subscribed('graph');
    const answer = await post('/api/Mail/Azure', { value: [item(id)] });
    expect(answer.statusCode).toBe(202);
    expect(answer.payload).toBe('');
    expect(await rowOf(mailbox)).toEqual({ notified: true, need: null });
  });

  const strangers: [string, (id: string) => unknown][] = [
    ['another secret', (id) => item(id, { clientState: 'secret-x' })],
    ['no secret', (id) => item(id, { clientState: undefined })],
    ['an unknown subscription', () => item('nobody')],
    ['an address of Gmail for an id', () => item('user@example.org')],
    ['nothing in it', () => null],
  ];
  it.each(strangers)('with %s are answered alike, and write nothing', async (_name, make) => {
    const { mailbox, id } = await subscribed('graph');
    const writes = await countWrites();
    const answer = await post('/notifications/graph', { value: [make(id)] });
    expect(answer.statusCode).toBe(202);
    expect(answer.payload).toBe('');
    expect(await writes()).toBe(0);
    expect(await rowOf(mailbox)).toEqual({ notified: false, need: null });
  });

  it.each([
    ['reauthorizationRequired', 'renew'],
    ['subscriptionRemoved', 'recreate'],
    ['missed', null],
    ['somethingNew', null],
  ])('of the lifecycle event %s ask for %s, and for a poll', async (lifecycleEvent, need) => {
    const { mailbox, id } = await subscribed('graph');
    await post('/notifications/graph', { value: [item(id, { lifecycleEvent })] });
    expect(await rowOf(mailbox)).toEqual({ notified: true, need });
  });

  it('ask for the most urgent of several, in whatever order they come', async () => {
    const { mailbox, id } = await subscribed('graph');
    const event = (lifecycleEvent: string): object => item(id, { lifecycleEvent });
    await post('/notifications/graph', {
      value: [event('subscriptionRemoved'), event('reauthorizationRequired'), item(id)],
    });
    expect(await rowOf(mailbox)).toEqual({ notified: true, need: 'recreate' });
    await post('/notifications/graph', { value: [event('reauthorizationRequired')] });
    expect(await rowOf(mailbox)).toEqual({ notified: true, need: 'recreate' });
  });

  it('of several subscriptions in one post are noted together, those of strangers left out', async () => {
    const [one, two, other] = [
      await subscribed('graph'),
      await subscribed('graph'),
      await subscribed('graph'),
    ];
    const writes = await countWrites();
    const value = [item(one.id), item('nobody'), item(two.id), item(other.id, { clientState: 'wrong' })];
    await post('/notifications/graph', { value: value.concat(value) });
    expect(await writes()).toBe(1);
    const notified = await Promise.all([one, two, other].map(({ mailbox }) => rowOf(mailbox)));
    expect(notified.map((row) => row.notified)).toEqual([true, true, false]);
  });

  it('in hundreds at once are answered after they are durable, and cost two writes', async () => {
    const { mailbox, id } = await subscribed('graph');
    const writes = await countWrites();
    const gate = Promise.withResolvers<void>();
    const locked = Promise.withResolvers<void>();
    // Holds the first write up, as a slow disk would.
    const holding = fixture.db.transaction().execute(async (tx) => {
      await sql`select 1 from subscription where mailbox_id = ${mailbox} for update`.execute(tx);
      locked.resolve();
      await gate.promise;
    });
    await locked.promise;
    let answered = 0;
    const posts = Array.from({ length: 200 }, async () => {
      const { statusCode } = await fixture.api.inject({
        method: 'POST',
        url: '/notifications/graph',
        payload: { value: [item(id)] },
      });
      answered += 1;
      return statusCode;
    });
    await untilBlocked();
    expect(answered).toBe(0);
    expect(await rowOf(mailbox)).toEqual({ notified: false, need: null });
    gate.resolve();
    await holding;
    expect(new Set(await Promise.all(posts))).toEqual(new Set([202]));
    // One for the first, one for those that came while it was written; a third when some were late.
    expect(await writes()).toBeLessThanOrEqual(3);
    expect(await rowOf(mailbox)).toEqual({ notified: true, need: null });
  });

  it('that cannot be noted are refused, so that they are sent again', async () => {
    const { mailbox, id } = await subscribed('graph');
    await sql`create or replace function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'no' using errcode = '57P01'; end $$`.execute(fixture.db);
    await sql`create trigger refuse before update on subscription for each row execute function refuse()`.execute(
      fixture.db,
    );
    onTestFinished(
      async () => void (await sql`drop trigger if exists refuse on subscription`.execute(fixture.db)),
    );
    expect((await post('/notifications/graph', { value: [item(id)] })).statusCode).toBe(503);
    await sql`drop trigger refuse on subscription`.execute(fixture.db);
    expect((await post('/notifications/graph', { value: [item(id)] })).statusCode).toBe(202);
    expect(await rowOf(mailbox)).toEqual({ notified: true, need: null });
  });

  it('are limited in size, and must be JSON', async () => {
    const large = { value: [item('x', { clientState: 'x'.repeat(LIMITS.notificationBytes) })] };
    expect((await post('/notifications/graph', large)).statusCode).toBe(413);
    const headers = { 'content-type': 'application/xml' };
    expect((await post('/notifications/graph', '<a/>', headers)).statusCode).toBe(415);
    for (const body of [{}, [], { value: 'x' }]) {
      expect((await post('/notifications/graph', body)).statusCode).toBe(202);
    }
  });

  it('have a limit of requests of their own', async () => {
    const answer = await post('/notifications/graph', { value: [] });
    expect(answer.headers['x-ratelimit-limit']).toBe(String(LIMITS.notificationsPerMinute));
  });
});

describe('pushes of Gmail', () => {
  const seconds = (): number => Math.floor(Date.now() / 1000);
  const token = async (changes: object = {}): Promise<Record<string, string>> => ({
    authorization: `Bearer ${await oauth.sign({
      iss: 'https://accounts.google.com',
      aud: 'https://mail.example.com/notifications/gmail',
      email: ACCOUNT,
      email_verified: true,
      iat: seconds(),
      exp: seconds() + 3_600,
      ...changes,
    })}`,
  });
  const push = (emailAddress: string): object => ({
    message: {
      data: Buffer.from(JSON.stringify({ emailAddress, historyId: 7 })).toString('base64'),
      messageId: '1',
    },
    subscription: 'projects/p/subscriptions/s',
  });
  const path = '/notifications/gmail';

  it('that Google signed wake the mailbox, as often as they come', async () => {
    const { mailbox, id } = await subscribed('gmail', '');
    for (const address of [id, id.toUpperCase()]) {
      const answer = await post(path, push(address), await token());
      expect(answer.statusCode).toBe(204);
      expect(await rowOf(mailbox)).toEqual({ notified: true, need: null });
    }
  });

  it.each([
    ['another audience', { aud: 'https://elsewhere.example.com/' }],
    ['another issuer', { iss: 'https://accounts.evil.example' }],
    ['another service account', { email: 'push@evil.iam.gserviceaccount.com' }],
    ['an end that is past', { iat: 1_000_000, exp: 1_003_600 }],
  ])('with %s are refused, and write nothing', async (_name, changes) => {
    const { mailbox, id } = await subscribed('gmail', '');
    expect((await post(path, push(id), await token(changes))).statusCode).toBe(401);
    expect(await rowOf(mailbox)).toEqual({ notified: false, need: null });
  });

  it('without a token, or with one of our own API, are refused', async () => {
    const { id } = await subscribed('gmail', '');
    expect((await post(path, push(id))).statusCode).toBe(401);
    const own = { authorization: `Bearer ${fixture.token}` };
    expect((await post(path, push(id), own)).statusCode).toBe(401);
  });

  it('about an account that is none of ours are taken, so that they do not come again', async () => {
    expect((await post(path, push('somebody@example.net'), await token())).statusCode).toBe(204);
  });

  it('that are none are bad requests', async () => {
    expect((await post(path, { message: {} }, await token())).statusCode).toBe(400);
  });

  it('cannot name a subscription of Graph', async () => {
    const { mailbox } = await subscribed('graph');
    await sql`update subscription set provider_id = 'ann@example.org' where mailbox_id = ${mailbox}`.execute(
      fixture.db,
    );
    await post(path, push('ann@example.org'), await token());
    expect(await rowOf(mailbox)).toEqual({ notified: false, need: null });
  });
});
