/** A large POP3 mailbox is gone through page by page, once, whatever leaves or comes meanwhile. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { names, startPop3Intake, stepping } from '../support/intake.ts';

describe('T19 paging', () => {
  it('T19.1 1,000 messages in pages, broken off and gone on with: all of them, and none is fetched twice', async () => {
    const intake = await startPop3Intake();
    intake.deliver(names(1, 1_000));
    let pages = 0;
    const broken = intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call === 'page') pages += 1;
          if (pages === 4) throw fail('connection_lost', 'dies');
        }),
    });
    await expect(broken).rejects.toMatchObject({ code: 'connection_lost' });
    const fetchedBefore = intake.server.countCommands('RETR');
    expect(fetchedBefore).toBeGreaterThanOrEqual(2 * LIMITS.batchMessages);
    await intake.pass();
    expect(await intake.subjects()).toEqual(names(1, 1_000).sort());
    expect(intake.server.countCommands('RETR')).toBeLessThanOrEqual(1_000 + LIMITS.batchMessages);
  });

  it('T19 messages that leave from the front move all numbers, and hide none', async () => {
    const intake = await startPop3Intake();
    intake.deliver(names(1, 600));
    const stopAt = async (calls: number): Promise<void> => {
      let pages = 0;
      await intake
        .pass({
          wrap: (session) =>
            stepping(session, (_step, call) => {
              if (call === 'page') pages += 1;
              if (pages === calls) throw fail('connection_lost', 'dies');
            }),
        })
        .catch(() => undefined);
    };
    await stopAt(3);
    intake.remove(names(1, 150));
    intake.deliver(names(601, 650));
    await stopAt(2);
    intake.remove(names(151, 170));
    await intake.pass();
    expect(await intake.subjects()).toEqual(names(1, 650).sort());
  });

  it('T19 when nothing has changed, nothing is fetched and the ledger is not asked about every message', async () => {
    const intake = await startPop3Intake();
    intake.deliver(names(1, 500));
    await intake.pass();
    const retrieved = intake.server.countCommands('RETR');
    let pages = 0;
    await intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call === 'page') pages += 1;
        }),
    });
    expect(intake.server.countCommands('RETR')).toBe(retrieved);
    // The step that looks for a page, and finds none.
    expect(pages).toBeLessThanOrEqual(1);
  });
});
