import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { countBy, names, startPop3Intake, stepping } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
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
