/** Gmail limits: told by a reason in the body, with and without Retry-After, in the middle of anything. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { backOff, NO_FAILURES } from '../../src/intake/backoff.ts';
import type { GmailOptions } from '../../src/source/gmail/settings.ts';
import type { AccessTokens } from '../../src/source/oauth/access-tokens.ts';
import type { Session } from '../../src/source/source.ts';
import { bytesOf, collect } from '../contract/source-suite.ts';
import { startGmailIntake } from '../support/gmail-intake.ts';
import { deliver, startGmailLab } from '../support/gmail-lab.ts';
import { names } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

const ADDRESS = 'desk@example.com';

const limited = (status: number, reason: string, retryAfter?: number) =>
  ({
    do: 'answer',
    status,
    body: { error: { code: status, message: 'Slow down', errors: [{ reason, message: 'Slow down' }] } },
    ...(retryAfter === undefined ? {} : { headers: { 'retry-after': String(retryAfter) } }),
  }) as const;

async function start(count: number, options: Partial<GmailOptions> = {}, tokens?: AccessTokens) {
  const lab = await startGmailLab();
  const mailbox = lab.addUser(ADDRESS);
  const ids = Array.from({ length: count }, (_value, index) => deliver(mailbox, simpleMessage(`m${index}`)));
  const source = lab.source(ADDRESS, tokens === undefined ? {} : { tokens }, options);
  const session = await source.connect(new AbortController().signal);
  await session.open('INBOX');
  return { lab, mailbox, ids, source, session };
}

const fetched = async (session: Session, ids: string[]): Promise<number> =>
  (await collect(session.fetch(ids, 1_000_000))).map((one) => bytesOf(one)).length;

describe('T17.1 a limit', () => {
  it.each([
    ['429', limited(429, 'rateLimitExceeded')],
    ['403 for the user', limited(403, 'userRateLimitExceeded')],
    ['500', limited(500, 'backendError')],
    ['503', limited(503, 'backendError')],
    ['a broken connection', { do: 'drop' } as const],
  ])('that passes soon is waited out: %s', async (_case, action) => {
    const { lab, ids, session } = await start(5);
    lab.server.faults.add({ at: 'get', action, times: 3 });
    expect(await fetched(session, ids)).toBe(5);
    expect(lab.server.count('get')).toBe(8);
  });

  it('429 with Retry-After 30: nothing is asked before, and nothing is lost', async () => {
    const gmail = await startGmailIntake();
    gmail.deliver(names(1, 20));
    const { server } = gmail.lab;
    server.faults.add({ at: 'get', action: limited(429, 'rateLimitExceeded', 30), times: 1 });
    const error = await gmail.pass().then(
      () => null,
      (thrown) => thrown,
    );
    expect(error).toMatchObject({ code: 'server_busy', temporary: true, fields: { backoffMs: 30_000 } });
    // What the poller makes of it.
    expect(backOff(NO_FAILURES, error, 1_000, 0).waitMs).toBeGreaterThanOrEqual(30_000);
    expect(await gmail.intake.subjects()).toEqual([]);
    expect(await gmail.pass()).toBe(20);
  });

  it('holds for everything else that the source asks', async () => {
    const { lab, session, source } = await start(1);
    lab.server.faults.add({ at: 'list', action: limited(429, 'rateLimitExceeded', 30), times: 1 });
    await expect(session.changes(null)).rejects.toMatchObject({ code: 'server_busy' });
    const before = lab.server.seen.length;
    const stop = new AbortController();
    const other = source.connect(stop.signal);
    const result = expect(other).rejects.toMatchObject({ code: 'connection_lost' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    stop.abort();
    await result;
    expect(lab.server.seen.length).toBe(before);
  });

  it('of the day is not asked about for an hour', async () => {
    const { lab, session } = await start(1);
    lab.server.faults.add({ at: 'history', action: limited(403, 'dailyLimitExceeded') });
    const cursor = await session.currentCursor();
    await expect(session.changes(cursor)).rejects.toMatchObject({
      code: 'server_busy',
      fields: { backoffMs: 3_600_000 },
    });
    expect(lab.server.count('history')).toBe(1);
  });

  it('on the number of requests at once is kept', async () => {
    const { lab, ids, session } = await start(40, { concurrency: 3 });
    lab.server.quota.concurrent = 3;
    lab.server.quota.mostAtOnce = 0;
    expect(await fetched(session, ids)).toBe(40);
    expect(lab.server.quota.mostAtOnce).toBeLessThanOrEqual(3);
  });

  it('units are counted as Google counts them', async () => {
    const { lab, ids, session } = await start(80, { unitsPerMinute: 6_000 });
    lab.server.quota.spent.clear();
    const begun = performance.now();
    expect(await fetched(session, ids)).toBe(80);
    expect(lab.server.quota.spent.get(ADDRESS)).toBe(1_600);
    // 1,500 are there at the start; the others come at a hundred a second.
    expect(performance.now() - begun).toBeGreaterThanOrEqual(1_000);
  });
});

describe('T4.1 a server that stops answering', () => {
  it.each(['profile', 'list', 'get', 'modify'] as const)('in %s', async (at) => {
    const { lab, ids, session } = await start(2, { requestMs: 400, retries: 1 });
    lab.server.faults.add({ at, action: { do: 'hang' } });
    const call = {
      profile: () => session.currentCursor(),
      list: () => session.changes(null),
      get: () => session.existing(ids),
      modify: () => session.dispose(ids, 'seen', null),
    }[at];
    await expect(call()).rejects.toMatchObject({ code: 'stalled' });
    lab.server.faults.clear();
    await expect(call()).resolves.toBeDefined();
  });

  it('a message that is cut in the middle costs an error, not a short message', async () => {
    const { lab, ids, session } = await start(1);
    const large = deliver(lab.addUser(ADDRESS), simpleMessage('large', 'x'.repeat(100_000)));
    lab.server.faults.add({ at: 'get', about: large, action: { do: 'cut', after: 50_000 } });
    await expect(fetched(session, [large])).rejects.toMatchObject({ code: 'connection_lost' });
    await expect(session.stream(large, 1_000_000).then((stream) => stream.toArray())).rejects.toMatchObject({
      code: 'connection_lost',
    });
    lab.server.faults.clear();
    expect(await fetched(session, [large])).toBe(1);
    expect(ids).toHaveLength(1);
  });

  it('a session that was closed ends what is under way', async () => {
    const { lab, ids, session } = await start(3);
    lab.server.faults.add({ at: 'get', action: { do: 'hang' } });
    const running = expect(session.existing(ids)).rejects.toMatchObject({
      code: 'connection_lost',
      message: 'The session was closed',
    });
    await expect.poll(() => lab.server.count('get')).toBeGreaterThan(0);
    await session.close();
    await running;
  });
});

describe('T5.1 a token that ends', () => {
  it('in the middle of fetching is replaced, and nothing is lost', async () => {
    let token = `token-${ADDRESS}`;
    let rejected = 0;
    const tokens: AccessTokens = {
      get: async () => token,
      rejected: async () => {
        rejected += 1;
        token = `token-${ADDRESS}`;
      },
    };
    const { ids, session } = await start(20, {}, tokens);
    token = 'old';
    expect(await fetched(session, ids)).toBe(20);
    expect(rejected).toBeGreaterThan(0);
  });

  it('and has no better one fails by name, without more requests', async () => {
    let token = `token-${ADDRESS}`;
    const tokens: AccessTokens = { get: async () => token, rejected: async () => undefined };
    const { lab, ids, session } = await start(3, { concurrency: 1 }, tokens);
    token = 'old';
    const before = lab.server.seen.length;
    await expect(fetched(session, ids)).rejects.toMatchObject({ code: 'auth_failed' });
    expect(lab.server.seen.length - before).toBe(1);
  });

  it('a person must act: the error says so, and no message is blamed for it', async () => {
    const gmail = await startGmailIntake();
    gmail.deliver(names(1, 3));
    let calls = 0;
    const tokens: AccessTokens = {
      get: async () => {
        calls += 1;
        // The listing works, the first message does not.
        if (calls > 8) throw fail('sign_in_needed', 'The refresh token was revoked');
        return `token-${ADDRESS}`;
      },
      rejected: async () => undefined,
    };
    await expect(gmail.pass({ settings: { tokens } })).rejects.toMatchObject({ code: 'sign_in_needed' });
    expect(gmail.intake.toldOf('message.fetch_failed')).toEqual([]);
    expect(await gmail.pass()).toBe(3);
  });
});
