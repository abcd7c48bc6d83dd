/** Effects on the server that fail are tried again, at growing distances, and never hold up new mail. */
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { countBy, type Intake, names, startIntake, USER } from '../support/intake.ts';

interface Due {
  key: string;
  disposition: string;
  attempts: number;
  seconds: number | null;
  error: string | null;
}

async function dispositions(intake: Intake): Promise<Due[]> {
  const rows = await intake.db
    .selectFrom('ledger')
    .select(['key', 'disposition', 'disposition_attempts', 'next_disposition_at', 'disposition_error'])
    .orderBy('id')
    .execute();
  return rows.map((row) => ({
    key: row.key,
    disposition: row.disposition,
    attempts: row.disposition_attempts,
    seconds:
      row.next_disposition_at === null ? null : (row.next_disposition_at.getTime() - Date.now()) / 1000,
    error: row.disposition_error,
  }));
}

const dueNow = (intake: Intake): Promise<unknown> =>
  intake.db
    .updateTable('ledger')
    .set({ next_disposition_at: new Date(0) })
    .where('disposition', '=', 'pending')
    .execute();

const removed = async (intake: Intake): Promise<boolean[]> =>
  (
    await intake.db
      .selectFrom('incoming_email')
      .select('removed_from_server as removed')
      .orderBy('id')
      .execute()
  ).map((row) => row.removed);

describe('T20 effects that fail', () => {
  it('T20 are tried again at growing distances, then given up, while new mail comes in', async () => {
    const intake = await startIntake({ after: 'seen' });
    intake.deliver(['m1']);
    intake.server.faults.add({ at: 'store', action: { do: 'no', text: 'Flags are closed today' } });
    const seen: number[] = [];
    for (let attempt = 1; attempt < LIMITS.dispositionAttempts; attempt += 1) {
      expect(await intake.pass()).toBe(attempt === 1 ? 1 : 0);
      const [row] = await dispositions(intake);
      expect(row).toMatchObject({ disposition: 'pending', attempts: attempt });
      seen.push(row!.seconds!);
      // Not due: a pass in between tries nothing.
      const before = intake.server.countCommands('UID STORE');
      await intake.pass();
      expect(intake.server.countCommands('UID STORE')).toBe(before);
      await dueNow(intake);
    }
    const steps = [5, 30, 120, 600, 3600, 3600, 3600, 3600, 3600];
    for (const [index, wanted] of steps.entries()) {
      expect(seen[index]).toBeGreaterThan(wanted - 30);
      expect(seen[index]).toBeLessThanOrEqual(wanted + 1);
    }
    intake.deliver(['m2']);
    expect(await intake.pass()).toBe(1);
    expect((await dispositions(intake))[0]).toMatchObject({
      disposition: 'failed',
      attempts: LIMITS.dispositionAttempts,
      error: expect.stringContaining('Flags are closed today'),
    });
    expect(intake.toldOf('disposition.failed').length).toBeGreaterThanOrEqual(LIMITS.dispositionAttempts);
    intake.server.faults.clear();
    await dueNow(intake);
    await intake.pass();
    // The one that was given up stays so; it is a person's turn. The other goes on.
    expect((await dispositions(intake)).map((row) => row.disposition)).toEqual(['failed', 'done']);
    expect(await removed(intake)).toEqual([false, false]);
    expect(intake.onServer()).toEqual(['m1', 'm2']);
  });

  it('T20.2 a message that the user took away meanwhile is gone, whatever was to be done', async () => {
    for (const after of ['seen', 'move', 'delete'] as const) {
      const intake = await startIntake({ after, afterFolder: 'Done' });
      intake.deliver(names(1, 3));
      const refused = { do: 'no', text: 'Later' } as const;
      const heal = [
        intake.server.faults.add({ at: 'store', action: refused }),
        intake.server.faults.add({ at: 'move', action: refused }),
      ];
      await intake.pass();
      expect(countBy(await dispositions(intake), (row) => row.disposition)).toEqual({ pending: 3 });
      for (const stop of heal) stop();
      intake.remove(['m2']);
      await dueNow(intake);
      await intake.pass();
      expect((await dispositions(intake)).map((row) => row.disposition)).toEqual(['done', 'gone', 'done']);
      const leaves = after !== 'seen';
      expect(await removed(intake)).toEqual([leaves, true, leaves]);
      expect(await intake.pass()).toBe(0);
    }
  });

  it('T20.4 a target folder that cannot be made does not stop the intake', async () => {
    const intake = await startIntake({ after: 'move', afterFolder: 'Done' });
    intake.server.faults.add({ at: 'create', action: { do: 'no', text: 'No folders for you' } });
    intake.deliver(names(1, 3));
    expect(await intake.pass()).toBe(3);
    intake.deliver(['m4']);
    expect(await intake.pass()).toBe(1);
    expect(intake.toldOf('disposition.failed')[0]).toMatchObject({ code: 'folder_missing', failed: 3 });
    intake.server.faults.clear();
    await dueNow(intake);
    await intake.pass();
    expect(intake.onServer('Done')).toEqual(names(1, 4));
  });

  it('T20 a server that breaks off at every effect still delivers its mail', async () => {
    const intake = await startIntake({ after: 'seen' });
    intake.server.faults.add({ at: 'store', action: { do: 'reset' } });
    for (let round = 1; round <= 3; round += 1) {
      intake.deliver(names(round * 300 - 299, round * 300));
      await expect(intake.pass()).rejects.toMatchObject({ code: 'connection_lost' });
    }
    // One page less than came, at most: the next pass takes it.
    expect((await intake.subjects()).length).toBeGreaterThanOrEqual(900 - LIMITS.batchMessages);
    intake.server.faults.clear();
    await intake.pass();
    expect(await intake.subjects()).toEqual(names(1, 900).sort());
    expect(intake.server.messages(USER).every(({ flags }) => flags.has('\\Seen'))).toBe(true);
  });

  it('T20 one message whose effect breaks the session is given up; all others get theirs', async () => {
    const intake = await startIntake({ after: 'seen' });
    intake.deliver(names(1, 60));
    intake.server.faults.add({ at: 'store', uids: [33], action: { do: 'reset' } });
    let passes = 0;
    for (let open = true; open; passes += 1) {
      expect(passes).toBeLessThan(80);
      await intake.pass({ careful: true }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'connection_lost' });
      });
      await dueNow(intake);
      open = (await dispositions(intake)).some((row) => row.disposition === 'pending');
    }
    const rows = await dispositions(intake);
    expect(countBy(rows, (row) => row.disposition)).toEqual({ done: 59, failed: 1 });
    expect(rows.find((row) => row.disposition === 'failed')?.key).toBe('33');
    const unseen = intake.server.messages(USER).filter(({ flags }) => !flags.has('\\Seen'));
    expect(unseen.map(({ uid }) => uid)).toEqual([33]);
  });
});
