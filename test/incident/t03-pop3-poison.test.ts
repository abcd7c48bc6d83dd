/** One message that the server cannot deliver, or that breaks the session, costs itself and no other. */
import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/lab/pop3/faults.ts';
import type { LabPop3Server } from '../../src/lab/pop3/server.ts';
import { LIMITS } from '../../src/limits.ts';
import { countBy, type Intake, names, startPop3Intake, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

const hurry = (intake: Intake<LabPop3Server>): Promise<unknown> =>
  intake.db
    .updateTable('ledger')
    .set({ next_fetch_at: new Date(0) })
    .where('state', '=', 'pending')
    .execute();

/** Passes as the poller makes them: careful after a failure. Ends when nothing is open. */
async function passUntilSettled(intake: Intake<LabPop3Server>): Promise<string[]> {
  const failures: string[] = [];
  for (let careful = false, round = 0; ; round += 1) {
    expect(round).toBeLessThan(40);
    try {
      await intake.pass({ careful, imap: { commandMs: 2_000 } });
      careful = false;
      if ((await intake.ledger()).every((row) => row.state !== 'pending')) return failures;
    } catch (error) {
      failures.push((error as { code: string }).code);
      careful = true;
    }
    await hurry(intake);
  }
}

describe('T3.3 one message that cannot be had', () => {
  const actions: Action[] = [
    { do: 'err', text: 'unable to read message' },
    { do: 'err', text: '[SYS/TEMP] try again later' },
    { do: 'empty' },
    { do: 'cut', after: 20, end: 'drop' },
    { do: 'cut', after: 20, end: 'reset' },
    { do: 'cut', after: 20, end: 'hang' },
    { do: 'drop' },
    { do: 'say', line: 'what?' },
  ];
  it.each(actions)(
    'T3.3 $do $text $end: it is set aside after its attempts, all others are taken',
    async (action) => {
      const intake = await startPop3Intake({ after: 'delete' });
      intake.deliver(names(1, 6));
      intake.server.faults.add({ at: 'retr', uids: [3], action });
      await passUntilSettled(intake);
      const rows = await intake.ledger();
      expect(countBy(rows, (row) => row.state)).toEqual({ stored: 5, fetch_failed: 1 });
      expect(rows.find((row) => row.state === 'fetch_failed')?.key).toBe('3');
      expect(await intake.subjects()).toEqual(['m1', 'm2', 'm4', 'm5', 'm6']);
      expect(intake.onServer()).toEqual(['m3']);
      const tried = intake.server.commands.filter(({ name, detail }) => name === 'RETR' && detail === '3');
      expect(tried.length).toBeLessThan(30);
    },
    120_000,
  );

  it('T3.3 a message that the server is always too busy for costs no session, as long as it gives others', async () => {
    const intake = await startPop3Intake();
    intake.deliver(['m1', 'busy']);
    intake.server.faults.add({ at: 'retr', uids: [2], action: { do: 'err', text: '[SYS/TEMP] later' } });
    expect(await passUntilSettled(intake)).toEqual([]);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 1, fetch_failed: 1 });
  });

  it('T3.3 a server that refuses every message is busy: none of them is given up', async () => {
    const intake = await startPop3Intake();
    intake.deliver(names(1, 6));
    const stop = intake.server.faults.add({ at: 'retr', action: { do: 'err', text: '[SYS/TEMP] later' } });
    for (let round = 0; round < 8; round += 1) {
      await expect(intake.pass()).rejects.toMatchObject({ code: 'server_busy' });
    }
    expect(await intake.ledger()).toEqual([]);
    stop();
    expect(await intake.pass()).toBe(6);
  });
});

describe('T10.3 a server that lies about sizes', () => {
  it('T10.3 says little and sends much: cut at the limit, recorded as oversized, and the rest is taken', async () => {
    const intake = await startPop3Intake({ maxMessageBytes: 2_000 });
    intake.deliver(['m1']);
    intake.server.deliver(USER, simpleMessage('large', 'x'.repeat(300_000)));
    intake.deliver(['m3']);
    intake.server.faults.add({ at: 'list', uids: [2], action: { do: 'claim-size', bytes: 10 } });
    await intake.pass();
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 2, oversized: 1 });
    expect(intake.server.accepted).toBe(1);
  });

  it('T10.3 sends without end: the connection is given up, and the message is oversized in the end', async () => {
    const intake = await startPop3Intake({ maxMessageBytes: 2_000 });
    intake.deliver(names(1, 4));
    intake.server.faults.add({ at: 'retr', uids: [2], action: { do: 'endless' } });
    await passUntilSettled(intake);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 3, oversized: 1 });
    expect(await intake.subjects()).toEqual(['m1', 'm3', 'm4']);
  }, 120_000);

  it('T10.2 says much: it is not fetched', async () => {
    const intake = await startPop3Intake();
    intake.deliver(names(1, 2));
    const bytes = LIMITS.messageBytes + 1;
    intake.server.faults.add({ at: 'list', uids: [2], action: { do: 'claim-size', bytes } });
    await intake.pass();
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 1, oversized: 1 });
    expect(intake.server.commands.filter(({ name }) => name === 'RETR')).toHaveLength(1);
  });

  it('T10.2 says much about a message that is small: it streams, and is taken whole', async () => {
    const intake = await startPop3Intake();
    intake.deliver(names(1, 2));
    intake.server.faults.add({ at: 'list', uids: [2], action: { do: 'claim-size', bytes: 1_000_000 } });
    expect(await intake.pass()).toBe(2);
    expect(await intake.subjects()).toEqual(['m1', 'm2']);
  });
});
