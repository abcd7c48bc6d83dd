/** Servers renumber folders: after restores, migrations, and without any reason. No mail may come twice or be lost. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { countBy, type Intake, names, startIntake, stepping, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

/** Each message of the folder has one row of the current epoch, and no key is in two rows. */
async function expectAccounted(intake: Intake, folder = 'INBOX'): Promise<void> {
  const { uidValidity, messages } = intake.server.store.folder(USER, folder);
  const rows = (await intake.ledger()).filter((row) => row.epoch === uidValidity);
  expect(rows.map((row) => Number(row.key)).sort((a, b) => a - b)).toEqual(messages.map(({ uid }) => uid));
}

const retryNow = (intake: Intake): Promise<unknown> =>
  intake.db
    .updateTable('ledger')
    .set({ next_disposition_at: null, next_fetch_at: new Date(0) })
    .execute();

describe('T7.1 UIDVALIDITY changes', () => {
  for (const dedup of ['content', 'none'] as const) {
    for (const sizes of ['the same', 'other'] as const) {
      it(`T7.1 1,000 known, 3 new, 2 gone: exact with ${sizes} sizes and dedup ${dedup}`, async () => {
        const intake = await startIntake({ dedup });
        intake.deliver(names(1, 1000));
        expect(await intake.pass()).toBe(1000);
        const before = await intake.ledger();
        intake.remove(['m7', 'm900']);
        intake.server.bumpUidValidity(USER, 'INBOX');
        intake.deliver(['new1', 'new2', 'new3']);
        if (sizes === 'other')
          intake.server.faults.add({ at: 'fetch', action: { do: 'claim-size', bytes: 9_999 } });
        expect(await intake.pass()).toBe(3);
        expect(await intake.subjects()).toEqual([...names(1, 1000), 'new1', 'new2', 'new3'].sort());
        expect(intake.toldOf('folder.resynced')).toMatchObject([{ matched: 998, added: 3, gone: 2 }]);
        await expectAccounted(intake);
        const after = await intake.ledger();
        expect(after).toHaveLength(1003);
        // Row and record stay together.
        const records = new Map(before.map((row) => [row.id, row.email]));
        for (const row of after.slice(0, 1000)) expect(row.email).toBe(records.get(row.id));
        expect(await intake.pass()).toBe(0);
        expect(intake.toldOf('folder.resynced')).toHaveLength(1);
      });
    }
  }

  for (const claimed of [null, 4_321]) {
    it(`T7.1 equal messages are counted, not merged (${claimed === null ? 'same' : 'other'} sizes)`, async () => {
      const intake = await startIntake({ dedup: 'none' });
      intake.deliver(['twin', 'twin', 'twin', 'single']);
      await intake.pass();
      intake.server.bumpUidValidity(USER, 'INBOX');
      intake.deliver(['twin']);
      if (claimed !== null)
        intake.server.faults.add({ at: 'fetch', action: { do: 'claim-size', bytes: claimed } });
      expect(await intake.pass()).toBe(1);
      expect(await intake.subjects()).toEqual(['single', 'twin', 'twin', 'twin', 'twin']);
      await expectAccounted(intake);
    });
  }

  it('T7.1 copies that were dropped before stay dropped', async () => {
    const intake = await startIntake();
    intake.deliver(['twin', 'twin', 'twin']);
    await intake.pass();
    intake.server.bumpUidValidity(USER, 'INBOX');
    expect(await intake.pass()).toBe(0);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 1, duplicate: 2 });
    await expectAccounted(intake);
  });

  it('T7.1 pending effects wait for the repair, then meet the right messages', async () => {
    const intake = await startIntake({ after: 'move', afterFolder: 'Done' });
    intake.deliver(names(1, 10));
    const repaired = intake.server.faults.add({ at: 'move', action: { do: 'no', text: 'Not now' } });
    await intake.pass();
    expect(countBy(await intake.ledger(), (row) => row.disposition)).toEqual({ pending: 10 });
    repaired();
    await retryNow(intake);
    // Every UID now means another message.
    intake.remove(['m1', 'm2', 'm3']);
    intake.server.bumpUidValidity(USER, 'INBOX');
    intake.deliver(['new']);
    const touched = (): number => intake.server.countCommands('UID MOVE');
    const before = touched();
    const interrupted = intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call === 'fetch') throw fail('connection_lost', 'in the middle of the repair');
        }),
    });
    await expect(interrupted).rejects.toMatchObject({ code: 'connection_lost' });
    expect(touched()).toBe(before);
    expect(intake.onServer()).toEqual([...names(4, 10), 'new']);
    await intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call === 'dispose') expect(intake.toldOf('folder.resynced')).toHaveLength(1);
        }),
    });
    expect(intake.onServer()).toEqual([]);
    expect(intake.onServer('Done').sort()).toEqual([...names(4, 10), 'new'].sort());
    expect(countBy(await intake.ledger(), (row) => row.disposition)).toEqual({ done: 8, gone: 3 });
  });

  it('T7.1 of equal messages those that still wait for their effect are found first', async () => {
    const intake = await startIntake({ after: 'move', afterFolder: 'Done', dedup: 'none' });
    intake.deliver(['twin']);
    await intake.pass();
    intake.deliver(['twin']);
    intake.server.faults.add({ at: 'move', action: { do: 'no', text: 'Not now' }, times: 1 });
    await intake.pass();
    await retryNow(intake);
    intake.server.bumpUidValidity(USER, 'INBOX');
    await intake.pass();
    expect(intake.onServer()).toEqual([]);
    expect(intake.onServer('Done')).toEqual(['twin', 'twin']);
    expect(intake.toldOf('folder.resynced')).toMatchObject([{ matched: 1, gone: 0 }]);
  });

  for (const numbering of ['the same', 'other'] as const) {
    it(`T7.1 UIDVALIDITY flips back, with ${numbering} UIDs`, async () => {
      const intake = await startIntake({ dedup: 'none' });
      intake.deliver(names(1, 30));
      await intake.pass();
      const first = intake.server.store.folder(USER, 'INBOX');
      intake.server.bumpUidValidity(USER, 'INBOX');
      // What is new later gets the UIDs that these had.
      intake.remove(['m29', 'm30']);
      intake.deliver(['while-b']);
      expect(await intake.pass()).toBe(1);
      if (numbering === 'the same') intake.server.store.users.get(USER)?.folders.set('INBOX', first);
      else intake.server.bumpUidValidity(USER, 'INBOX', first.uidValidity);
      intake.deliver(['after']);
      expect(await intake.pass()).toBe(1);
      expect(await intake.subjects()).toEqual([...names(1, 30), 'while-b', 'after'].sort());
      await expectAccounted(intake);
      expect(await intake.pass()).toBe(0);
    });
  }

  it('T7.1 UIDVALIDITY changes again and again in the middle of its own repair', async () => {
    const intake = await startIntake({ dedup: 'none' });
    intake.deliver(names(1, 600));
    await intake.pass();
    intake.remove(['m1']);
    for (let round = 0; round < 3; round += 1) {
      intake.server.bumpUidValidity(USER, 'INBOX');
      const pass = intake.pass({
        wrap: (session) =>
          stepping(session, (step) => {
            if (step > 230) throw fail('connection_lost', 'again');
          }),
      });
      await expect(pass).rejects.toMatchObject({ code: 'connection_lost' });
    }
    intake.deliver(['new']);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual([...names(1, 600), 'new'].sort());
    expect(intake.toldOf('folder.resynced').map(({ gone }) => gone)).toEqual([1]);
    await expectAccounted(intake);
  });

  it('T7.1 a folder that was deleted and made again: other mail, same UIDs', async () => {
    const intake = await startIntake({ after: 'delete' });
    intake.deliver(names(1, 5));
    intake.server.faults.add({ at: 'store', action: { do: 'no', text: 'Not now' }, times: 1 });
    await intake.pass();
    expect(countBy(await intake.ledger(), (row) => row.disposition)).toEqual({ pending: 5 });
    await retryNow(intake);
    intake.server.store.deleteFolder(USER, 'INBOX');
    intake.server.store.createFolder(USER, 'INBOX');
    intake.deliver(names(101, 103));
    expect(await intake.pass()).toBe(3);
    expect(await intake.subjects()).toEqual([...names(1, 5), ...names(101, 103)].sort());
    expect(countBy(await intake.ledger(), (row) => row.disposition)).toEqual({ done: 3, gone: 5 });
  });

  it('T7.1 an emptied folder gets mail at the end of its repair', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 3));
    await intake.pass();
    intake.remove(names(1, 3));
    intake.server.bumpUidValidity(USER, 'INBOX');
    let changes = 0;
    await intake.pass({
      wrap: (session) => {
        const counted = stepping(session, (_step, call) => {
          if (call === 'changes') changes += 1;
          if (call === 'changes' && changes === 2) intake.deliver(['later']);
        });
        return {
          ...counted,
          currentCursor: async () => {
            intake.deliver(['late']);
            return await counted.currentCursor();
          },
        };
      },
    });
    await intake.pass();
    const delivered = intake.onServer();
    expect(delivered).toContain('later');
    expect(await intake.subjects()).toEqual([...names(1, 3), ...delivered].sort());
  });

  it('T7.1 the archive that a first sync from now passed over is not taken for new', async () => {
    const intake = await startIntake({ firstSync: 'now' });
    intake.deliver(names(1, 500));
    await intake.pass();
    intake.deliver(['first']);
    expect(await intake.pass()).toBe(1);
    intake.server.bumpUidValidity(USER, 'INBOX');
    intake.deliver(['second']);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(['first', 'second']);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ skipped: 500, stored: 2 });
    await expectAccounted(intake);
  });

  it('T7.1 the same, when the server also announces other sizes', async () => {
    const intake = await startIntake({ firstSync: 'now' });
    const { server } = intake;
    for (let index = 1; index <= 30; index += 1)
      server.deliver(USER, 'INBOX', simpleMessage(`m${index}`), { internalDate: new Date(index * 1e9) });
    await intake.pass();
    server.faults.add({ at: 'fetch', action: { do: 'claim-size', bytes: 777 } });
    server.bumpUidValidity(USER, 'INBOX');
    intake.deliver(['second']);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(['second']);
    await expectAccounted(intake);
  });

  it('T7.1 a message that could not be fetched keeps its row and its attempts', async () => {
    const intake = await startIntake({ dedup: 'none' });
    intake.deliver(names(1, 5));
    intake.server.faults.add({ at: 'fetch', uids: [3], action: { do: 'nil' } });
    await intake.pass();
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 4, pending: 1 });
    intake.server.bumpUidValidity(USER, 'INBOX');
    await intake.pass();
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 4, pending: 1 });
    intake.server.faults.clear();
    await retryNow(intake);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(names(1, 5));
    await expectAccounted(intake);
  });

  it('T7.1 a known message that cannot be read during the repair is recognised when it can be', async () => {
    const intake = await startIntake({ dedup: 'none' });
    intake.deliver(names(1, 5));
    await intake.pass();
    intake.server.bumpUidValidity(USER, 'INBOX');
    const heal = intake.server.faults.add({ at: 'fetch', uids: [3], action: { do: 'nil' } });
    await intake.pass();
    heal();
    await retryNow(intake);
    expect(await intake.pass()).toBe(0);
    expect(await intake.subjects()).toEqual(names(1, 5));
    await expectAccounted(intake);
  });
});

