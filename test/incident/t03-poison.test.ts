/** One bad message costs one row: never its batch, its mailbox, or the process. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { requeue } from '../../src/api/requeue.ts';
import { LIMITS } from '../../src/limits.ts';
import { claimEmails } from '../../src/store/emails.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { tempFolder } from '../support/folder.ts';
import { simpleMessage } from '../support/messages.ts';
import { ODD_THREAD, oddMessage } from '../support/odd-thread.ts';
import { Pipe } from '../support/pipe.ts';
import { BACKENDS, type EmailRow, Site } from '../support/site.ts';

/** Each breaks something else; all of them are only mail. */
const HOSTILE: [name: string, bytes: Buffer][] = [
  ['one byte', Buffer.from('x')],
  ['only NUL', Buffer.alloc(2_000)],
  ['only line ends', Buffer.from('\r\n'.repeat(5_000))],
  ['no header', Buffer.from('\r\nbody only\r\n')],
  ['header without end', Buffer.from(`Subject: ${'x'.repeat(100_000)}`)],
  [
    'not UTF-8',
    Buffer.concat([Buffer.from('Subject: '), Buffer.from([0xff, 0xfe, 0xc3, 0x28]), Buffer.from('\r\n\r\n')]),
  ],
  ['prototype', Buffer.from('__proto__: x\r\nconstructor: y\r\nSubject: proto\r\n\r\nbody\r\n')],
  ['surrogates', Buffer.from('Subject: =?utf-16be?B?2AA=?= =?utf-8?B?AAAA?=\r\n\r\n\u0000body\r\n')],
  ['dates', Buffer.from('Date: Thu, 32 Foo 275760 99:99:99 +9999\r\nSubject: date\r\n\r\nbody\r\n')],
  [
    'far future',
    Buffer.from(
      'Date: Sat, 13 Sep 275760 00:00:00 +0000\r\nReceived: x; Fri, 31 Dec 294277 23:59:59 +0000\r\nSubject: far\r\n\r\n',
    ),
  ],
  ['year zero', Buffer.from('Date: Mon, 1 Jan 0000 00:00:00 +0000\r\nSubject: zero\r\n\r\n')],
  ['many recipients', Buffer.from(`To: ${'a@example.org, '.repeat(5_000)}\r\nSubject: many\r\n\r\n`)],
  ['comments', Buffer.from(`From: ${'('.repeat(20_000)}\r\nSubject: comments\r\n\r\n`)],
  ['unclosed multipart', Buffer.from('Content-Type: multipart/mixed; boundary="b\r\n\r\n--b\r\n--b\r\n--b')],
];
/** Over a limit, so they are set aside. */
const BOMBS: [name: string, bytes: Buffer][] = [
  ['too many header fields', Buffer.from(`${'X-A: b\r\n'.repeat(LIMITS.headerCount + 1)}\r\nbody`)],
  [
    'too many parts',
    Buffer.from(
      `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(LIMITS.mimeParts + 1)}--b--\r\n`,
    ),
  ],
];

describe.each(BACKENDS)('T3.1 hostile messages among good ones (queue on %s)', (backend) => {
  it('T3.1 every good one becomes a record, every bad one is one row', async () => {
    const site = await Site.start({ backend });
    await site.addMailbox('ann', { after: 'seen' });
    const bombs = new Set(BOMBS.map(([, bytes]) => bytes.toString('latin1')));
    for (const [name, bytes] of [...HOSTILE, ...BOMBS]) {
      site.deliver('ann', bytes);
      site.deliver('ann', simpleMessage(`good after ${name}`));
    }
    const pipe = await Pipe.start(site);
    await site.waitUntilProcessed();
    await expectExactlyOnce(site, (bytes) => {
      if (bombs.has(bytes.toString('latin1'))) return 'quarantined';
      // Mail from nobody waits for a person.
      return bytes.includes('From: Ann <ann@example.org>') ? 'processed' : 'parked';
    });
    expect(pipe.of('message.quarantined').map(({ code }) => code)).toEqual(['mime_limit', 'mime_limit']);
    expect(pipe.of('engine.error')).toEqual([]);
  });
});

