/** POP3 deletes for good, so nothing may be marked for it that is not safe here, whenever the process or the line dies. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import type { CrashPoint } from '../../src/lab/crash-point.ts';
import { LIMITS } from '../../src/limits.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { countBy, names, startPop3Intake, stepping } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe, startDaemon } from '../support/pipe.ts';
import { Site, until } from '../support/site.ts';

describe('T1.3 nothing is deleted without a row', () => {
  it('T1.3 5,000 messages, sessions that die in whatever they are doing', async () => {
    const intake = await startPop3Intake({ after: 'delete' });
    intake.deliver(names(1, 5_000));
    let passes = 0;
    for (let isDone = false; !isDone; passes += 1) {
      expect(passes).toBeLessThan(20);
      const pass = intake.pass({
        wrap: (session) => {
          const stepped = stepping(session, (step) => {
            if (step > 3 + passes * 2_000) throw fail('connection_lost', 'dies');
          });
          return {
            ...stepped,
            async dispose(keys, what, folder) {
              const rows = await intake.ledger();
              const safe = new Set(rows.filter((row) => row.state === 'stored').map((row) => row.key));
              expect(keys.filter((key) => !safe.has(key))).toEqual([]);
              return await stepped.dispose(keys, what, folder);
            },
          };
        },
      });
      isDone = typeof (await pass.catch((error: unknown) => error)) === 'number';
    }
    expect(passes).toBeGreaterThan(2);
    expect(intake.onServer()).toEqual([]);
    expect(await intake.subjects()).toEqual(names(1, 5_000).sort());
    expect(countBy(await intake.ledger(), (row) => `${row.state} ${row.disposition}`)).toEqual({
      'stored done': 5_000,
    });
  }, 120_000);

  it('T2.1 a pass that breaks at any step, and another one: each message once', async () => {
    for (let breakAt = 1; breakAt <= 14; breakAt += 1) {
      const intake = await startPop3Intake({ after: 'delete' });
      intake.deliver(names(1, 5));
      const first = await intake
        .pass({
          wrap: (session) =>
            stepping(session, (step) => {
              if (step === breakAt) throw fail('connection_lost', 'dies');
            }),
        })
        .catch((error: { code: string }) => error.code);
      const second = await intake.pass();
      expect(await intake.subjects(), `broken at step ${breakAt}: ${first}, then ${second}`).toEqual(
        names(1, 5),
      );
      expect(intake.onServer()).toEqual([]);
    }
  });
});

/** Every point that a POP3 mailbox with `delete` passes before a record is processed. */
const POINTS: readonly CrashPoint[] = [
  'after-fetch',
  'after-raw-write',
  'before-commit',
  'after-commit',
  'after-enqueue',
  'after-disposition',
  'after-disposition-record',
];

describe('T1.1 kill -9 while a POP3 mailbox is emptied', () => {
  it.each(POINTS)('T1.1 at %s', async (point) => {
    const site = await Site.start({ backend: 'postgres' });
    await site.addMailbox('ann', { after: 'delete' }, 'pop3');
    await sql`
      insert into folder (mailbox_id, path, late_check_at) select id, 'INBOX', now() from mailbox`.execute(
      site.runtime.db,
    );
    for (let index = 1; index <= 5; index += 1) {
      const body = index === 3 ? 'large line\r\n'.repeat(LIMITS.inlineRawBytes / 12 + 100) : 'Hello.\r\n';
      site.deliver('ann', simpleMessage(`m${index}`, body));
    }
    const daemon = startDaemon(site, { PENSTOCK_CRASH_AT: point });
    await until(
      () => daemon.hasEnded,
      () => `it did not die at ${point}:\n${daemon.output}`,
    );
    expect(await daemon.ended, daemon.output).toEqual({ code: null, signal: 'SIGKILL' });
    expect((await site.touched()).withoutRow).toEqual([]);
    const isDeleted = point === 'after-disposition' || point === 'after-disposition-record';
    // Jobs are added while the server is already brought up to date.
    if (point !== 'after-enqueue') expect(site.server.messages('ann')).toHaveLength(isDeleted ? 0 : 5);

    await site.passTime(LIMITS.claimSeconds + 1);
    await Pipe.start(site);
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
    expect(site.server.messages('ann')).toHaveLength(0);
  });

  it('T1 the whole pipe takes mail that comes at any time, and leaves or deletes it', async () => {
    const site = await Site.start({ backend: 'postgres' });
    await site.addMailbox('leaves', {}, 'pop3');
    await site.addMailbox('deletes', { after: 'delete' }, 'pop3');
    const pipe = await Pipe.start(site);
    for (let round = 1; round <= 3; round += 1) {
      for (const user of ['leaves', 'deletes']) site.deliver(user, simpleMessage(`${user}-${round}`));
      await site.waitUntilProcessed();
    }
    await expectExactlyOnce(site);
    expect(site.server.messages('leaves')).toHaveLength(3);
    expect(pipe.of('mailbox.failed')).toEqual([]);
    // A poll is a session; nobody keeps the mailbox from others in between.
    expect(site.pop3.countCommands('PASS')).toBeGreaterThan(3);
    await until(() => site.pop3.connections === 0);
  });
});
