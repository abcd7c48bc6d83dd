/**
 * Pollers that died or hung without an error, while everything said "active": for 35 hours in one report. Health is
 * computed from the last complete listing, and people are told once.
 */

import { tmpdir } from 'node:os';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import type { Ailing } from '../../src/observe/alert.ts';
import { type EventName, Events } from '../../src/observe/events.ts';
import { type Facts, readFacts } from '../../src/observe/facts.ts';
import { judgeHealth, type MailboxHealth } from '../../src/observe/health.ts';
import { tell } from '../../src/observe/health-watch.ts';
import { type Connection, openDatabase } from '../../src/store/database.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';
import { createMailbox, saveListed, savePhase } from '../../src/store/mailboxes.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

const POLL_SECONDS = 60;
const STALE_INTERVALS = 2;

let database: TestDatabase;
let connection: Connection;
let mailbox: number;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = openDatabase(database.url, { connections: 2, onError: () => {} });
  const settings = { ...defaultMailboxSettings('mail.example', 'support'), pollSeconds: POLL_SECONDS };
  const given = { name: 'Support', kind: 'imap' as const, enabled: true, settings, halo: {} };
  mailbox = (await connection.db.transaction().execute((tx) => createMailbox(tx, given))).id;
});

afterAll(async () => {
  await connection.close();
  await database.drop();
});

async function read(): Promise<Facts> {
  return await readFacts({
    db: connection.db,
    queueDepth: async () => 0,
    data: tmpdir(),
    staleIntervals: STALE_INTERVALS,
    deadlineMs: 20_000,
  });
}

/** Its last good listing is this old; the poller wrote nothing since. */
async function listedAgo(seconds: number): Promise<void> {
  await saveListed(connection.db, mailbox);
  await savePhase(connection.db, mailbox, 'waiting');
  await sql`update mailbox_state set last_listed_at = now() - make_interval(secs => ${seconds})
    where mailbox_id = ${mailbox}`.execute(connection.db);
}

async function health(): Promise<MailboxHealth> {
  const facts = await read();
  return judgeHealth(facts, facts.now).mailboxes[0]!;
}

describe('T4.2 a poller that stops without an error', () => {
  it('T4.2 is healthy within the allowed intervals', async () => {
    await listedAgo(POLL_SECONDS * STALE_INTERVALS - 30);
    expect(await health()).toMatchObject({ status: 'ok', healthy: true });
  });

  it('T4.2 becomes stale after them, although nobody saw an error', async () => {
    await listedAgo(POLL_SECONDS * STALE_INTERVALS + 30);
    const state = await connection.db.selectFrom('mailbox_state').selectAll().executeTakeFirstOrThrow();
    expect(state).toMatchObject({
      last_error: null,
      last_error_code: null,
      consecutive_errors: 0,
      phase: 'waiting',
    });
    expect(await health()).toMatchObject({ status: 'stale', healthy: false });
    expect((await health()).reason).toContain('No error was seen');
  });

  it('T4.2 is healthy again after the next complete listing', async () => {
    await listedAgo(9_999);
    expect((await health()).healthy).toBe(false);
    await saveListed(connection.db, mailbox);
    expect(await health()).toMatchObject({ status: 'ok', healthy: true });
  });
});

describe('T4.3 telling people', () => {
  /** Looks every 30 seconds; `isStale` says how the mailbox is at a second. */
  async function watch(seconds: number, isStale: (second: number) => boolean): Promise<string[]> {
    await listedAgo(0);
    const facts = await read();
    const told: string[] = [];
    const events = new Events();
    events.listen((name: EventName) => told.push(name));
    const start = facts.now.getTime();
    let ailing: ReadonlyMap<number, Ailing> = new Map();
    for (let second = 0; second <= seconds; second += 30) {
      const now = new Date(start + second * 1000);
      const lastListedAt = new Date(now.getTime() - (isStale(second) ? 3_600_000 : 0));
      const mailboxes = facts.mailboxes.map((each) => ({ ...each, lastListedAt }));
      ailing = tell(ailing, { ...facts, now, mailboxes }, events);
    }
    return told;
  }

  it('T4.3 a short drop is told to nobody', async () => {
    const most = LIMITS.alertAfterSeconds - 30;
    expect(await watch(600, (second) => second >= 60 && second <= 60 + most)).toEqual([]);
  });

  it('T4.3 a long one is told exactly once, and its end exactly once', async () => {
    expect(await watch(36_000, (second) => second >= 60 && second < 35_000)).toEqual([
      'mailbox.unhealthy',
      'mailbox.healthy',
    ]);
  });
});
