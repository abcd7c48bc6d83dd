import { tmpdir } from 'node:os';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { createFactReader, type FactSources, readFacts } from '../../src/observe/facts.ts';
import { type Connection, openDatabase } from '../../src/store/database.ts';
import { ensureFolder } from '../../src/store/folders.ts';
import { commitIntake, type IntakeItem } from '../../src/store/intake.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';
import {
  createMailbox,
  saveListed,
  saveMailboxError,
  savePhase,
  saveProgress,
} from '../../src/store/mailboxes.ts';
import { freePort } from '../support/port.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let connection: Connection;

beforeAll(async () => {
  database = await createTestDatabase();
  connection = openDatabase(database.url, { connections: 4, onError: () => {} });
});

afterAll(async () => {
  await connection.close();
  await database.drop();
});

const sources = (change: Partial<FactSources> = {}): FactSources => ({
  db: connection.db,
  queueDepth: async () => 5,
  data: tmpdir(),
  staleIntervals: 3,
  // A slow machine is not what is tested here.
  deadlineMs: 20_000,
  ...change,
});

async function addMailbox(name: string): Promise<number> {
  const settings = { ...defaultMailboxSettings('mail.example', 'support@example.org'), pollSeconds: 20 };
  const mailbox = { name, kind: 'imap' as const, enabled: true, settings, halo: {} };
  return (await connection.db.transaction().execute((tx) => createMailbox(tx, mailbox))).id;
}

describe('facts of a database that answers', () => {
  it('has the progress of each mailbox, by the clock of the database', async () => {
    const id = await addMailbox('Progress');
    await savePhase(connection.db, id, 'listing');
    await saveProgress(connection.db, id, 0, 900);
    const before = await readFacts(sources());
    expect(before.mailboxes.find((mailbox) => mailbox.id === id)).toMatchObject({
      name: 'Progress',
      kind: 'imap',
      enabled: true,
      pollSeconds: 20,
      phase: 'listing',
      lastListedAt: null,
      syncDone: 0,
      syncTotal: 900,
      // A sync that only began has shown nothing yet.
      syncProgressAt: null,
    });
    await saveProgress(connection.db, id, 200, 900);
    await saveMailboxError(connection.db, id, 'connection_lost', 'text from a server');
    const during = await readFacts(sources());
    const watched = during.mailboxes.find((mailbox) => mailbox.id === id);
    expect(watched).toMatchObject({ syncDone: 200, lastErrorCode: 'connection_lost', consecutiveErrors: 1 });
    expect(watched?.syncProgressAt?.getTime()).toBeLessThanOrEqual(during.now.getTime());
    await saveListed(connection.db, id);
    const after = await readFacts(sources());
    const listed = after.mailboxes.find((mailbox) => mailbox.id === id);
    expect(listed).toMatchObject({ lastErrorCode: null, consecutiveErrors: 0 });
    expect(listed?.lastListedAt).toBeInstanceOf(Date);
    expect(after).toMatchObject({ database: { ok: true }, queue: { ok: true }, queueJobs: 5 });
    expect(after.diskFreeBytes).toBeGreaterThan(0);
  });

  it('counts what waits and what is held up, by mailbox and reason', async () => {
    const id = await addMailbox('Held up');
    const folder = await ensureFolder(connection.db, id, 'INBOX');
    const raw = (name: string) => {
      const bytes = Buffer.from(`Subject: ${name}\r\n\r\n`);
      return {
        sha256: Buffer.alloc(32, name),
        headerSha256: Buffer.alloc(32, name),
        size: bytes.length,
        inline: bytes,
        pack: null,
      };
    };
    const item = (key: string, result: IntakeItem['result']): IntakeItem => ({
      key,
      size: 20,
      internalDate: null,
      result,
    });
    await commitIntake(connection.db, {
      mailboxId: id,
      leaseToken: null,
      folder,
      epoch: '1',
      source: 'imap',
      dropCopies: false,
      dispose: true,
      cursor: null,
      items: [
        item('1', { state: 'stored', raw: raw('a') }),
        item('2', { state: 'stored', raw: raw('b') }),
        item('3', { state: 'stored', raw: raw('c') }),
        item('4', { state: 'pending', reason: 'fetch failed', attempts: 1, retryInSeconds: 60 }),
        item('5', { state: 'fetch_failed', reason: 'gave up' }),
        item('6', { state: 'skipped', reason: 'too old' }),
      ],
    });
    await sql`update incoming_email set state = 'quarantined' where mailbox_id = ${id} and mail_id = '1'`.execute(
      connection.db,
    );
    await sql`update incoming_email set created_at = now() - interval '90 seconds'
      where mailbox_id = ${id} and mail_id = '2'`.execute(connection.db);
    await sql`update ledger set disposition = 'failed' where mailbox_id = ${id} and key = '3'`.execute(
      connection.db,
    );
    const facts = await readFacts(sources());
    const held = facts.heldUp.filter((row) => row.mailboxId === id);
    expect(Object.fromEntries(held.map((row) => [row.why, row.messages]))).toEqual({
      quarantined: 1,
      fetch_pending: 1,
      fetch_failed: 1,
      disposition_pending: 2,
      disposition_failed: 1,
    });
    expect(facts.backlog?.waiting).toBe(2);
    expect(facts.backlog?.oldestSeconds).toBeGreaterThanOrEqual(90);
  });
});

describe('facts when something does not answer', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('says so and goes on with the rest, without text that could hold an address', async () => {
    const port = await freePort();
    const lost = openDatabase(`postgres://nobody@127.0.0.1:${port}/none`, {
      connections: 1,
      onError: () => {},
    });
    const facts = await readFacts(
      sources({
        db: lost.db,
        queueDepth: () => {
          throw new Error('redis://user:password@host refused');
        },
        data: '/nowhere/at/all',
      }),
    );
    expect(facts).toMatchObject({
      database: { ok: false, error: 'ECONNREFUSED' },
      queue: { ok: false, error: 'Error' },
      queueJobs: null,
      diskFreeBytes: null,
      backlog: null,
      mailboxes: [],
      heldUp: [],
      credentialEnds: [],
      failingCredentials: [],
    });
    await lost.close();
  });

  it('does not wait for a queue that hangs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const asked = readFacts(
      sources({ queueDepth: () => new Promise(() => {}), deadlineMs: LIMITS.healthDeadlineMs }),
    );
    // The database has its real time to answer; only the deadline is moved.
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(LIMITS.healthDeadlineMs);
    expect((await asked).queue).toEqual({ ok: false, error: 'no answer within 3 s' });
  });

  it('asks once for all who ask at the same time or shortly after', async () => {
    let time = 0;
    let asked = 0;
    const read = createFactReader(
      sources({
        queueDepth: async () => {
          asked += 1;
          return asked;
        },
      }),
      () => time,
    );
    const [first, second] = await Promise.all([read(), read()]);
    expect(second).toBe(first);
    time = LIMITS.healthReuseMs - 1;
    expect(await read()).toBe(first);
    time = LIMITS.healthReuseMs;
    expect((await read()).queueJobs).toBe(2);
    expect(asked).toBe(2);
  });
});