it('T3.2 what hangs a thread or eats its memory is ended with it, and the mail around it goes on', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  const bad = [oddMessage('hangs', 'hang'), oddMessage('eats memory', 'allocate')];
  for (const message of [simpleMessage('first'), ...bad, simpleMessage('last')]) site.deliver('ann', message);
  const env = { PENSTOCK_PARSE_TIMEOUT_MS: '10000' };
  await Pipe.start(site, { env, work: { threadFile: ODD_THREAD } });
  await site.waitUntilProcessed();
  await expectExactlyOnce(site, (bytes) =>
    bad.some((one) => one.equals(bytes)) ? 'quarantined' : 'processed',
  );
  const codes = (await site.emails()).map(({ errorCode }) => errorCode);
  expect(codes).toEqual([null, 'parse_timeout', 'parse_memory', null]);
  site.deliver('ann', simpleMessage('the next one'));
  await site.waitUntilProcessed();
  await expectExactlyOnce(site, (bytes) =>
    bad.some((one) => one.equals(bytes)) ? 'quarantined' : 'processed',
  );
});

it('T3.2 a message that ran out of time alone is tried once more: the machine may have stood still', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  const file = join(await tempFolder('once'), 'once');
  site.deliver('ann', oddMessage('hangs once', `once ${file}`));
  await Pipe.start(site, { env: { PENSTOCK_PARSE_TIMEOUT_MS: '3000' }, work: { threadFile: ODD_THREAD } });
  await site.waitUntilProcessed();
  await expectExactlyOnce(site);
  expect(existsSync(file)).toBe(true);
});

it('T3.2 a message with which the process died at each attempt is set aside, without another one', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  for (const subject of ['good', 'deadly', 'innocent']) site.deliver('ann', simpleMessage(subject));
  const poller = await Pipe.start(site, { work: { process: false } });
  await poller.waitFor('mailbox.listed');
  await poller.stop();
  const [, deadly, innocent] = (await site.emails()) as [EmailRow, EmailRow, EmailRow];
  for (let attempt = 1; attempt <= LIMITS.processingAttempts; attempt += 1) {
    // A process that takes them and is never heard of again; the other one was in its hands once.
    const ids = attempt === 1 ? [deadly.id, innocent.id] : [deadly.id];
    expect(await claimEmails(site.runtime.db, ids, LIMITS.claimSeconds)).toHaveLength(ids.length);
    await site.passTime(LIMITS.claimSeconds + 1);
  }
  await Pipe.start(site);
  await site.waitUntilProcessed();
  const isDeadly = (bytes: Buffer): boolean => bytes.includes('Subject: deadly');
  await expectExactlyOnce(site, (bytes) => (isDeadly(bytes) ? 'quarantined' : 'processed'));
  const [set] = (await site.emails()).filter(({ state }) => state === 'quarantined');
  expect(set).toMatchObject({ id: deadly.id, errorCode: 'parse_failed' });
});

it('T3.2 those that were in hand when a process died are taken one at a time, so that the next death is of one', async () => {
  const site = await Site.start({ backend: 'postgres' });
  const { db } = site.runtime;
  for (const user of ['ann', 'bob', 'cem']) {
    await site.addMailbox(user, { after: 'seen' });
    for (const subject of ['one', 'two']) site.deliver(user, simpleMessage(`${user} ${subject}`));
  }
  const poller = await Pipe.start(site, { work: { process: false } });
  await poller.waitFor('mailbox.listed', 3);
  await poller.stop();
  const ids = (await site.emails()).map(({ id }) => id);
  expect(await claimEmails(db, ids, LIMITS.claimSeconds)).toHaveLength(6);
  await site.passTime(LIMITS.claimSeconds + 1);
  await sql`create table in_hand (ids bigint[])`.execute(db);
  await sql`
    create function note_in_hand() returns trigger language plpgsql as $$
    begin
      insert into in_hand select array_agg(id) from incoming_email where claimed_until > now();
      return null;
    end $$`.execute(db);
  await sql`
    create trigger note_in_hand after update of claimed_until on incoming_email
    for each statement execute function note_in_hand()`.execute(db);
  await Pipe.start(site);
  await site.waitUntilProcessed();
  await expectExactlyOnce(site);
  const { rows } = await sql<{
    ids: string[];
  }>`select distinct ids from in_hand where ids is not null`.execute(db);
  expect(rows.map((row) => row.ids.map(Number)).sort()).toEqual(ids.map((id) => [id]).sort());
});

