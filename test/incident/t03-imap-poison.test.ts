/** One message that the server cannot deliver costs that message and no other. */
import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/lab/imap/faults.ts';
import { collect, listedKeys, startLab } from '../support/imap-lab.ts';

const POISONS: Action[] = [
  { do: 'bad', text: 'Internal error' },
  { do: 'no', text: '[SERVERBUG] Cannot read message' },
  { do: 'no', text: '[UNAVAILABLE] Try again later' },
  { do: 'no', text: 'Message corrupt' },
  { do: 'garble' },
  { do: 'nil' },
  // The empty string is no message: taken for one, it would be stored and the real one deleted.
  { do: 'shorten', bytes: 0 },
  { do: 'omit' },
  { do: 'pretend' },
];

describe('T3.3 the server fails on one message', () => {
  for (const action of POISONS) {
    const name = 'text' in action ? `${action.do} ${action.text}` : action.do;
    it(`T3.3 ${name}: only this one is fetch_failed`, async () => {
      const lab = await startLab();
      lab.fill(20);
      const session = await lab.session();
      const keys = await listedKeys(session);
      lab.server.faults.add({ at: 'fetch', uids: [7], action });
      const fetched = await collect(session.fetch(keys, 1000));
      expect(fetched.map(({ key }) => key).sort()).toEqual([...keys].sort());
      const failed = fetched.filter((one) => 'error' in one);
      // A server that pretends does so for the whole command.
      if (action.do !== 'pretend') expect(failed.map(({ key }) => key)).toEqual(['7']);
      for (const { error } of failed) expect(error).toMatchObject({ code: 'fetch_failed' });
      expect(failed.map(({ key }) => key)).toContain('7');
      // It is still there, and no failed fetch may make it look gone.
      lab.server.faults.clear();
      expect((await session.existing(keys)).size).toBe(20);
    });

    it(`T3.3 ${name}: listing does not pass over it`, async () => {
      const lab = await startLab();
      lab.fill(20);
      const session = await lab.session();
      lab.server.faults.add({ at: 'fetch', uids: [7], action, times: 1 });
      expect(await listedKeys(session)).toHaveLength(20);
    });
  }

  it('T3.3 a server that is really busy is not asked for every message', async () => {
    const lab = await startLab();
    lab.fill(200);
    const session = await lab.session();
    lab.server.faults.add({ at: 'fetch', action: { do: 'no', text: '[LIMIT] Slow down' } });
    const keys = Array.from({ length: 200 }, (_value, index) => String(index + 1));
    await expect(collect(session.fetch(keys, 1000))).rejects.toMatchObject({ code: 'server_busy' });
    expect(lab.server.countCommands('UID FETCH')).toBe(3);
  });

  it('T3.3 finds the one bad message among 200 with few commands', async () => {
    const lab = await startLab();
    lab.fill(200);
    const session = await lab.session();
    lab.server.faults.add({ at: 'fetch', uids: [133], action: { do: 'bad', text: 'Internal error' } });
    const keys = Array.from({ length: 200 }, (_value, index) => String(index + 1));
    const fetched = await collect(session.fetch(keys, 1000));
    expect(fetched.filter((one) => 'bytes' in one)).toHaveLength(199);
    expect(lab.server.countCommands('UID FETCH')).toBeLessThan(20);
  });
});
