/** Graph forgets how far a folder was listed, whenever it likes. No mail may come twice or be lost. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { type GraphIntake, startGraphIntake } from '../support/graph-intake.ts';
import { ANN, startGraphLab } from '../support/graph-lab.ts';
import { countBy, names, stepping } from '../support/intake.ts';

/** Every message on the server has one row, and no key has two of one epoch. */
async function expectAccounted(intake: GraphIntake): Promise<void> {
  const { messages } = intake.server.mailbox(ANN).folder('inbox')!;
  const rows = await intake.ledger();
  const last = rows.at(-1)!.epoch;
  const keys = rows.filter(({ epoch }) => epoch === last).map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
  for (const { immutableId } of messages) expect(keys).toContain(immutableId);
}

describe('T7.2 the delta token is lost', () => {
  it('T7.2 410 on the delta link: all is listed anew, 3 new are taken, nothing known is fetched again', async () => {
    const intake = await startGraphIntake({ dedup: 'none' });
    intake.lab.deliver(...names(1, 250));
    expect(await intake.pass()).toBe(250);
    intake.server.delta.expire();
    intake.remove('m7', 'm200');
    intake.lab.deliver('new1', 'new2', 'new3');
    const fetchedBefore = intake.server.count('value');
    expect(await intake.pass()).toBe(3);
    expect(await intake.subjects()).toEqual([...names(1, 250), 'new1', 'new2', 'new3'].sort());
    // The new ones: once to recognise them, once to take them.
    expect(intake.server.count('value') - fetchedBefore).toBe(6);
    expect(intake.toldOf('folder.resync')).toHaveLength(1);
    expect(intake.toldOf('folder.resynced')).toMatchObject([{ added: 3 }]);
    await expectAccounted(intake);
    expect(await intake.pass()).toBe(0);
    expect(intake.toldOf('folder.resync')).toHaveLength(1);
  });

  for (const [status, code] of [
    [410, 'syncStateNotFound'],
    [404, 'SyncStateNotFound'],
    [400, 'SyncStateInvalid'],
    [410, 'resyncRequired'],
    [410, ''],
  ] as const) {
    it(`T7.2 ${status} ${code || 'without a code'} means that the position is lost`, async () => {
      const intake = await startGraphIntake({ dedup: 'none' });
      intake.lab.deliver('m1', 'm2');
      await intake.pass();
      intake.lab.deliver('m3');
      intake.server.faults.add({ at: 'delta', action: { do: 'answer', status, code }, times: 1 });
      expect(await intake.pass()).toBe(1);
      expect(await intake.subjects()).toEqual(['m1', 'm2', 'm3']);
      expect(intake.toldOf('folder.resync')).toHaveLength(1);
    });
  }

  it('T7.2 a link to a page dies in mid-paging: the round begins anew, without a repair', async () => {
    const intake = await startGraphIntake({ dedup: 'none' });
    intake.lab.deliver(...names(1, 450));
    const interrupted = intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          // Before the fetch of the third page; the first one is committed with its link by then.
          if (call === 'fetch' && intake.server.count('value') >= 400) {
            throw fail('connection_lost', 'in mid-paging');
          }
        }),
    });
    await expect(interrupted).rejects.toMatchObject({ code: 'connection_lost' });
    expect(await intake.cursor()).toContain('skiptoken');
    intake.server.delta.expire(['skip']);
    await intake.pass();
    expect(await intake.subjects()).toEqual(names(1, 450).sort());
    expect(intake.toldOf('folder.resync')).toEqual([]);
    await expectAccounted(intake);
  });

  it('T7.2 the link dies while its page is being read: the pass fails, and the next one is exact', async () => {
    const intake = await startGraphIntake({ dedup: 'none' });
    intake.lab.deliver(...names(1, 450));
    intake.server.faults.add({
      at: 'delta',
      action: { do: 'answer', status: 410, code: 'syncStateNotFound' },
      after: 1,
      times: 1,
    });
    await expect(intake.pass()).rejects.toMatchObject({ code: 'folder_changed' });
    await intake.pass();
    expect(await intake.subjects()).toEqual(names(1, 450).sort());
    await expectAccounted(intake);
  });

  it('T7.3 mail that comes during the repair is taken once', async () => {
    const intake = await startGraphIntake({ dedup: 'none' });
    intake.lab.deliver(...names(1, 250));
    await intake.pass();
    intake.server.delta.expire();
    intake.lab.deliver('new');
    let late = false;
    await intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call !== 'page' || late) return;
          late = true;
          intake.lab.deliver('late');
        }),
    });
    await intake.pass();
    expect(await intake.subjects()).toEqual([...names(1, 250), 'late', 'new'].sort());
    await expectAccounted(intake);
  });

  for (const call of ['open', 'changes', 'page', 'fingerprints', 'fetch', 'dispose']) {
    it(`T7.4 a repair that is broken off at ${call} ends exact`, async () => {
      const intake = await startGraphIntake({ dedup: 'none', after: 'move', afterFolder: 'Done' });
      intake.lab.deliver('m1', 'm2');
      await intake.pass();
      intake.lab.deliver('m3', 'm4');
      intake.server.delta.expire();
      const broken = intake.pass({
        wrap: (session) =>
          stepping(session, (_step, at) => {
            if (at === call) throw fail('connection_lost', `at ${call}`);
          }),
      });
      await expect(broken).rejects.toMatchObject({ message: `at ${call}` });
      await intake.pass();
      expect(await intake.subjects()).toEqual(['m1', 'm2', 'm3', 'm4']);
      expect(intake.onServer()).toEqual([]);
      expect(intake.onServer('Done').sort()).toEqual(['m1', 'm2', 'm3', 'm4']);
    });
  }
});

