/** Two processes that both believe that a message, or a mailbox, is theirs. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { openDatabase } from '../../src/store/database.ts';
import { saveCursor } from '../../src/store/folders.ts';
import { commitIntake, type IntakeBatch } from '../../src/store/intake.ts';
import { acquireLease, releaseLease, renewLeases, requireLease } from '../../src/store/leases.ts';
import { saveDispositions } from '../../src/store/ledger.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { tempFolder } from '../support/folder.ts';
import { simpleMessage } from '../support/messages.ts';
import { ODD_THREAD, oddMessage } from '../support/odd-thread.ts';
import { Pipe, startDaemon } from '../support/pipe.ts';
import { BACKENDS, Site, until } from '../support/site.ts';

function deliver(site: Site, name: string, count: number): void {
  for (let index = 1; index <= count; index += 1) site.deliver('ann', simpleMessage(`${name}-${index}`));
}

describe.each(BACKENDS)('T9.1 a worker that was away for longer than its claim (queue on %s)', (backend) => {
  it('T9.1 comes back to find its messages done, and its outcome is not written', async () => {
    const site = await Site.start({ backend });
    await site.addMailbox('ann', { after: 'seen' });
    const go = join(await tempFolder('go'), 'go');
    deliver(site, 'before', 2);
    site.deliver('ann', oddMessage('slow', `wait ${go}`));
    deliver(site, 'after', 2);
    const slow = await Pipe.start(site, {
      env: { PENSTOCK_PARSE_TIMEOUT_MS: '600000' },
      work: { threadFile: ODD_THREAD, sweep: { everyMs: 3_600_000, lostAfterSeconds: 3_600 } },
    });
    await until(async () => (await site.emails()).filter(({ attempts }) => attempts === 1).length === 5);
    // It takes no other job, and has this one in hand.
    const handed = slow.work.queue.stopWork();

    await site.passTime(LIMITS.claimSeconds + 1);
    const other = await Pipe.start(site, { poll: false });
    await site.waitUntilProcessed();
    expect(other.of('message.processed')).toHaveLength(5);
    await writeFile(go, '');
    await handed;
    expect(slow.of('message.processed')).toEqual([]);

    await expectExactlyOnce(site);
    const emails = await site.emails();
    for (const email of emails) {
      const outcomes = (await site.trace(email)).filter(({ event }) => event === 'outcome');
      expect(outcomes, email.subject).toHaveLength(1);
    }
  });

  it('T9.1 a process stopped in mid-load loses mailbox and messages to another, and goes on in peace', async () => {
    const site = await Site.start({ backend });
    await site.addMailbox('ann', { after: 'move', afterFolder: 'Done' });
    deliver(site, 'load', 120);
    // It may stop in the middle of a transaction.
    const patience = '&idle_in_transaction_session_timeout=1000';
    const stopped = startDaemon(site, { DATABASE_URL: `${site.env.DATABASE_URL}${patience}` });
    await until(
      async () => (await site.emails()).length > 0,
      () => stopped.output,
    );
    stopped.signal('SIGSTOP');
    await site.passTime(LIMITS.claimSeconds + 1);
    const other = await Pipe.start(site);
    await other.waitFor('lease.acquired');
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);

    stopped.signal('SIGCONT');
    await stopped.waitForLine(/"event":"lease\.lost"/);
    await other.supervisor.stop();
    deliver(site, 'later', 5);
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
  });
});

it('T9.1 a stop gives back what is not finished, with its attempt', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  const go = join(await tempFolder('go'), 'go');
  site.deliver('ann', oddMessage('slow', `wait ${go}`));
  deliver(site, 'behind', 2);
  const env = { PENSTOCK_PARSE_TIMEOUT_MS: '600000' };
  const first = await Pipe.start(site, { env, work: { threadFile: ODD_THREAD } });
  await until(async () => (await site.emails()).filter(({ attempts }) => attempts === 1).length === 3);
  await first.stop();
  expect((await site.emails()).map(({ attempts }) => attempts)).toEqual([0, 0, 0]);
  expect(first.of('engine.error')).toEqual([]);
  // Nothing has to expire first.
  await Pipe.start(site);
  await site.waitUntilProcessed();
  await expectExactlyOnce(site);
});

it('T9.1 a claim that was taken over counts at once, not only when the other one has finished', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  const go = join(await tempFolder('go'), 'go');
  site.deliver('ann', oddMessage('slow', `wait ${go}`));
  const sweep = { everyMs: 3_600_000, lostAfterSeconds: 1 };
  const env = { PENSTOCK_PARSE_TIMEOUT_MS: '600000' };
  const first = await Pipe.start(site, { env, work: { threadFile: ODD_THREAD, sweep } });
  const attempts = async (): Promise<number> => (await site.emails())[0]?.attempts ?? 0;
  await until(async () => (await attempts()) === 1);
  const handed = first.work.queue.stopWork();
  await site.passTime(LIMITS.claimSeconds + 1);
  const second = await Pipe.start(site, {
    env,
    poll: false,
    work: { threadFile: `${ODD_THREAD}?second`, sweep },
  });
  await until(async () => (await attempts()) === 2);
  await writeFile(go, '');
  await handed;
  expect(first.of('message.processed')).toEqual([]);
  expect(await site.states()).toEqual({ queued: 1 });
  await writeFile(`${go}?second`, '');
  await site.waitUntilProcessed();
  expect(second.of('message.processed')).toHaveLength(1);
  await expectExactlyOnce(site);
});

it('T9.1 a process that stands still in the middle of a transaction keeps its locks for a while only', async () => {
  const site = await Site.start({ backend: 'postgres' });
  const { id } = await site.addMailbox('ann');
  const { rows } = await sql<{ time: string }>`
    select current_setting('idle_in_transaction_session_timeout') as time`.execute(site.runtime.db);
  expect(rows).toEqual([{ time: '30s' }]);

  const url = `${site.env.DATABASE_URL}&idle_in_transaction_session_timeout=500`;
  const { db, close } = openDatabase(url, { connections: 1, onError: () => {} });
  const token = (await acquireLease(db, id, 'stands still', 0.1))!;
  const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>();
  const transaction = db.transaction().execute(async (tx) => {
    await requireLease(tx, id, token);
    await goesOn;
    await saveCursor(tx, 1, 'too late');
  });
  const failed = expect(transaction).rejects.toThrow();
  await until(async () => (await acquireLease(site.runtime.db, id, 'another', 60)) === token + 1);
  goOn();
  await failed;
  await close();
});

describe('T9.2 one owner a mailbox', () => {
  it('T9.2 of two who reach for it together, a hundred times, exactly one gets it', async () => {
    const site = await Site.start({ backend: 'postgres' });
    const { id } = await site.addMailbox('ann');
    const { db } = site.runtime;
    let last = 0;
    for (let round = 1; round <= 100; round += 1) {
      const tokens = await Promise.all([acquireLease(db, id, 'a', 60), acquireLease(db, id, 'b', 60)]);
      const got = tokens.filter((token) => token !== null);
      expect(got).toHaveLength(1);
      expect(got[0]).toBeGreaterThan(last);
      last = got[0]!;
      if (round % 2 === 0) await releaseLease(db, id, last);
      else await site.passTime(61);
    }
  });

  it('T9.2 of two supervisors that start together one lists, and the other takes over when it goes', async () => {
    const site = await Site.start({ backend: 'postgres' });
    await site.addMailbox('ann', { after: 'seen' });
    deliver(site, 'first', 10);
    const pipes = await Promise.all([Pipe.start(site), Pipe.start(site)]);
    await site.waitUntilProcessed();
    const [holder, other] = pipes[0].of('lease.acquired').length > 0 ? pipes : [pipes[1], pipes[0]];
    expect(holder.of('lease.acquired')).toEqual([{ mailbox: 1, fence: 1 }]);
    expect(other.of('lease.acquired')).toEqual([]);
    expect(other.of('batch.stored')).toEqual([]);
    await holder.stop();
    deliver(site, 'second', 10);
    await site.waitUntilProcessed();
    expect(other.of('lease.acquired')).toEqual([{ mailbox: 1, fence: 2 }]);
    await expectExactlyOnce(site);
  });

  it('T9.2 what an owner of before writes is refused, all of it', async () => {
    const site = await Site.start({ backend: 'postgres' });
    const { id: mailbox } = await site.addMailbox('ann', { after: 'seen' });
    const { db, raw } = site.runtime;
    const old = (await acquireLease(db, mailbox, 'a', 60))!;
    const folder = await db
      .insertInto('folder')
      .values({ mailbox_id: mailbox, path: 'INBOX', epoch: '1', cursor: 'here' })
      .returning(['id', 'path'])
      .executeTakeFirstOrThrow();
    const batchOf = async (leaseToken: number, key: string): Promise<IntakeBatch> => ({
      mailboxId: mailbox,
      leaseToken,
      folder,
      epoch: '1',
      source: 'imap',
      dropCopies: true,
      dispose: true,
      cursor: 'further',
      items: [
        {
          key,
          size: 10,
          internalDate: null,
          result: { state: 'stored', raw: await raw.put(simpleMessage(`key-${key}`)) },
        },
      ],
    });
    const stored = async (): Promise<unknown> => ({
      raw: (await db.selectFrom('raw_message').select('sha256').execute()).length,
      ledger: await db.selectFrom('ledger').select(['key', 'disposition']).orderBy('id').execute(),
      emails: (await site.emails()).map(({ key }) => key),
      traces: (await db.selectFrom('trace').select('id').execute()).length,
      cursor: (await db.selectFrom('folder').select('cursor').execute())[0]!.cursor,
    });
    await commitIntake(db, { ...(await batchOf(old, '1')), cursor: null });
    const before = await stored();

    // Expired, and nobody else has it yet: already then.
    await site.passTime(61);
    await expect(commitIntake(db, await batchOf(old, '2'))).rejects.toMatchObject({ code: 'lease_lost' });
    expect(await renewLeases(db, 'a', new Map([[mailbox, old]]), 60)).toEqual(new Set());
    const token = (await acquireLease(db, mailbox, 'b', 60))!;
    await expect(commitIntake(db, await batchOf(old, '3'))).rejects.toMatchObject({ code: 'lease_lost' });
    const done = [{ id: 1, result: 'done' as const, error: null, attempts: 1, retryInSeconds: 0 }];
    await expect(saveDispositions(db, mailbox, old, 'seen', false, done)).rejects.toMatchObject({
      code: 'lease_lost',
    });
    expect(await stored()).toEqual(before);

    // A lease that is given back late is not the new owner's.
    await releaseLease(db, mailbox, old);
    await commitIntake(db, await batchOf(token, '4'));
    expect((await site.emails()).map(({ key }) => key)).toEqual(['1', '4']);
  });
});

it('T9.3 an event loop that stands still for longer than the lease: no record twice, no mail left', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'move', afterFolder: 'Done' });
  const pipe = await Pipe.start(site);
  await pipe.waitFor('mailbox.listed');
  let blocked = false;
  pipe.events.listen((name) => {
    if (name !== 'batch.stored' || blocked) return;
    blocked = true;
    // Longer than PENSTOCK_LEASE_SECONDS of the site.
    for (const end = performance.now() + 2_500; performance.now() < end; );
  });
  const other = await Pipe.start(site);
  deliver(site, 'load', 250);
  await site.waitUntilProcessed();
  expect(blocked).toBe(true);
  await until(() => pipe.of('lease.lost').length > 0);
  deliver(site, 'later', 5);
  await site.waitUntilProcessed();
  await expectExactlyOnce(site);
  expect([...pipe.of('lease.acquired'), ...other.of('lease.acquired')].length).toBeGreaterThan(1);
});
