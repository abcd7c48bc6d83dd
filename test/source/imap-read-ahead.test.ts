/** Bytes that come with a listing: fewer commands, and never another message's bytes. */
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { ReadAhead } from '../../src/source/imap/read-ahead.ts';
import type { Fetched, Session } from '../../src/source/source.ts';
import { collect, type Lab, startLab } from '../support/imap-lab.ts';
import { simpleMessage } from '../support/messages.ts';

const LARGE = 'x'.repeat(LIMITS.readAheadBytes);

describe('what is read ahead', () => {
  const page = (ahead: ReadAhead, messages: number, wanted: number): boolean => {
    const reads = ahead.begin(messages);
    for (let uid = 1; uid <= messages; uid += 1) if (reads) ahead.keep(uid, Buffer.from('x'));
    for (let uid = 1; uid <= wanted; uid += 1) if (ahead.take(uid) === null) ahead.note(Buffer.from('x'));
    return reads;
  };

  it('is a few messages always, and many when nearly all before were small and wanted', () => {
    const ahead = new ReadAhead();
    expect(page(ahead, 20, 0)).toBe(true);
    expect(page(ahead, 21, 0)).toBe(false);
    expect(page(ahead, 100, 100)).toBe(false);
    expect(page(ahead, 100, 90)).toBe(true);
    expect(page(ahead, 100, 89)).toBe(true);
    expect(page(ahead, 100, 100)).toBe(false);
    expect(page(ahead, 100, 0)).toBe(true);
    expect(page(ahead, 1, 0)).toBe(true);
  });

  it('is handed out once, until the next page or folder; nothing empty and nothing large', () => {
    const ahead = new ReadAhead();
    ahead.begin(3);
    ahead.keep(1, Buffer.from('one'));
    ahead.keep(2, Buffer.alloc(0));
    ahead.keep(3, Buffer.alloc(LIMITS.readAheadBytes + 1));
    expect([ahead.take(1)?.toString(), ahead.take(1), ahead.take(2), ahead.take(3)]).toEqual([
      'one',
      null,
      null,
      null,
    ]);
    ahead.keep(1, Buffer.from('one'));
    ahead.begin(1);
    expect(ahead.take(1)).toBeNull();
    ahead.keep(1, Buffer.from('one'));
    ahead.forget();
    expect(ahead.take(1)).toBeNull();
  });
});

describe('a listing that is fetched', () => {
  it('brings small messages with it, in one command; a large one is asked for by itself', async () => {
    const lab = await startLab();
    lab.fill(2);
    lab.server.deliver('ann', 'INBOX', simpleMessage('large', LARGE));
    const session = await lab.session();
    const before = fetches(lab);
    const keys = await listed(session);
    expect(keys).toEqual(['1', '2', '3']);
    expect(fetches(lab) - before).toBe(1);
    const got = await collect(session.fetch(keys, 256 * 1024));
    expect(fetches(lab) - before).toBe(2);
    const other = await lab.session();
    const fetched = await collect(other.fetch(keys, 256 * 1024));
    const byKey = (answers: Fetched[]): Fetched[] =>
      answers.toSorted((a, b) => Number(a.key) - Number(b.key));
    expect(byKey(got)).toEqual(byKey(fetched));
    expect(got.filter((answer) => 'bytes' in answer)).toHaveLength(3);
  });

  it('does not hand out more than is asked for', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    const keys = await listed(session);
    expect(await collect(session.fetch(keys, 10))).toEqual([{ key: '1', tooLarge: true }]);
  });

  it('never gives the bytes of one folder for the same UID of another', async () => {
    const lab = await startLab();
    lab.server.deliver('ann', 'INBOX', simpleMessage('in the inbox'));
    lab.server.deliver('ann', 'Sent', simpleMessage('in the other'));
    const session = await lab.session();
    await listed(session);
    await session.open('Sent');
    const [answer] = await collect(session.fetch(['1'], 10_000));
    expect(answer !== undefined && 'bytes' in answer && answer.bytes.toString()).toContain('in the other');
  });

  it('never gives the bytes of a folder that was made anew meanwhile', async () => {
    const lab = await startLab();
    lab.server.deliver('ann', 'INBOX', simpleMessage('old'));
    const session = await lab.session();
    await listed(session);
    lab.server.bumpUidValidity('ann', 'INBOX');
    const changes = await session.changes(null, null, true);
    expect(changes.lost).toBe(true);
    lab.server.faults.add({ at: 'fetch', uids: [1], action: { do: 'omit' } });
    expect(await collect(session.fetch(['1'], 10_000))).toMatchObject([
      { key: '1', error: { code: 'fetch_failed' } },
    ]);
  });

  it.each([{ do: 'omit' }, { do: 'nil' }, { do: 'garble' }] as const)(
    'still lists a message whose bytes the server does not give ($do)',
    async (action) => {
      const lab = await startLab();
      lab.fill(3);
      const session = await lab.session();
      lab.server.faults.add({ at: 'fetch', uids: [2], action });
      expect(await listed(session)).toEqual(['1', '2', '3']);
      const got = await collect(session.fetch(['1', '2', '3'], 10_000));
      expect(got.filter((answer) => 'bytes' in answer).map(({ key }) => key)).toEqual(['1', '3']);
      expect(got.find(({ key }) => key === '2')).toMatchObject({ error: { code: 'fetch_failed' } });
    },
  );
});

function fetches({ server }: Lab): number {
  return server.commands.filter(({ name }) => name === 'UID FETCH').length;
}

async function listed(session: Session): Promise<string[]> {
  const changes = await session.changes(null, null, true);
  if (changes.lost) throw new Error(changes.reason);
  return (await collect(changes.pages)).flatMap(({ items }) => items.map(({ key }) => key));
}