describe('T7.1 the folder, or the mailbox, is another one', () => {
  it('T7.1 the folder was deleted and made anew: what was moved back is known by its id', async () => {
    const intake = await startGraphIntake({ dedup: 'none', folders: ['Support'] });
    const mailbox = intake.server.mailbox(ANN);
    const first = mailbox.addFolder('Support');
    intake.lab.deliver('m1', 'm2', 'm3');
    const inbox = mailbox.folder('inbox')!;
    for (const message of [...inbox.messages]) mailbox.move(message, first);
    expect(await intake.pass()).toBe(3);
    const second = mailbox.addFolder('Support2');
    for (const message of first.messages.slice(0, 2)) mailbox.move(message, second);
    mailbox.removeFolder(first);
    second.displayName = 'Support';
    intake.lab.deliver('m4');
    mailbox.move(inbox.messages[0]!, second);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(['m1', 'm2', 'm3', 'm4']);
  });

  it('T7.1 another mailbox got the address: known messages are recognised by content, new ones taken', async () => {
    const intake = await startGraphIntake({ dedup: 'none' });
    intake.lab.deliver(...names(1, 30));
    await intake.pass();
    const before = await intake.ledger();
    const old = intake.server.mailbox(ANN).folder('inbox')!.messages;
    intake.server.addMailbox(ANN);
    for (const { content, receivedDateTime } of old.slice(2))
      intake.server.deliver(ANN, content, { receivedDateTime });
    intake.lab.deliver('new');
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual([...names(1, 30), 'new'].sort());
    expect(intake.toldOf('folder.resynced')).toMatchObject([{ matched: 28, added: 1, gone: 2 }]);
    const after = await intake.ledger();
    expect(after).toHaveLength(31);
    expect(after[5]!.key).not.toBe(before[5]!.key);
    expect(after[5]!.email).toBe(before[5]!.email);
    await expectAccounted(intake);
  });

  it('T7.1 so it is when that happens while the session lives', async () => {
    const lab = await startGraphLab();
    lab.deliver('m1');
    const session = await lab.session();
    const before = await session.open('INBOX');
    expect((await session.open('INBOX')).epoch).toBe(before.epoch);
    lab.server.addMailbox(ANN);
    expect((await session.open('INBOX')).epoch).not.toBe(before.epoch);
  });

  it('T7.1 a stored link to another host is not followed', async () => {
    const intake = await startGraphIntake({ dedup: 'none' });
    intake.lab.deliver('m1');
    await intake.pass();
    const cursor = JSON.parse((await intake.cursor())!) as { link: string };
    cursor.link = cursor.link.replace(intake.server.host, 'graph.example.net');
    await intake.db
      .updateTable('folder')
      .set({ cursor: JSON.stringify(cursor) })
      .execute();
    intake.lab.deliver('m2');
    expect(await intake.pass()).toBe(1);
    expect(intake.toldOf('folder.resync')).toHaveLength(1);
    expect(countBy(await intake.ledger(), ({ state }) => state)).toEqual({ stored: 2 });
  });
});
