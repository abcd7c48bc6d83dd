/** What is done on the server after the commit, when it is half done, or when somebody else was there first. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { type GraphIntake, startGraphIntake } from '../support/graph-intake.ts';
import { ANN, GOOD_TOKEN, startGraphLab } from '../support/graph-lab.ts';
import { countBy, names, stepping } from '../support/intake.ts';

const retryNow = (intake: GraphIntake): Promise<unknown> =>
  intake.db.updateTable('ledger').set({ next_disposition_at: null }).execute();

const states = async (intake: GraphIntake): Promise<Record<string, number>> =>
  countBy(await intake.ledger(), ({ disposition }) => disposition);

describe('T20.1 a crash between the commit and its effect', () => {
  for (const after of ['seen', 'move', 'delete'] as const) {
    for (const call of ['changes', 'page', 'fetch', 'dispose', 'keys']) {
      it(`T20.1 ${after}: broken off at ${call}, it ends done, and nothing is taken twice`, async () => {
        const afterFolder = after === 'move' ? 'Done' : null;
        const intake = await startGraphIntake({ dedup: 'none', after, afterFolder });
        intake.lab.deliver('m1', 'm2', 'm3');
        const broken = intake.pass({
          wrap: (session) =>
            stepping(session, (_step, at) => {
              if (at === call) throw fail('connection_lost', `at ${call}`);
            }),
        });
        await expect(broken).rejects.toMatchObject({ message: `at ${call}` });
        await intake.pass();
        await intake.pass();
        expect(await intake.subjects()).toEqual(['m1', 'm2', 'm3']);
        expect(await states(intake)).toEqual({ done: 3 });
        const { messages } = intake.server.mailbox(ANN).folder('inbox')!;
        expect(messages.map(({ isRead }) => isRead)).toEqual(after === 'seen' ? [true, true, true] : []);
        if (after === 'move') expect(intake.onServer('Done')).toEqual(['m1', 'm2', 'm3']);
      });
    }
  }

  for (const [name, action] of [
    ['the connection breaks', { do: 'act-and-reset' }],
    ['the gateway says 504', { do: 'act-and-answer', status: 504, code: 'UnknownError' }],
    ['the server says 503', { do: 'act-and-answer', status: 503, code: 'ErrorServerBusy' }],
  ] as const) {
    it(`T20.1 the move was made, then ${name}: it is not made again`, async () => {
      const intake = await startGraphIntake({ dedup: 'none', after: 'move', afterFolder: 'Done' });
      intake.lab.deliver('m1');
      intake.server.faults.add({ at: 'move-message', action, times: 1 });
      await expect(intake.pass()).rejects.toMatchObject({ code: /connection_lost|server_busy/ });
      expect(intake.onServer('Done')).toEqual(['m1']);
      await retryNow(intake);
      expect(await intake.pass()).toBe(0);
      expect(intake.server.count('move-message')).toBe(1);
      expect(intake.onServer('Done')).toEqual(['m1']);
      expect(await states(intake)).toEqual({ gone: 1 });
      expect(await intake.subjects()).toEqual(['m1']);
    });
  }
});

describe('T20.2 somebody else was there first', () => {
  it('T20.2 what a person has moved elsewhere stays there, unmarked', async () => {
    for (const after of ['seen', 'move', 'delete'] as const) {
      const lab = await startGraphLab();
      const [key = ''] = lab.deliver('m1');
      const mailbox = lab.server.mailbox(ANN);
      const session = await lab.session();
      const message = mailbox.message(key)!;
      mailbox.move(message, mailbox.addFolder('Hers'));
      expect([...(await session.dispose([key], after, 'Done')).values()]).toEqual(['gone']);
      expect(message.folder.displayName).toBe('Hers');
      expect(message.isRead).toBe(false);
    }
  });

  it('T20.2 a message that a person moves before it was fetched is taken all the same', async () => {
    const intake = await startGraphIntake({ after: 'move', afterFolder: 'Done' });
    const [key = ''] = intake.lab.deliver('m1');
    const mailbox = intake.server.mailbox(ANN);
    let moved = false;
    await intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call !== 'fetch' || moved) return;
          moved = true;
          mailbox.move(mailbox.message(key)!, mailbox.addFolder('Hers'));
        }),
    });
    expect(await intake.subjects()).toEqual(['m1']);
    expect(await states(intake)).toEqual({ gone: 1 });
    expect(intake.onServer('Hers')).toEqual(['m1']);
  });
});

describe('T20.4 the target', () => {
  it('T20.4 is made anew when it was deleted, also below other folders', async () => {
    const intake = await startGraphIntake({ after: 'move', afterFolder: 'Desk/Done' });
    intake.lab.deliver('m1');
    await intake.pass();
    const mailbox = intake.server.mailbox(ANN);
    expect(intake.onServer('Done')).toEqual(['m1']);
    mailbox.removeFolder(mailbox.folder('Done')!);
    intake.lab.deliver('m2');
    await intake.pass();
    expect(intake.onServer('Done')).toEqual(['m2']);
    expect(intake.server.count('create-folder')).toBe(3);
  });

  it('T20.4 of a use is found whatever it is called', async () => {
    const intake = await startGraphIntake({ after: 'move', afterFolder: '\\Trash' });
    intake.server.mailbox(ANN).folder('deleteditems')!.displayName = 'Gelöschte Elemente';
    intake.lab.deliver('m1');
    await intake.pass();
    expect(intake.onServer('deleteditems')).toEqual(['m1']);
    expect(intake.server.count('create-folder')).toBe(0);
  });

  it('T20.4 must not be the folder itself', async () => {
    const lab = await startGraphLab();
    const keys = lab.deliver('m1');
    const session = await lab.session();
    const [result] = (await session.dispose(keys, 'move', 'inbox')).values();
    expect(result).toMatchObject({ code: 'config_invalid' });
  });
});

it('T20 without the permission to write mail is taken, and the server is asked once a batch', async () => {
  const intake = await startGraphIntake({ after: 'seen' });
  intake.server.grant(GOOD_TOKEN, ['read']);
  intake.lab.deliver(...names(1, 20));
  expect(await intake.pass()).toBe(20);
  expect(await states(intake)).toEqual({ pending: 20 });
  // Those that were under way at once.
  expect(intake.server.count('patch-message')).toBeLessThanOrEqual(3);
  expect(intake.toldOf('disposition.failed')).toMatchObject([{ code: 'permission_denied', failed: 20 }]);
  intake.server.grant(GOOD_TOKEN);
  await retryNow(intake);
  await intake.pass();
  expect(await states(intake)).toEqual({ done: 20 });
});
