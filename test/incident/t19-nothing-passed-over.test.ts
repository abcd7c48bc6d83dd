/** Nothing is passed over: not by marking while listing, not by a server that shows some messages late. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { countBy, type Intake, names, startIntake, stepping, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

describe('T1.3 nothing is touched on the server before its row is written', () => {
  for (const after of ['seen', 'delete'] as const) {
    it(`T1.3 ${after}: each key that is touched has a row that says stored, at every moment`, async () => {
      const intake = await startIntake({ after });
      intake.deliver([...names(1, 500), 'm500']);
      let touched = 0;
      let steps = 0;
      for (let passes = 0; ; passes += 1) {
        expect(passes).toBeLessThan(30);
        const pass = intake.pass({
          wrap: (session) => {
            const stepped = stepping(session, (step) => {
              steps += 1;
              // Dies later and later, in whatever it is doing.
              if (step > 3 + passes * 90) throw fail('connection_lost', 'dies');
            });
            return {
              ...stepped,
              async dispose(keys, what, folder) {
                const rows = await intake.ledger();
                const safe = new Set(
                  rows.filter((row) => ['stored', 'duplicate'].includes(row.state)).map((row) => row.key),
                );
                expect(keys.filter((key) => !safe.has(key))).toEqual([]);
                touched += keys.length;
                return await stepped.dispose(keys, what, folder);
              },
            };
          },
        });
        if (typeof (await pass.catch((error: { code: string }) => error)) === 'number') break;
      }
      expect(steps).toBeGreaterThan(500);
      expect(touched).toBeGreaterThanOrEqual(501);
      expect(await intake.subjects()).toEqual(names(1, 500).sort());
      const left = intake.server.messages(USER);
      if (after === 'delete') expect(left).toHaveLength(0);
      else expect(left.every(({ flags }) => flags.has('\\Seen'))).toBe(true);
    });
  }

  it('T1.3 what is not safe here stays as it is on the server', async () => {
    const intake = await startIntake({
      after: 'delete',
      maxMessageBytes: 2_000,
      dateCutoff: '2026-01-01T00:00:00Z',
    });
    intake.server.deliver(USER, 'INBOX', simpleMessage('old'), { internalDate: new Date('2025-01-01') });
    intake.server.deliver(USER, 'INBOX', simpleMessage('large', 'x'.repeat(3_000)));
    intake.deliver(['unreadable', 'fine']);
    intake.server.faults.add({ at: 'fetch', uids: [3], action: { do: 'nil' } });
    await intake.pass();
    expect(intake.onServer()).toEqual(['old', 'large', 'unreadable']);
    expect(countBy(await intake.ledger(), (row) => `${row.state} ${row.disposition}`)).toEqual({
      'skipped none': 1,
      'oversized none': 1,
      'pending none': 1,
      'stored done': 1,
    });
  });
});

describe('T19.1 marking does not move the pages', () => {
  it(`T19.1 2,000 unseen, pages of ${LIMITS.batchMessages}, marked in the loop: all 2,000`, async () => {
    const intake = await startIntake({ after: 'seen' });
    intake.deliver(names(1, 2000));
    let markedBeforeTheEnd = 0;
    let pages = 0;
    await intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call !== 'page') return;
          pages += 1;
          const seen = intake.server.messages(USER).filter(({ flags }) => flags.has('\\Seen'));
          markedBeforeTheEnd = Math.max(markedBeforeTheEnd, seen.length);
        }),
    });
    expect(pages).toBeGreaterThan(2_000 / LIMITS.batchMessages);
    expect(markedBeforeTheEnd).toBeGreaterThan(0);
    expect(await intake.subjects()).toEqual(names(1, 2000).sort());
    expect(intake.server.messages(USER).every(({ flags }) => flags.has('\\Seen'))).toBe(true);
  });

  it('T19.1 moved away in the loop: all 1,000, and what others read meanwhile too', async () => {
    const intake = await startIntake({ after: 'move', afterFolder: 'Done' });
    intake.deliver(names(1, 1000));
    for (const { uid, flags } of intake.server.messages(USER)) if (uid % 3 === 0) flags.add('\\Seen');
    await intake.pass();
    expect(await intake.subjects()).toEqual(names(1, 1000).sort());
    expect(intake.onServer()).toEqual([]);
    expect(intake.onServer('Done')).toHaveLength(1000);
  });
});

describe('T19 messages that become visible late, below the cursor', () => {
  /** Hides these UIDs from the server's folder until the returned function is called. */
  function hide(intake: Intake, uids: number[]): () => void {
    const folder = intake.server.store.folder(USER, 'INBOX');
    const all = folder.messages;
    folder.messages = all.filter(({ uid }) => !uids.includes(uid));
    return () => {
      const since = folder.messages.filter((message) => !all.includes(message));
      folder.messages = [...all, ...since];
      folder.version += 1;
    };
  }

  const hourLater = (intake: Intake): Promise<unknown> =>
    intake.db
      .updateTable('folder')
      .set({ late_check_at: new Date(Date.now() - 3_600_001) })
      .execute();

  it('T19 the hourly comparison takes them, and not before its time', async () => {
    const intake = await startIntake({ after: 'seen' });
    intake.deliver(names(1, 10));
    const show = hide(intake, [4, 9]);
    expect(await intake.pass()).toBe(8);
    show();
    expect(await intake.pass()).toBe(0);
    await hourLater(intake);
    expect(await intake.pass()).toBe(2);
    expect(await intake.subjects()).toEqual(names(1, 10).sort());
    expect(intake.server.messages(USER).every(({ flags }) => flags.has('\\Seen'))).toBe(true);
    expect(intake.toldOf('audit.finished').at(-1)).toMatchObject({
      listed: 10,
      accounted: 10,
      unaccounted: 0,
    });
    expect(await intake.pass()).toBe(0);
  });

  it('T19 the limits of date and size hold for them as well', async () => {
    const intake = await startIntake({ dateCutoff: '2026-01-01T00:00:00Z', maxMessageBytes: 5_000 });
    const { server } = intake;
    intake.deliver(['a']);
    server.deliver(USER, 'INBOX', simpleMessage('old'), { internalDate: new Date('2025-01-01') });
    server.deliver(USER, 'INBOX', simpleMessage('large', 'x'.repeat(6_000)));
    intake.deliver(['b', 'c']);
    const show = hide(intake, [2, 3, 4]);
    await intake.pass();
    show();
    await hourLater(intake);
    await intake.pass();
    expect(await intake.subjects()).toEqual(['a', 'b', 'c']);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({
      stored: 3,
      skipped: 1,
      oversized: 1,
    });
    const { rows } = {
      rows: await intake.db.selectFrom('ledger').select(['size', 'internal_date']).execute(),
    };
    expect(rows.every((row) => row.size > 0 && row.internal_date !== null)).toBe(true);
  });

  it('T19 hundreds of them, in several batches; one that leaves meanwhile is not held against us', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 600));
    const show = hide(
      intake,
      Array.from({ length: 500 }, (_value, index) => index + 2),
    );
    await intake.pass();
    show();
    await hourLater(intake);
    let gone = false;
    await intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call !== 'list' || gone) return;
          gone = true;
          intake.remove(['m77']);
        }),
    });
    expect(await intake.subjects()).toEqual(
      names(1, 600)
        .filter((name) => name !== 'm77')
        .sort(),
    );
    expect(intake.toldOf('audit.finished').at(-1)).toMatchObject({ listed: 600, unaccounted: 0 });
  });
});
