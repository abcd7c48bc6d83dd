/** `penstock audit`: the proof that nothing was missed must itself miss nothing, and cry wolf never. */
import { describe, expect, it } from 'vitest';
import { auditMailbox } from '../../src/intake/audit.ts';
import { runCommand } from '../support/command.ts';
import { type Intake, names, startIntake, stepping, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
import { runPenstock } from '../support/process.ts';
import { Site } from '../support/site.ts';

const audit = (intake: Intake, settleMs = 0) =>
  auditMailbox(intake.db, intake.source(), intake.held.mailbox, settleMs, AbortSignal.timeout(20_000));

const forget = (intake: Intake, key: string): Promise<unknown> =>
  intake.db.deleteFrom('ledger').where('key', '=', key).execute();

describe('auditMailbox', () => {
  it('finds nothing where every message has its row, whatever became of it', async () => {
    const intake = await startIntake({ folders: ['INBOX', 'Sent'], maxMessageBytes: 2_000, after: 'seen' });
    intake.deliver([...names(1, 5), 'm5']);
    intake.deliver(['s1'], 'Sent');
    intake.server.deliver(USER, 'INBOX', simpleMessage('large', 'x'.repeat(5_000)));
    intake.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'nil' } });
    await intake.pass();
    intake.remove(['m1']);
    const commands = intake.server.commands.length;
    expect(await audit(intake)).toEqual({
      mailbox: intake.held.mailbox.id,
      listed: 7,
      accounted: 7,
      unaccounted: [],
      ledger: { stored: 5, duplicate: 1, oversized: 1, pending: 1 },
    });
    // It only looks.
    const said = intake.server.commands.slice(commands).map(({ name }) => name);
    expect(said.filter((name) => /STORE|MOVE|COPY|EXPUNGE|APPEND|CREATE|DELETE/.test(name))).toEqual([]);
  });

  it('finds a message without a row, in any folder, and names it', async () => {
    const intake = await startIntake({ folders: ['INBOX', 'Sent'] });
    intake.deliver(names(1, 500));
    intake.deliver(names(501, 503), 'Sent');
    await intake.pass();
    await forget(intake, '321');
    await forget(intake, '3');
    const result = await audit(intake);
    const epoch = (folder: string): string => intake.server.store.folder(USER, folder).uidValidity;
    expect(result.listed).toBe(503);
    expect(result.accounted).toBe(500);
    expect(result.unaccounted).toEqual([
      { folder: 'INBOX', epoch: epoch('INBOX'), key: '3' },
      { folder: 'INBOX', epoch: epoch('INBOX'), key: '321' },
      { folder: 'Sent', epoch: epoch('Sent'), key: '3' },
    ]);
  });

  it('finds all of a mailbox that was never read, and of a folder that was renumbered since', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 3));
    expect((await audit(intake)).unaccounted).toHaveLength(3);
    await intake.pass();
    intake.server.bumpUidValidity(USER, 'INBOX');
    expect((await audit(intake)).unaccounted).toHaveLength(3);
    await intake.pass();
    expect(await audit(intake)).toMatchObject({
      listed: 3,
      accounted: 3,
      unaccounted: [],
      ledger: { stored: 3 },
    });
  });

  it('gives mail that has just come the time to be recorded', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 3));
    const auditing = audit(intake, 20_000);
    await intake.pass();
    expect((await auditing).unaccounted).toEqual([]);
  });

  it('does not count what somebody deleted while it looked', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 3));
    await intake.pass();
    intake.deliver(['brief']);
    const source = intake.source();
    const result = await auditMailbox(
      intake.db,
      {
        ...source,
        connect: async (signal) =>
          stepping(await source.connect(signal), (_step, call) => {
            if (call === 'existing') intake.remove(['brief']);
          }),
      },
      intake.held.mailbox,
      0,
      AbortSignal.timeout(20_000),
    );
    expect(result.unaccounted).toEqual([]);
  });

  it('says what left the server, by name of its end', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 3));
    await intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call === 'fetch') intake.remove(['m2']);
        }),
    });
    const result = await audit(intake);
    expect(result).toMatchObject({ listed: 2, accounted: 2, unaccounted: [] });
    expect(result.ledger).toEqual({ stored: 2, gone: 1 });
  });
});

describe('penstock audit --json', () => {
  it('ends with 0 when all is accounted for, 1 when something is not, 3 when a server cannot be asked', async () => {
    const site = await Site.start({ backend: 'postgres' });
    await site.addMailbox('ann');
    await site.addMailbox('bob');
    for (const user of ['ann', 'bob'])
      for (const name of names(1, 3)) site.deliver(user, simpleMessage(`${user} ${name}`));
    const pipe = await Pipe.start(site);
    await site.waitUntilProcessed();
    await pipe.stop();
    const run = async (how: typeof runPenstock = runCommand) => {
      const { code, stdout, output } = await how(['audit', '--json', '--settle', '0'], { env: site.env });
      expect(stdout, output).not.toBe('');
      return { code, answer: JSON.parse(stdout) as Record<string, unknown> };
    };

    expect(await run()).toMatchObject({
      code: 0,
      answer: {
        listed: 6,
        accounted: 6,
        unaccounted: [],
        failed: [],
        mailboxes: [{ listed: 3 }, { listed: 3 }],
      },
    });

    const { db } = site.runtime;
    await db.deleteFrom('ledger').where('mailbox_id', '=', 2).where('key', '=', '2').execute();
    const missing = await run(runPenstock);
    expect(missing.code).toBe(1);
    expect(missing.answer).toMatchObject({
      listed: 6,
      accounted: 5,
      unaccounted: [{ mailbox: 2, key: '2' }],
    });

    // One mailbox that cannot be asked does not hide what is known about the other.
    site.server.faults.add({ at: 'select', user: 'ann', action: { do: 'no', text: 'Not today' } });
    const both = await run();
    expect(both.code).toBe(1);
    expect(both.answer).toMatchObject({ failed: [{ mailbox: 1 }], unaccounted: [{ mailbox: 2, key: '2' }] });

    await site.server.stop();
    const away = await run();
    expect(away.code).toBe(3);
    expect(away.answer).toMatchObject({
      listed: 0,
      failed: [
        { mailbox: 1, code: 'connect_failed' },
        { mailbox: 2, code: 'connect_failed' },
      ],
    });
    await site.server.start();
  }, 60_000);
});
