/** A POP3 server that falls silent or hangs up, at any point, is noticed within the deadline; the process goes on. */
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { PenstockError } from '../../src/errors.ts';
import type { Phase } from '../../src/lab/pop3/faults.ts';
import { startCuttingProxy } from '../support/cutting-proxy.ts';
import { collect, never } from '../support/imap-lab.ts';
import { simpleMessage } from '../support/messages.ts';
import { type Pop3Lab, SHORT, startPop3Lab } from '../support/pop3-lab.ts';

const PHASES: readonly Phase[] = [
  'connect',
  'greeting',
  'capa',
  'login',
  'ready',
  'uidl',
  'list',
  'retr',
  'dele',
  'quit',
  'updated',
];

/** Every kind of call, in the order of a pass. */
async function wholePass(lab: Pop3Lab): Promise<void> {
  const session = await lab.source({}, SHORT).connect(never());
  try {
    await session.open('INBOX');
    await collect(session.fetch(['1'], 10_000));
    await buffer(await session.stream('2', 10_000));
    const results = await session.dispose(['1'], 'delete', null);
    expect([...results.values()]).toEqual(['done']);
  } finally {
    await session.close();
  }
}

describe('T4.1 T4b.1', () => {
  for (const action of ['hang', 'drop', 'reset'] as const) {
    it.each(PHASES)(`${action} at %s ends in an error of ours, and the next session works`, async (at) => {
      const lab = await startPop3Lab();
      lab.fill(2);
      const stop = lab.server.faults.add({ at, action: { do: action } });
      const error = await wholePass(lab).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(PenstockError);
      const expected = action === 'hang' ? 'stalled' : 'connection_lost';
      expect((error as PenstockError).code).toBe(expected);
      expect((error as PenstockError).temporary).toBe(true);
      stop();
      const rest = await lab.session();
      expect(await rest.existing(['2'])).toEqual(new Set(['2']));
    });
  }

  it('T4.1 a message that comes too slowly to ever end is given up, though every wait is short', async () => {
    const lab = await startPop3Lab();
    lab.server.deliver('ann', simpleMessage('slow', 'x'.repeat(20_000)));
    lab.server.faults.add({ at: 'retr', action: { do: 'drip', bytes: 5, ms: 20 } });
    const session = await lab.session({ ...SHORT, minBytesPerSecond: 1024 * 1024 });
    await expect(collect(session.fetch(['1'], 100_000))).rejects.toMatchObject({
      code: 'stalled',
      fields: { suspectKey: '1' },
    });
  });

  it('T4.1 a slow reader on this side is no slow server', async () => {
    const lab = await startPop3Lab();
    const message = simpleMessage('large', `${'x'.repeat(70)}\r\n`.repeat(60_000));
    lab.server.deliver('ann', message);
    const session = await lab.session({ ...SHORT, commandMs: 2_000 });
    const stream = await session.stream('1', 10_000_000);
    let received = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      // In all longer than any wait for the server may be.
      if (received === 0) await new Promise((resolve) => setTimeout(resolve, 2_500));
      received += chunk.length;
    }
    expect(received).toBe(message.length);
  });

  it('T10 a message that nobody reads here waits on the server, not in memory', async () => {
    const lab = await startPop3Lab();
    const size = 40 * 1024 * 1024;
    const message = Buffer.concat([
      Buffer.from('Subject: big\r\n\r\n'),
      Buffer.alloc(size, 'x'),
      Buffer.from('\r\n'),
    ]);
    lab.server.deliver('ann', message);
    const proxy = await startCuttingProxy(lab.server.port);
    const session = await lab.source({ port: proxy.port }).connect(never());
    await session.open('INBOX');
    const stream = await session.stream('1', 2 * size);
    for (let before = -1; before !== proxy.sent(); ) {
      before = proxy.sent();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    // What the kernel takes on the way, and a little here.
    expect(proxy.sent()).toBeLessThan(size / 2);
    expect((await buffer(stream)).equals(message)).toBe(true);
    await session.close();
  });

  it('T4b.1 what comes after close() ends nothing', async () => {
    const lab = await startPop3Lab();
    lab.fill(1);
    const session = await lab.session();
    await session.close();
    await lab.server.stop();
    await expect(session.existing(['1'])).rejects.toMatchObject({ message: 'The session was closed' });
    await lab.server.start();
  });

  it('T18 a second call while one is under way is refused, and the first one is not harmed', async () => {
    const lab = await startPop3Lab();
    lab.fill(3);
    const session = await lab.session();
    const first = collect(session.fetch(['1', '2', '3'], 10_000));
    await expect(collect(session.fetch(['1'], 10_000))).rejects.toMatchObject({ code: 'internal' });
    expect(await first).toHaveLength(3);
  });
});
