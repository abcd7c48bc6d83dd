/** A server that wants to be left alone says so in many ways. All of them are `server_busy`, and none blocks us. */
import { describe, expect, it } from 'vitest';
import { collect, listedKeys, never, startLab } from '../support/imap-lab.ts';

const THROTTLED = 'Request is throttled. Suggested Backoff Time: 299999 milliseconds';

describe('T17 IMAP throttling', () => {
  // imapflow would wait out the suggested time inside the call, up to minutes, and read nothing meanwhile.
  it('T17.1 hands a suggested backoff on at once instead of waiting for it', async () => {
    for (const [phase, call] of [
      ['select', (session) => session.open('INBOX')],
      ['search', (session) => session.changes(null)],
      ['fetch', (session) => collect(session.fetch(['1'], 1000))],
      ['store', (session) => session.dispose(['1'], 'seen', null)],
      ['move', (session) => session.dispose(['1'], 'move', 'Trash')],
    ] as const satisfies [
      string,
      (session: Awaited<ReturnType<Awaited<ReturnType<typeof startLab>>['session']>>) => Promise<unknown>,
    ][]) {
      const lab = await startLab();
      lab.fill(2);
      const session = await lab.session();
      lab.server.faults.add({ at: phase, action: { do: 'bad', text: THROTTLED } });
      await expect(call(session), phase).rejects.toMatchObject({
        code: 'server_busy',
        fields: { backoffMs: 299_999 },
      });
      lab.server.faults.clear();
      // Nothing was lost, and nothing was done twice.
      expect(await listedKeys(await lab.session())).toEqual(['1', '2']);
    }
  });

  it('T17.1 hands on a throttled login', async () => {
    const lab = await startLab();
    lab.server.faults.add({ at: 'login', action: { do: 'bad', text: THROTTLED } });
    await expect(lab.source().connect(never())).rejects.toMatchObject({
      code: 'server_busy',
      fields: { backoffMs: 299_999 },
    });
  });

  for (const text of [
    '[LIMIT] Too many simultaneous connections',
    '[UNAVAILABLE] Temporary authentication failure',
    '[INUSE] Mailbox is locked',
    'Too many login attempts',
    'Maximum number of connections from user+IP exceeded',
    'User is authenticated but not connected.',
  ]) {
    it(`T17.1 does not take a busy server for a wrong password: ${text}`, async () => {
      const lab = await startLab();
      lab.server.faults.add({ at: 'login', action: { do: 'no', text } });
      await expect(lab.source().connect(never())).rejects.toMatchObject({ code: 'server_busy' });
    });
  }

  it('T17.1 understands a server that turns the connection away', async () => {
    const lab = await startLab();
    lab.server.faults.add({
      at: 'greeting',
      action: { do: 'bye', text: 'Too many connections, try again later' },
    });
    await expect(lab.source().connect(never())).rejects.toMatchObject({ code: 'server_busy' });
  });

  it('T17.1 understands a limit on a single command, and the session goes on', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    lab.server.faults.add({ at: 'store', action: { do: 'no', text: '[LIMIT] Slow down' }, times: 1 });
    expect((await session.dispose(['1'], 'seen', null)).get('1')).toMatchObject({ code: 'server_busy' });
    expect((await session.dispose(['1'], 'seen', null)).get('1')).toBe('done');
  });
});