describe('T7.1 UIDVALIDITY changes in the middle of a pass', () => {
  for (const call of ['changes', 'page', 'fetch', 'dispose', 'keys']) {
    it(`T7.1 before ${call}: repaired by the passes that follow`, async () => {
      const intake = await startIntake({ after: 'seen', dedup: 'none' });
      intake.deliver(names(1, 20));
      let done = false;
      const renumber = (): void => {
        if (done) return;
        done = true;
        intake.remove(['m1']);
        intake.server.bumpUidValidity(USER, 'INBOX');
        intake.deliver(names(101, 105));
      };
      await intake
        .pass({ wrap: (session) => stepping(session, (_step, at) => void (at === call && renumber())) })
        .catch((error: unknown) => expect(error).toMatchObject({ code: 'folder_changed' }));
      expect(done).toBe(true);
      await intake.pass();
      expect(await intake.pass()).toBe(0);
      // m1 was deleted under our hands: it may have been read before.
      const subjects = (await intake.subjects()).filter((subject) => subject !== 'm1');
      expect(subjects).toEqual([...names(2, 20), ...names(101, 105)].sort());
      await expectAccounted(intake);
      expect(countBy(await intake.ledger(), (row) => row.disposition)).not.toHaveProperty('pending');
    });
  }

  it('T7.1 a session answers about no other folder than the one that was opened', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 3));
    const session = await intake.source().connect(AbortSignal.timeout(20_000));
    await session.open('INBOX');
    await session.currentCursor();
    intake.server.bumpUidValidity(USER, 'INBOX');
    await expect(session.currentCursor()).rejects.toMatchObject({ code: 'folder_changed' });
    // Nothing works until it is opened again, under its new epoch.
    await expect(session.existing(['1'])).rejects.toMatchObject({ code: 'internal' });
    await session.open('INBOX');
    await session.currentCursor();
    intake.server.bumpUidValidity(USER, 'INBOX');
    expect(await session.changes(null)).toMatchObject({ lost: true });
    await session.open('INBOX');
    const cursor = await session.currentCursor();
    const pinned = await session.changes(null, cursor);
    expect(pinned).toMatchObject({ lost: false, total: 3 });
    expect(await session.changes(null, '{"uidValidity":"1","lastUid":9}')).toMatchObject({ lost: true });
    await session.close();
  });

  it('T7.1 an effect that is due never meets a renumbered folder', async () => {
    const intake = await startIntake({ after: 'delete' });
    intake.deliver(names(1, 20));
    const heal = intake.server.faults.add({ at: 'store', action: { do: 'no', text: 'Not now' } });
    const pass = intake.pass({
      wrap: (session) => ({
        ...stepping(session, () => undefined),
        keys: async function* () {
          heal();
          await retryNow(intake);
          intake.remove(['m1']);
          intake.server.bumpUidValidity(USER, 'INBOX');
          // This one gets the UID that belonged to m20, whose deletion is due.
          intake.deliver(['innocent']);
          yield* session.keys();
        },
      }),
    });
    await expect(pass).rejects.toMatchObject({ code: 'folder_changed' });
    expect(intake.onServer()).toEqual([...names(2, 20), 'innocent']);
    await intake.pass();
    expect(intake.onServer()).toEqual([]);
    expect(await intake.subjects()).toEqual([...names(1, 20), 'innocent'].sort());
  });

  it('T7.1 in the middle of a first sync from now', async () => {
    const intake = await startIntake({ firstSync: 'now' });
    intake.deliver(names(1, 900));
    // Mail is stamped with the time it comes; what was there came before the mailbox was made.
    await intake.db
      .updateTable('mailbox')
      .set({ created_at: new Date(Date.now() + 1000) })
      .execute();
    await intake.change({});
    const broken = intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call !== 'page') return;
          if (intake.toldOf('batch.stored').length > 0) throw fail('connection_lost', 'in the middle');
        }),
    });
    await expect(broken).rejects.toMatchObject({ code: 'connection_lost' });
    intake.server.bumpUidValidity(USER, 'INBOX');
    intake.server.deliver(USER, 'INBOX', simpleMessage('new'), {
      internalDate: new Date(Date.now() + 3_600_000),
    });
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(['new']);
    await expectAccounted(intake);
  });
});

