/** What is done on the server after the commit, when things go wrong in between. */
import { describe, expect, it } from 'vitest';
import { PenstockError } from '../../src/errors.ts';
import { startGmailIntake } from '../support/gmail-intake.ts';
import { deliver, lookInto, startGmailLab } from '../support/gmail-lab.ts';
import { countBy, names, stepping } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

const ADDRESS = 'desk@example.com';

async function start(count: number) {
  const lab = await startGmailLab();
  const mailbox = lab.addUser(ADDRESS);
  const ids = Array.from({ length: count }, (_value, index) => deliver(mailbox, simpleMessage(`m${index}`)));
  const session = await lab.source(ADDRESS).connect(new AbortController().signal);
  await session.open('INBOX');
  return { lab, mailbox, ids, session };
}

describe('T20.1 moved, and not recorded', () => {
  it('is not moved again when a person moved it elsewhere since', async () => {
    const { mailbox, ids, session } = await start(3);
    await session.dispose(ids, 'move', 'Done');
    const done = [...mailbox.labels.values()].find(({ name }) => name === 'Done')!;
    mailbox.modify(mailbox.messages.get(ids[0]!)!, [], [done.id]);
    expect([...(await session.dispose(ids, 'move', 'Done')).values()]).toEqual(['gone', 'gone', 'gone']);
    expect(await lookInto(mailbox, 'Done')).toHaveLength(2);
  });

  it('the answer was lost on the way: done all the same', async () => {
    const { lab, mailbox, ids, session } = await start(2);
    lab.server.faults.add({ at: 'modify', action: { do: 'lose' }, times: 1 });
    expect([...(await session.dispose(ids, 'move', 'Done')).values()]).toEqual(['done', 'done']);
    expect(await lookInto(mailbox, 'Done')).toHaveLength(2);
    expect(await lookInto(mailbox, 'INBOX')).toEqual([]);
  });
});

describe('T20.2 a person was there first', () => {
  it('what left the inbox stays where it was put', async () => {
    const gmail = await startGmailIntake({ after: 'move', afterFolder: 'Done' });
    const ids = gmail.deliver(names(1, 10));
    const label = gmail.mailbox.addLabel('Mine')!;
    const moved = gmail.mailbox.messages.get(ids[4]!)!;
    const tidyUp: Parameters<typeof stepping>[1] = (_step, call) => {
      if (call === 'dispose') gmail.mailbox.modify(moved, [label.id], ['INBOX']);
    };
    expect(await gmail.pass({ wrap: (session) => stepping(session, tidyUp) })).toBe(10);
    expect(countBy(await gmail.intake.ledger(), (row) => row.disposition)).toEqual({ done: 9, gone: 1 });
    expect([...moved.labels]).toContain(label.id);
    expect(await lookInto(gmail.mailbox, 'Done')).toHaveLength(9);
    // Our own moves are no arrivals.
    expect(await gmail.pass()).toBe(0);
  });
});

describe('T20.3 what others labelled', () => {
  it('keeps its other labels, and the trash is where deleted mail goes', async () => {
    const { mailbox, ids, session } = await start(2);
    const message = mailbox.messages.get(ids[0]!)!;
    mailbox.modify(message, ['STARRED'], []);
    await session.dispose([ids[0]!], 'move', 'archive');
    expect([...message.labels].sort()).toEqual(['STARRED', 'UNREAD']);
    await session.dispose([ids[1]!], 'delete', null);
    expect([...mailbox.messages.get(ids[1]!)!.labels]).toContain('TRASH');
    expect([...mailbox.labels.values()].map(({ name }) => name)).not.toContain('archive');
  });
});

describe('T20.4 the target', () => {
  it('is made when it is missing, even when somebody else makes it at the same moment', async () => {
    const { lab, mailbox, ids, session } = await start(1);
    lab.server.faults.add({
      at: 'createLabel',
      action: {
        do: 'answer',
        status: 409,
        body: {
          error: { code: 409, message: 'Label name exists or conflicts', errors: [{ reason: 'aborted' }] },
        },
      },
      times: 1,
    });
    const [refused] = (await session.dispose(ids, 'move', 'Done')).values();
    expect(refused).toMatchObject({ code: 'conflict' });
    mailbox.addLabel('done');
    expect([...(await session.dispose(ids, 'move', 'Done')).values()]).toEqual(['done']);
    expect(await lookInto(mailbox, 'done')).toHaveLength(1);
  });

  it('is the folder itself: nothing to do', async () => {
    const { mailbox, ids, session } = await start(1);
    expect([...(await session.dispose(ids, 'move', 'inbox')).values()]).toEqual(['done']);
    expect(await lookInto(mailbox, 'INBOX')).toHaveLength(1);
  });

  it('may not be changed for lack of a scope: mail is taken all the same', async () => {
    const gmail = await startGmailIntake({ after: 'seen' });
    gmail.deliver(names(1, 3));
    const body = {
      error: { code: 403, message: 'Insufficient', errors: [{ reason: 'insufficientPermissions' }] },
    };
    gmail.lab.server.faults.add({ at: 'modify', action: { do: 'answer', status: 403, body } });
    expect(await gmail.pass()).toBe(3);
    expect(gmail.intake.toldOf('disposition.failed')).toMatchObject([{ failed: 3, code: 'consent_needed' }]);
    expect(countBy(await gmail.intake.ledger(), (row) => row.disposition)).toEqual({ pending: 3 });
  });

  it('an error about one message is one about that message', async () => {
    const { lab, ids, session } = await start(3);
    const body = { error: { code: 400, message: 'No', errors: [{ reason: 'invalidArgument' }] } };
    lab.server.faults.add({ at: 'modify', about: ids[1]!, action: { do: 'answer', status: 400, body } });
    const results = await session.dispose(ids, 'seen', null);
    expect([...results.values()].map((one) => (one instanceof PenstockError ? one.code : one))).toEqual([
      'done',
      'server_protocol',
      'done',
    ]);
  });
});
