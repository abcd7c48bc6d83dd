/** What was given up can be asked for again by a person, and is accounted for all the time. */
import { describe, expect, it } from 'vitest';
import { auditMailbox } from '../../src/intake/audit.ts';
import { Poller } from '../../src/intake/poller.ts';
import { LIMITS } from '../../src/limits.ts';
import { openDatabase } from '../../src/store/database.ts';
import { NoticeListener } from '../../src/store/notify.ts';
import { type RefetchChoice, refetch } from '../../src/store/refetch.ts';
import { readTrace } from '../../src/store/traces.ts';
import { type Intake, names, startIntake, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { runPenstock } from '../support/process.ts';

const FAILED: RefetchChoice = { state: 'fetch_failed', folder: null, key: null };

const ask = async (intake: Intake, choice: Partial<RefetchChoice> = {}) =>
  await intake.db
    .transaction()
    .execute((tx) => refetch(tx, intake.held.mailbox, { ...FAILED, ...choice }, 'cli'));

/** Lets the time between attempts pass. */
async function giveUp(intake: Intake): Promise<void> {
  for (let attempt = 0; attempt < LIMITS.fetchAttempts; attempt += 1) {
    await intake.pass();
    await intake.db
      .updateTable('ledger')
      .set({ next_fetch_at: new Date(0) })
      .execute();
  }
}

const unaccounted = async (intake: Intake) => {
  const signal = new AbortController().signal;
  return (await auditMailbox(intake.db, intake.source(), intake.held.mailbox, 0, signal)).unaccounted;
};

const failedKeys = async (intake: Intake) =>
  (await intake.ledger()).filter((row) => row.state === 'fetch_failed').map((row) => row.key);

describe('T3.3 a message that the server refused five times', () => {
  it('T3.3 is taken when a person asks for it after the repair, once, with trace and audit', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 5));
    intake.server.faults.add({ at: 'fetch', uids: [2, 4], action: { do: 'no', text: 'Message corrupt' } });
    await giveUp(intake);
    expect(await failedKeys(intake)).toEqual(['2', '4']);
    intake.server.faults.clear();
    // Nobody asks: it is not tried again by itself.
    expect(await intake.pass()).toBe(0);

    expect(await ask(intake, { key: '4' })).toMatchObject([{ folder: 'INBOX', key: '4' }]);
    expect(await unaccounted(intake)).toEqual([]);
    expect(await intake.pass()).toBe(1);
    expect(await failedKeys(intake)).toEqual(['2']);
    expect(await intake.subjects()).toEqual(['m1', 'm3', 'm4', 'm5']);

    expect(await ask(intake)).toMatchObject([{ key: '2' }]);
    expect(await ask(intake)).toEqual([]);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(names(1, 5));
    expect(await unaccounted(intake)).toEqual([]);

    const row = (await intake.ledger()).find(({ key }) => key === '4')!;
    const told = (await readTrace(intake.db, row.id)).map(({ event }) => event);
    expect(told.slice(-3)).toEqual(['refetch', 'seen', 'stored']);
    const audit = await intake.db.selectFrom('audit_log').select(['action', 'change']).execute();
    expect(audit).toMatchObject([
      { action: 'refetch', change: { key: '4', messages: 1 } },
      { action: 'refetch', change: { key: null, messages: 1 } },
    ]);
  });

  it('T3.3 gets five new attempts when the server still refuses it', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 2));
    intake.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'no', text: 'Message corrupt' } });
    await giveUp(intake);
    await ask(intake);
    await giveUp(intake);
    expect(await failedKeys(intake)).toEqual(['2']);
    expect(intake.toldOf('message.fetch_failed').filter(({ final }) => final)).toHaveLength(2);
    expect(await unaccounted(intake)).toEqual([]);
  });

  it('T3.3 wakes the poller of the mailbox', async () => {
    const intake = await startIntake({ pollSeconds: 3600 });
    intake.deliver(names(1, 2));
    intake.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'no', text: 'Message corrupt' } });
    await giveUp(intake);
    intake.server.faults.clear();
    const poller = new Poller(intake.context, intake.held, intake.source(), false);
    const connection = openDatabase(intake.databaseUrl, { connections: 1, onError: () => undefined });
    const listening = Promise.withResolvers<void>();
    const listener = new NoticeListener(
      connection,
      (notice) => {
        if (notice === `poll:${intake.held.mailbox.id}`) poller.wake();
      },
      () => listening.resolve(),
    );
    await listener.start();
    await listening.promise;
    poller.start();
    await expect.poll(() => intake.toldOf('mailbox.listed').length, { timeout: 20_000 }).toBe(1);
    await ask(intake);
    await expect.poll(() => intake.subjects(), { timeout: 20_000 }).toEqual(['m1', 'm2']);
    await poller.stop();
    await listener.close();
    await connection.close();
  });

  it('T3.3 penstock mailbox refetch shows what it asks for, or only shows it', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 2));
    intake.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'no', text: 'Message corrupt' } });
    await giveUp(intake);
    const env = { DATABASE_URL: intake.databaseUrl, PENSTOCK_DATA: intake.dataDirectory };
    const run = (...more: string[]) => runPenstock(['mailbox', 'refetch', '1', ...more], { env });
    const dry = await run('--dry-run', '--json');
    expect(JSON.parse(dry.stdout), dry.output).toMatchObject([{ folder: 'INBOX', key: '2' }]);
    expect(await failedKeys(intake)).toEqual(['2']);
    const asked = await run();
    expect(asked.stdout, asked.output).toMatch(/INBOX +2 .*Message corrupt[\s\S]*1 asked for again/);
    expect(await failedKeys(intake)).toEqual([]);
  }, 90_000);

  it('T3.3 is not asked for under a key of another epoch, or in a folder that is not read', async () => {
    const intake = await startIntake({ folders: ['INBOX', 'Sent'], dedup: 'none' });
    intake.deliver(names(1, 2));
    intake.deliver(names(3, 4), 'Sent');
    intake.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'no', text: 'Message corrupt' } });
    await giveUp(intake);
    expect(await failedKeys(intake)).toEqual(['2', '2']);
    await intake.change({ folders: ['inbox'] });
    expect(await ask(intake, { folder: 'Sent' })).toEqual([]);
    expect(await ask(intake, { key: '1' })).toEqual([]);
    await intake.db.updateTable('folder').set({ epoch: 'other' }).execute();
    expect(await ask(intake)).toEqual([]);
  });
});

describe('a message above the size limit', () => {
  it('is taken when it is asked for after the limit was raised, and not before', async () => {
    const intake = await startIntake({ maxMessageBytes: 2_000 });
    intake.server.deliver(USER, 'INBOX', simpleMessage('large', 'x'.repeat(5_000)));
    await intake.pass();
    expect(await ask(intake)).toEqual([]);
    expect(await ask(intake, { state: 'oversized' })).toMatchObject([{ key: '1' }]);
    await intake.pass();
    expect((await intake.ledger()).map(({ state }) => state)).toEqual(['oversized']);
    await intake.change({ maxMessageBytes: 1_000_000 });
    await ask(intake, { state: 'oversized' });
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(['large']);
  });
});
