import { describe, expect, it } from 'vitest';
import { listedKeys, never, startLab } from '../support/imap-lab.ts';
import { simpleMessage } from '../support/messages.ts';

const MINUTE = 60_000;

describe('wait', () => {
  it('begins IDLE at once, not some time after the last command', async () => {
    const lab = await startLab();
    const session = await lab.session();
    await listedKeys(session);
    const waiting = session.wait(MINUTE, never());
    await expect.poll(() => lab.server.countCommands('IDLE')).toBe(1);
    lab.server.deliver('ann', 'INBOX', simpleMessage('news'));
    expect(await waiting).toBe('changed');
  });

  it('remembers news that came between two calls', async () => {
    const lab = await startLab();
    const session = await lab.session();
    await listedKeys(session);
    lab.server.deliver('ann', 'INBOX', simpleMessage('news'));
    // Any command makes the server tell; here a disposition that has nothing to do with it.
    await session.dispose(['9'], 'seen', null);
    expect(await session.wait(MINUTE, never())).toBe('changed');
    // A listing has seen it; from then on it is no news.
    expect(await listedKeys(session)).toEqual(['1']);
    expect(await session.wait(50, never())).toBe('timeout');
  });

  it('does not take our own deletions for news', async () => {
    const lab = await startLab();
    lab.fill(3);
    const session = await lab.session();
    const keys = await listedKeys(session);
    await session.dispose(keys, 'delete', null);
    expect(await session.wait(50, never())).toBe('timeout');
  });

  it('hears of a deletion by others', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    await listedKeys(session);
    const waiting = session.wait(MINUTE, never());
    await expect.poll(() => lab.server.countCommands('IDLE')).toBe(1);
    lab.server.store.folder('ann', 'INBOX').remove(new Set(lab.server.messages('ann')));
    expect(await waiting).toBe('changed');
  });

  it('goes on with the same IDLE when it is called again', async () => {
    const lab = await startLab();
    const session = await lab.session();
    for (let round = 0; round < 3; round += 1) expect(await session.wait(30, never())).toBe('timeout');
    expect(lab.server.countCommands('IDLE')).toBe(1);
    expect(await listedKeys(session)).toEqual([]);
  });

  it('begins IDLE anew before a router or the server forgets the connection', async () => {
    const lab = await startLab();
    const session = await lab.session({ maxIdleMs: 50 });
    const waiting = session.wait(MINUTE, never());
    await expect.poll(() => lab.server.countCommands('IDLE')).toBeGreaterThan(2);
    lab.server.deliver('ann', 'INBOX', simpleMessage('news'));
    expect(await waiting).toBe('changed');
  });

  it('asks with NOOP on a server without IDLE', async () => {
    const lab = await startLab({ without: ['IDLE'] });
    const session = await lab.session({ noopMs: 20 });
    await listedKeys(session);
    const waiting = session.wait(MINUTE, never());
    lab.server.deliver('ann', 'INBOX', simpleMessage('news'));
    expect(await waiting).toBe('changed');
    expect(lab.server.countCommands('IDLE')).toBe(0);
    expect(lab.server.countCommands('NOOP')).toBeGreaterThan(0);
    expect(await listedKeys(session)).toEqual(['1']);
  });

  it('asks with NOOP when the server offers IDLE and then refuses it', async () => {
    const lab = await startLab();
    const session = await lab.session({ noopMs: 20 });
    await listedKeys(session);
    lab.server.faults.add({ at: 'idle', action: { do: 'no', text: 'Not now' } });
    for (let round = 1; round <= 3; round += 1) {
      const waiting = session.wait(MINUTE, never());
      await expect.poll(() => lab.server.countCommands('NOOP')).toBeGreaterThan(round * 2);
      lab.server.deliver('ann', 'INBOX', simpleMessage('news'));
      expect(await waiting).toBe('changed');
      expect(await listedKeys(session)).toHaveLength(round);
    }
    expect(lab.server.countCommands('IDLE')).toBe(1);
  });

  it('asks with NOOP when the server ends IDLE by itself', async () => {
    const lab = await startLab();
    const session = await lab.session({ noopMs: 20 });
    await listedKeys(session);
    lab.server.faults.add({ at: 'idling', action: { do: 'pretend' } });
    const waiting = session.wait(MINUTE, never());
    await expect.poll(() => lab.server.countCommands('NOOP')).toBeGreaterThan(0);
    lab.server.deliver('ann', 'INBOX', simpleMessage('news'));
    expect(await waiting).toBe('changed');
  });

  it('is ready for the next call when it ends in the middle of a NOOP', async () => {
    const lab = await startLab({ without: ['IDLE'] });
    const session = await lab.session({ noopMs: 1 });
    lab.server.faults.add({ at: 'noop', action: { do: 'wait', ms: 30 } });
    for (let round = 0; round < 5; round += 1) {
      expect(await session.wait(10, never())).toBe('timeout');
      expect(await listedKeys(session)).toEqual([]);
    }
  });

  it('lists what it heard of without selecting a large folder again', async () => {
    const lab = await startLab();
    lab.fill(2);
    const session = await lab.session();
    expect(await listedKeys(session)).toHaveLength(2);
    const selects = lab.server.countCommands('SELECT');
    const waiting = session.wait(MINUTE, never());
    lab.server.deliver('ann', 'INBOX', simpleMessage('news'));
    expect(await waiting).toBe('changed');
    await session.open('INBOX');
    expect(await listedKeys(session)).toHaveLength(3);
    expect(lab.server.countCommands('SELECT')).toBe(selects);
    // Nothing was heard since: only a new SELECT tells that the folder was made anew.
    await session.open('INBOX');
    expect(lab.server.countCommands('SELECT')).toBe(selects + 1);
  });

  it('selects a folder again after a time, however much the server announces', async () => {
    const lab = await startLab();
    const session = await lab.session({ reselectMs: 0 });
    await listedKeys(session);
    const selects = lab.server.countCommands('SELECT');
    const waiting = session.wait(MINUTE, never());
    lab.server.deliver('ann', 'INBOX', simpleMessage('news'));
    expect(await waiting).toBe('changed');
    await session.open('INBOX');
    expect(lab.server.countCommands('SELECT')).toBe(selects + 1);
  });

  it('selects a folder again after a wait that heard nothing', async () => {
    const lab = await startLab();
    const session = await lab.session();
    await listedKeys(session);
    const selects = lab.server.countCommands('SELECT');
    expect(await session.wait(20, never())).toBe('timeout');
    await session.open('INBOX');
    expect(lab.server.countCommands('SELECT')).toBe(selects + 1);
  });
});