it('T3.2 a message whose outcome cannot be written is tried alone, then set aside', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  await sql`
    create function refuse() returns trigger language plpgsql as $$
    begin
      if new.subject = 'poison' and new.state = 'processed' then raise exception 'value out of range' using errcode = '22003'; end if;
      return new;
    end $$`.execute(site.runtime.db);
  await sql`
    create trigger refuse before update on incoming_email for each row execute function refuse()`.execute(
    site.runtime.db,
  );
  for (const subject of ['one', 'poison', 'two']) site.deliver('ann', simpleMessage(subject));
  const pipe = await Pipe.start(site);
  await pipe.waitFor('message.processed', 2);
  // Its retries come after minutes.
  for (let attempt = 1; attempt < LIMITS.processingAttempts; attempt += 1) {
    await pipe.waitFor('message.retrying', attempt);
    await site.passTime(3_600);
  }
  await site.waitUntilProcessed();
  const isPoison = (bytes: Buffer): boolean => bytes.includes('Subject: poison');
  await expectExactlyOnce(site, (bytes) => (isPoison(bytes) ? 'quarantined' : 'processed'));
  const poison = (await site.emails()).find(({ state }) => state === 'quarantined')!;
  expect(poison).toMatchObject({ errorStage: 'commit', attempts: LIMITS.processingAttempts });
});

it('T3.2 a message whose bytes are lost says so, and does not hold up its batch', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  const large = simpleMessage('large', 'x'.repeat(LIMITS.inlineRawBytes));
  for (const message of [simpleMessage('one'), simpleMessage('lost'), large, simpleMessage('two')])
    site.deliver('ann', message);
  const poller = await Pipe.start(site, { work: { process: false } });
  await poller.waitFor('mailbox.listed');
  await poller.stop();
  const emails = await site.emails();
  await sql`delete from raw_message where sha256 = ${emails[1]!.sha256}`.execute(site.runtime.db);
  const file = `${site.env.PENSTOCK_DATA}/raw/${emails[2]!.sha256.toString('hex').slice(0, 2)}`;
  await rm(file, { recursive: true });
  await Pipe.start(site);
  await site.waitUntilProcessed();
  expect((await site.emails()).map(({ state, errorCode }) => [state, errorCode])).toEqual([
    ['processed', null],
    ['quarantined', 'raw_missing'],
    ['quarantined', 'raw_missing'],
    ['processed', null],
  ]);
});

describe.each(BACKENDS)('T3.4 release from quarantine (queue on %s)', (backend) => {
  it('T3.4 makes the record exactly once, however often it is asked for', async () => {
    const site = await Site.start({ backend });
    await site.addMailbox('ann', { after: 'seen' });
    const bad = oddMessage('bad', 'throw');
    site.deliver('ann', bad);
    site.deliver('ann', simpleMessage('good'));
    const broken = await Pipe.start(site, { work: { threadFile: ODD_THREAD } });
    await site.waitUntilProcessed();
    const [set] = (await site.emails()).filter(({ state }) => state === 'quarantined') as [EmailRow];
    expect(set.subject).toBe('');
    await broken.stop();

    // The parser is mended: this process has the usual one.
    const mended = await Pipe.start(site);
    const release = async (): Promise<void> => {
      const rows = await site.runtime.db.transaction().execute((tx) => requeue(tx, [set.id], 'a person'));
      await mended.work.enqueue('imap', set.mailbox, rows);
    };
    await Promise.all([release(), release(), release()]);
    await site.waitUntilProcessed();
    await release();
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
    expect(mended.of('message.processed').filter(({ id }) => id === set.id)).toHaveLength(1);
    const events = (await site.trace(set)).map(({ event }) => event);
    expect(events.filter((event) => event === 'outcome')).toHaveLength(1);
    expect(events).toContain('released');
  });
});
