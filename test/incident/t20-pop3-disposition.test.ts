/** A POP3 message is deleted when QUIT was answered with +OK, and never counts as deleted before (RFC 1939 section 6). */
import { describe, expect, it } from 'vitest';
import type { LabPop3Server } from '../../src/lab/pop3/server.ts';
import { countBy, type Intake, names, startPop3Intake, subjectOf, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { startPop3Lab } from '../support/pop3-lab.ts';

type Pop3Intake = Intake<LabPop3Server>;

const dispositions = async (intake: Pop3Intake): Promise<Record<string, number>> =>
  countBy(await intake.ledger(), (row) => `${row.state} ${row.disposition}`);

const hurry = (intake: Pop3Intake): Promise<unknown> =>
  intake.db.updateTable('ledger').set({ next_disposition_at: null }).execute();

describe('T20 delete over POP3', () => {
  it('T20 deletes what is safe, in the session that fetched it, after the commit', async () => {
    const intake = await startPop3Intake({ after: 'delete' });
    intake.deliver(names(1, 450));
    expect(await intake.pass()).toBe(450);
    expect(await dispositions(intake)).toEqual({ 'stored done': 450 });
    expect(intake.onServer()).toEqual([]);
    expect(intake.server.accepted).toBe(1);
    const said = intake.server.commands.map(({ name }) => name);
    expect(said.lastIndexOf('RETR')).toBeLessThan(said.indexOf('DELE'));
    expect(said.at(-1)).toBe('QUIT');
  });

  it('T20 leaves what is not safe here', async () => {
    const intake = await startPop3Intake({ after: 'delete', maxMessageBytes: 2_000 });
    intake.deliver(['m1', 'unreadable', 'm3']);
    intake.server.deliver(USER, simpleMessage('large', 'x'.repeat(3_000)));
    intake.server.faults.add({ at: 'retr', uids: [2], action: { do: 'err', text: 'cannot read' } });
    await intake.pass();
    expect(intake.onServer()).toEqual(['unreadable', 'large']);
    expect(await dispositions(intake)).toEqual({
      'stored done': 2,
      'pending none': 1,
      'oversized none': 1,
    });
  });

  it('T7b.2 T20.1 the connection is lost before QUIT: nothing is deleted, and the next session does it', async () => {
    for (const action of ['drop', 'reset'] as const) {
      const intake = await startPop3Intake({ after: 'delete' });
      intake.deliver(names(1, 5));
      intake.server.faults.add({ at: 'quit', action: { do: action }, times: 1 });
      await expect(intake.pass()).rejects.toMatchObject({ code: 'connection_lost' });
      expect(intake.onServer()).toHaveLength(5);
      expect(await dispositions(intake)).toEqual({ 'stored pending': 5 });
      expect(await intake.pass()).toBe(0);
      expect(await dispositions(intake)).toEqual({ 'stored done': 5 });
      expect(intake.onServer()).toEqual([]);
      expect(await intake.subjects()).toEqual(names(1, 5));
    }
  });

  it('T20.1 the answer to QUIT is lost: the effect stays pending, and the next listing finds it done', async () => {
    const intake = await startPop3Intake({ after: 'delete' });
    intake.deliver(names(1, 5));
    intake.server.faults.add({ at: 'updated', action: { do: 'drop' }, times: 1 });
    await expect(intake.pass()).rejects.toMatchObject({ code: 'connection_lost' });
    expect(intake.onServer()).toEqual([]);
    expect(await dispositions(intake)).toEqual({ 'stored pending': 5 });
    intake.deliver(['new']);
    expect(await intake.pass()).toBe(1);
    expect(await dispositions(intake)).toEqual({ 'stored gone': 5, 'stored done': 1 });
    expect(await intake.subjects()).toEqual([...names(1, 5), 'new']);
  });

  it('T20 QUIT is refused: nobody knows what is left, so nothing counts as done until a listing says so', async () => {
    const intake = await startPop3Intake({ after: 'delete' });
    intake.deliver(names(1, 3));
    // The server removed one of them, and says that it did not remove all.
    intake.server.faults.add({
      at: 'quit',
      action: { do: 'err', text: '[SYS/TEMP] some deleted messages not removed' },
      times: 1,
    });
    await intake.pass();
    intake.remove(['m2']);
    expect(await dispositions(intake)).toEqual({ 'stored pending': 3 });
    await hurry(intake);
    await intake.pass();
    expect(await dispositions(intake)).toEqual({ 'stored gone': 1, 'stored done': 2 });
    expect(intake.onServer()).toEqual([]);
  });

  it('T20 DELE is refused for one: that one is tried again, the others are gone', async () => {
    const intake = await startPop3Intake({ after: 'delete' });
    intake.deliver(names(1, 3));
    intake.server.faults.add({ at: 'dele', uids: [2], action: { do: 'err', text: 'not now' }, times: 1 });
    await intake.pass();
    expect(intake.onServer()).toEqual(['m2']);
    expect(intake.toldOf('disposition.failed')).toMatchObject([
      { failed: 1, message: expect.stringContaining('not now') },
    ]);
    await hurry(intake);
    await intake.pass();
    expect(await dispositions(intake)).toEqual({ 'stored done': 3 });
  });

  it('T20 a server that says +OK and keeps the message is found out, and is asked again', async () => {
    const intake = await startPop3Intake({ after: 'delete' });
    intake.deliver(['m1']);
    intake.server.faults.add({ at: 'dele', action: { do: 'pretend' }, times: 1 });
    await intake.pass();
    // +OK to DELE and to QUIT is all the proof there is (RFC 1939); what is still listed is known, and not taken again.
    expect(intake.onServer()).toEqual(['m1']);
    expect(await intake.pass()).toBe(0);
    expect(await intake.subjects()).toEqual(['m1']);
  });

  it('T20.2 somebody else deleted it meanwhile', async () => {
    const lab = await startPop3Lab();
    lab.fill(3);
    const first = await lab.session();
    await first.close();
    const taken = lab.server.messages('ann')[1]!;
    lab.server.store.folder('ann', 'INBOX').remove(new Set([taken]));
    const session = await lab.session();
    expect(Object.fromEntries(await session.dispose(['1', '2', '3'], 'delete', null))).toEqual({
      1: 'done',
      2: 'gone',
      3: 'done',
    });
    await expect(session.existing(['1'])).rejects.toMatchObject({ code: 'connection_lost' });
  });

  it('T20 the session goes on when there was nothing to delete', async () => {
    const lab = await startPop3Lab();
    lab.fill(1);
    const session = await lab.session();
    expect(Object.fromEntries(await session.dispose(['7'], 'delete', null))).toEqual({ 7: 'gone' });
    expect(await session.existing(['1'])).toEqual(new Set(['1']));
  });
});

describe('T1 what was read may be hidden by the server once QUIT was said (Gmail)', () => {
  it('T1 QUIT is not said after a pass that failed, so that the messages come again', async () => {
    const intake = await startPop3Intake();
    intake.deliver(names(1, 5));
    intake.server.faults.add({
      at: 'retr',
      uids: [4],
      action: { do: 'cut', after: 10, end: 'drop' },
      times: 1,
    });
    await expect(intake.pass()).rejects.toMatchObject({ code: 'connection_lost' });
    const broken = await intake.source().connect(new AbortController().signal);
    await broken.open('INBOX');
    for await (const answer of broken.fetch(['1'], 10_000)) expect(answer).toHaveProperty('bytes');
    await broken.close();
    expect(intake.server.countCommands('QUIT')).toBe(0);
  });

  it('T1 QUIT is said when nothing was read, and after a pass that is complete', async () => {
    const intake = await startPop3Intake();
    intake.deliver(['m1']);
    const looked = await intake.source().connect(new AbortController().signal);
    await looked.open('INBOX');
    await looked.close();
    expect(intake.server.countCommands('QUIT')).toBe(1);
    const session = await intake.source().connect(new AbortController().signal);
    await session.open('INBOX');
    for await (const answer of session.fetch(['1'], 10_000)) {
      expect('bytes' in answer && subjectOf(answer.bytes)).toBe('m1');
    }
    expect(await session.wait(0, new AbortController().signal)).toBe('parted');
    expect(intake.server.countCommands('QUIT')).toBe(2);
  });
});
