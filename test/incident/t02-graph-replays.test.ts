/** Graph lists messages again and again: between pages, between rounds, and after each change of its own or of ours. */
import { describe, expect, it } from 'vitest';
import { startGraphIntake } from '../support/graph-intake.ts';
import { ANN, startGraphLab } from '../support/graph-lab.ts';
import { names, stepping } from '../support/intake.ts';

describe('T2.1 items that come again', () => {
  it('T2.1 repeated within a round and in each round: taken once', async () => {
    const intake = await startGraphIntake({ dedup: 'none' });
    intake.server.delta.script.repeats = 3;
    intake.lab.deliver(...names(1, 410));
    expect(await intake.pass()).toBe(410);
    for (let round = 1; round <= 3; round += 1) expect(await intake.pass()).toBe(0);
    intake.lab.deliver('new');
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual([...names(1, 410), 'new'].sort());
    expect(await intake.ledger()).toHaveLength(411);
  });

  it('T2.1 our own marks and moves come back as changes, and are no new mail', async () => {
    const intake = await startGraphIntake({ dedup: 'none', after: 'seen' });
    intake.lab.deliver(...names(1, 10));
    expect(await intake.pass()).toBe(10);
    expect(await intake.pass()).toBe(0);
    expect(intake.server.count('value')).toBe(10);
  });

  it('T2.1 moved to another folder and back by a person: the id stays, and nothing is taken twice', async () => {
    const intake = await startGraphIntake({ dedup: 'none' });
    const [key = ''] = intake.lab.deliver('m1');
    await intake.pass();
    const mailbox = intake.server.mailbox(ANN);
    const message = mailbox.message(key)!;
    const before = message.id;
    mailbox.move(message, mailbox.folder('archive')!);
    expect(await intake.pass()).toBe(0);
    mailbox.move(message, mailbox.folder('inbox')!);
    expect(await intake.pass()).toBe(0);
    // Its other id, which a client gets that does not ask for the immutable one, is another one now.
    expect(message.id).not.toBe(before);
    expect(await intake.ledger()).toHaveLength(1);
  });

  it('T2.1 every request asks for immutable ids', async () => {
    const intake = await startGraphIntake({ after: 'move', afterFolder: 'Done' });
    intake.lab.deliver(...names(1, 3));
    await intake.pass();
    await intake.pass();
    const without = intake.server.requests.filter(({ prefer }) => !prefer.includes('IdType="ImmutableId"'));
    expect(intake.server.requests.length).toBeGreaterThan(10);
    expect(without).toEqual([]);
  });
});

describe('T2 a first sync from now on', () => {
  it('T2 passes over what was there, exactly, and takes what comes while it lists', async () => {
    const intake = await startGraphIntake({ dedup: 'none', firstSync: 'now' });
    const old = new Date('2020-01-01T00:00:00Z');
    for (const subject of names(1, 230)) {
      const message = Buffer.from(`Subject: ${subject}\r\n\r\n`);
      intake.server.deliver(ANN, message, { receivedDateTime: old });
    }
    // A moment ago, in the same second as what is to be taken.
    intake.lab.deliver('just-before');
    let came = false;
    await intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call === 'changes' && !came) intake.lab.deliver('while-it-lists');
          came ||= call === 'changes';
        }),
    });
    intake.lab.deliver('later');
    await intake.pass();
    expect(await intake.subjects()).toEqual(['later', 'while-it-lists']);
    const rows = await intake.ledger();
    expect(rows.filter(({ state }) => state === 'skipped')).toHaveLength(231);
    expect(intake.server.count('value')).toBe(2);
  });

  it('T2 costs one request, whatever the folder holds', async () => {
    const lab = await startGraphLab();
    lab.deliver(...names(1, 1500));
    const session = await lab.session();
    const before = lab.server.requests.length;
    const cursor = await session.currentCursor();
    expect(lab.server.requests.length - before).toBe(1);
    // A thousand of them are known by their ids, the others by their time or not at all: those are taken for new.
    expect(cursor.length).toBeLessThan(32 * 1024);
  });
});