describe('T7.3 mail that comes during the repair', () => {
  for (const call of ['changes', 'page', 'fingerprints', 'fetch']) {
    it(`T7.3 before ${call}: taken once`, async () => {
      const intake = await startIntake({ dedup: 'none' });
      intake.deliver(names(1, 500));
      await intake.pass();
      intake.server.bumpUidValidity(USER, 'INBOX');
      intake.deliver(['first']);
      let done = false;
      await intake.pass({
        wrap: (session) =>
          stepping(session, (_step, at) => {
            if (at !== call || done) return;
            done = true;
            intake.deliver(['meanwhile']);
          }),
      });
      expect(done).toBe(true);
      await intake.pass();
      expect(await intake.subjects()).toEqual([...names(1, 500), 'first', 'meanwhile'].sort());
      await expectAccounted(intake);
    });
  }
});

describe('T7.4 the repair is interrupted', () => {
  it('T7.4 the session dies again and again, a little later each time: still exact', async () => {
    const intake = await startIntake({ dedup: 'none', after: 'seen' });
    intake.deliver(names(1, 900));
    await intake.pass();
    intake.remove(['m10', 'm440']);
    intake.server.bumpUidValidity(USER, 'INBOX');
    intake.deliver(['new1', 'new2']);
    let passes = 0;
    let added = 0;
    for (let allowed = 1; ; allowed = Math.ceil(allowed * 1.6)) {
      passes += 1;
      const pass = intake.pass({
        wrap: (session) =>
          stepping(session, (step) => {
            if (step > allowed) throw fail('connection_lost', `after ${allowed} steps`);
          }),
      });
      const result = await pass.catch((error: { code?: string }) => error);
      if (typeof result === 'number') {
        added = result;
        break;
      }
      expect(result.code).toBe('connection_lost');
    }
    expect(passes).toBeGreaterThan(8);
    expect(added).toBeLessThanOrEqual(2);
    expect(await intake.subjects()).toEqual([...names(1, 900), 'new1', 'new2'].sort());
    expect(intake.toldOf('folder.resynced').map(({ gone }) => gone)).toEqual([2]);
    await expectAccounted(intake);
    expect(intake.server.messages(USER).every(({ flags }) => flags.has('\\Seen'))).toBe(true);
  });

  for (const at of [2, 4, 150, 203, 206, 208, 215]) {
    it(`T7.4 dropped at step ${at} and begun anew: still exact`, async () => {
      const intake = await startIntake({ dedup: 'none' });
      intake.deliver(names(1, 210));
      await intake.pass();
      intake.server.bumpUidValidity(USER, 'INBOX');
      intake.deliver(['new1', 'new2']);
      let reached = false;
      const pass = intake.pass({
        wrap: (session) =>
          stepping(session, (step) => {
            if (step < at) return;
            reached = true;
            throw fail('connection_lost', 'gone');
          }),
      });
      await expect(pass).rejects.toMatchObject({ code: 'connection_lost' });
      expect(reached).toBe(true);
      await intake.pass();
      expect(await intake.subjects()).toEqual([...names(1, 210), 'new1', 'new2'].sort());
      await expectAccounted(intake);
    });
  }

  it('T7.4 another process takes the mailbox in the middle: the first one writes nothing more', async () => {
    const intake = await startIntake({ dedup: 'none' });
    intake.deliver(names(1, 600));
    await intake.pass();
    intake.server.bumpUidValidity(USER, 'INBOX');
    intake.deliver(['new']);
    const first = intake.held.leaseToken;
    const pass = intake.pass({
      wrap: (session) =>
        stepping(session, (step) => {
          if (step === 100)
            void intake.db
              .updateTable('lease')
              .set({ token: first + 1 })
              .execute();
        }),
    });
    await expect(pass).rejects.toMatchObject({ code: 'lease_lost' });
    intake.held.leaseToken = first + 1;
    await intake.pass();
    expect(await intake.subjects()).toEqual([...names(1, 600), 'new'].sort());
    await expectAccounted(intake);
  });

  it('T7.4 a message that breaks the session whenever it is read does not stop the repair', async () => {
    const intake = await startIntake({ dedup: 'none' });
    intake.deliver(names(1, 30));
    await intake.pass();
    intake.server.bumpUidValidity(USER, 'INBOX');
    intake.deliver(['new']);
    intake.server.faults.add({ at: 'fetch', uids: [9], action: { do: 'cut', after: 3, end: 'reset' } });
    for (let round = 0; round < 8; round += 1) {
      await intake.pass({ careful: true }).catch(() => undefined);
      await retryNow(intake);
    }
    expect(await intake.subjects()).toEqual([...names(1, 30), 'new'].sort());
    const states = countBy(await intake.ledger(), (row) => row.state);
    expect(states).toEqual({ stored: 31, fetch_failed: 1 });
    await expectAccounted(intake);
  });
});
