/** What the first sync takes, skips and accounts for; also when it is broken off, and while mail goes on coming. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { Poller } from '../../src/intake/poller.ts';
import { judgeMailbox } from '../../src/observe/health.ts';
import { watchMailboxes } from '../../src/store/watch.ts';
import { countBy, type Intake, names, startIntake, stepping, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

const DAY = 86_400_000;

describe('first sync: now', () => {
  it('accounts for what was there as skipped, without a byte of it, and takes what comes', async () => {
    const intake = await startIntake({ firstSync: 'now' });
    intake.deliver(names(1, 900));
    expect(await intake.pass()).toBe(0);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ skipped: 900 });
    expect(intake.server.commands.filter(({ detail }) => detail.includes('BODY'))).toEqual([]);
    intake.deliver(['new']);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(['new']);
  });

  for (const [call, times] of [
    ['changes', 1],
    ['changes', 2],
    ['page', 1],
    ['page', 2],
    ['page', 3],
    ['keys', 1],
  ] as const) {
    it(`takes mail that comes before ${call} ${times}`, async () => {
      const intake = await startIntake({ firstSync: 'now' });
      intake.deliver(names(1, 900));
      let passed = 0;
      await intake.pass({
        wrap: (session) =>
          stepping(session, (_step, at) => {
            if (at === call) passed += 1;
            if (at === call && passed === times) intake.deliver(['meanwhile']);
          }),
      });
      await intake.pass();
      expect(passed).toBeGreaterThanOrEqual(times);
      expect(await intake.subjects()).toEqual(['meanwhile']);
      expect(await intake.ledger()).toHaveLength(901);
    });
  }

  it('goes on where it was broken off, and still takes all that came since it began', async () => {
    const intake = await startIntake({ firstSync: 'now' });
    intake.deliver(names(1, 700));
    for (const allowed of [1, 2, 3, 5]) {
      const broken = intake.pass({
        wrap: (session) =>
          stepping(session, (step) => {
            if (step > allowed) throw fail('connection_lost', 'broken off');
          }),
      });
      await expect(broken).rejects.toMatchObject({ code: 'connection_lost' });
      // After the first step the beginning is pinned: from here on everything is new.
      if (allowed > 1) intake.deliver([`after${allowed}`]);
    }
    await intake.pass();
    expect(await intake.subjects()).toEqual(['after2', 'after3', 'after5']);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ skipped: 700, stored: 3 });
  });

  it('in an empty folder', async () => {
    const intake = await startIntake({ firstSync: 'now' });
    await intake.pass();
    intake.deliver(['first']);
    expect(await intake.pass()).toBe(1);
  });
});

describe('first sync: since', () => {
  it('goes by the time of arrival at the server, whatever the sender says', async () => {
    const since = '2026-01-10T00:00:00Z';
    const intake = await startIntake({ firstSync: 'since', firstSyncSince: since });
    const at = Date.parse(since);
    const liar = Buffer.from('Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nSubject: liar\r\n\r\nx\r\n');
    const { server } = intake;
    server.deliver(USER, 'INBOX', simpleMessage('before'), { internalDate: new Date(at - 1000) });
    server.deliver(USER, 'INBOX', simpleMessage('exactly'), { internalDate: new Date(at) });
    server.deliver(USER, 'INBOX', liar, { internalDate: new Date(at + DAY) });
    expect(await intake.pass()).toBe(2);
    expect(await intake.subjects()).toEqual(['exactly', 'liar']);
    const [skipped] = (await intake.ledger()).filter((row) => row.state === 'skipped');
    expect(skipped?.reason).toContain(since);
  });

  it('the later of the two limits counts, and the cut-off also for mail that is moved in later', async () => {
    const intake = await startIntake({
      firstSync: 'since',
      firstSyncSince: '2026-01-10',
      dateCutoff: '2026-01-20T12:00:00Z',
    });
    const { server } = intake;
    for (const day of ['2026-01-05', '2026-01-15', '2026-01-25'])
      server.deliver(USER, 'INBOX', simpleMessage(day), { internalDate: new Date(day) });
    await intake.pass();
    expect(await intake.subjects()).toEqual(['2026-01-25']);
    server.deliver(USER, 'INBOX', simpleMessage('old one moved in'), {
      internalDate: new Date('2025-06-01'),
    });
    await intake.pass();
    expect(await intake.subjects()).toEqual(['2026-01-25']);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ skipped: 3, stored: 1 });
  });
});

const stateOf = async (intake: Intake) =>
  await intake.db.selectFrom('mailbox_state').selectAll().executeTakeFirstOrThrow();

describe('several folders', () => {
  it('have cursors of their own, and equal UIDs in them do not meet', async () => {
    const intake = await startIntake({ folders: ['INBOX', 'Sent'], dedup: 'none' });
    intake.deliver(names(1, 3));
    intake.deliver(names(4, 9), 'Sent');
    expect(await intake.pass()).toBe(9);
    intake.deliver(['m10'], 'Sent');
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(names(1, 10).sort());
  });

  it('one that is named twice, in other letters, is one', async () => {
    const intake = await startIntake({ folders: ['inbox', 'INBOX'], dedup: 'none' });
    intake.deliver(names(1, 3));
    expect(await intake.pass()).toBe(3);
    await intake.change({ folders: ['Inbox'] });
    expect(await intake.pass()).toBe(0);
    expect(await intake.ledger()).toHaveLength(3);
  });

  it('one that is missing does not stop the others, and the mailbox does not count as listed', async () => {
    const intake = await startIntake({ folders: ['Nowhere', 'INBOX', 'Sent'], pollSeconds: 3600 });
    intake.deliver(['a']);
    intake.deliver(['b'], 'Sent');
    const poller = new Poller(intake.context, intake.held, intake.source(), false);
    poller.start();
    await expect.poll(async () => (await stateOf(intake)).phase, { timeout: 20_000 }).toBe('folder_missing');
    expect(await intake.subjects()).toEqual(['a', 'b']);
    expect(await stateOf(intake)).toMatchObject({
      last_listed_at: null,
      missing_folders: ['Nowhere'],
      last_error_code: 'folder_missing',
      last_error: 'Not on the server: "Nowhere"',
    });
    // The same session hears of new mail in a folder that is there, and looks for the missing one again.
    for (const [index, subject] of ['c', 'd'].entries()) {
      await expect
        .poll(() => intake.server.countCommands('IDLE'), { timeout: 20_000 })
        .toBeGreaterThanOrEqual(index + 1);
      intake.deliver([subject]);
      await expect
        .poll(async () => (await stateOf(intake)).consecutive_errors, { timeout: 20_000 })
        .toBeGreaterThanOrEqual(index + 2);
      expect(await intake.subjects()).toContain(subject);
    }
    expect(intake.server.accepted).toBe(1);
    expect(intake.toldOf('mailbox.failed')).toEqual([]);
    const { mailboxes, now } = await watchMailboxes(intake.db);
    expect(judgeMailbox(mailboxes[0]!, 3, now)).toMatchObject({
      status: 'blocked',
      reason: expect.stringContaining('folder_missing ("Nowhere")'),
    });

    intake.server.store.createFolder(USER, 'Nowhere');
    intake.deliver(['e'], 'Nowhere');
    poller.wake();
    await expect.poll(async () => (await stateOf(intake)).last_listed_at, { timeout: 20_000 }).not.toBeNull();
    expect(await intake.subjects()).toEqual(['a', 'b', 'c', 'd', 'e']);
    await expect.poll(async () => (await stateOf(intake)).phase, { timeout: 20_000 }).toBe('waiting');
    expect(await stateOf(intake)).toMatchObject({ missing_folders: [], last_error_code: null });
    // However many passes there were.
    expect(intake.told.map(({ name }) => name).filter((name) => /^folder\./.test(name))).toEqual([
      'folder.missing',
      'folder.found',
    ]);
    await poller.stop();
  });

  it('when none is there the mailbox is blocked after three attempts, not its login', async () => {
    const intake = await startIntake({ folders: ['Nowhere'], pollSeconds: 3600 });
    const poller = new Poller(intake.context, intake.held, intake.source(), false);
    intake.context.events.listen((name) => {
      if (name === 'mailbox.failed') setImmediate(() => poller.wake());
    });
    poller.start();
    await expect.poll(() => intake.toldOf('mailbox.blocked').length, { timeout: 20_000 }).toBe(1);
    expect(intake.toldOf('mailbox.failed')).toHaveLength(2);
    await expect.poll(async () => (await stateOf(intake)).phase, { timeout: 20_000 }).toBe('blocked');
    expect(await stateOf(intake)).toMatchObject({ missing_folders: ['Nowhere'], consecutive_errors: 3 });
    await poller.stop();
  });

  it('a wish to poll that comes in the middle of a pass is met by another pass', async () => {
    const intake = await startIntake({ pollSeconds: 3600 });
    intake.deliver(['a']);
    const source = intake.source();
    let poller: Poller | null = null;
    const late = {
      ...source,
      connect: async (signal: AbortSignal) => {
        const session = await source.connect(signal);
        let once = false;
        const stepped = stepping(session, (_step, at) => {
          if (at !== 'fetch' || once) return;
          once = true;
          poller?.wake();
        });
        // The server gives no hint of its own.
        return {
          ...stepped,
          wait: async (ms: number, stop: AbortSignal) => {
            const woken = stop.aborted;
            if (!woken)
              await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
            return ms > 0 ? ('timeout' as const) : ('changed' as const);
          },
        };
      },
    };
    poller = new Poller(intake.context, intake.held, late, false);
    poller.start();
    await expect.poll(() => intake.toldOf('mailbox.listed').length, { timeout: 20_000 }).toBe(2);
    // And one wish is one pass.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(intake.toldOf('mailbox.listed')).toHaveLength(2);
    await poller.stop();
  });
});
