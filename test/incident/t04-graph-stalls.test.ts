/** Graph that stops answering, wherever. Each call ends in time, and the next pass takes what is there. */
import { describe, expect, it } from 'vitest';
import type { Action, RouteName } from '../../src/lab/graph/faults.ts';
import { startGraphIntake } from '../support/graph-intake.ts';
import { ANN, startGraphLab } from '../support/graph-lab.ts';
import { names } from '../support/intake.ts';

const SHORT = { answerMs: 500, bodyIdleMs: 500, retryMs: 1 };

const STALLS: readonly [string, Action][] = [
  ['says nothing', { do: 'hang' }],
  ['stops in the middle of an answer', { do: 'cut', after: 10, end: 'hang' }],
  ['drips', { do: 'drip', bytes: 1, ms: 200 }],
  ['breaks off', { do: 'cut', after: 10, end: 'reset' }],
];
const ROUTES: readonly RouteName[] = ['get-folder', 'delta', 'list-messages', 'move-message'];

describe('T4.1 a server that goes silent', () => {
  for (const [name, action] of STALLS) {
    for (const at of ROUTES) {
      it(`T4.1 ${at} ${name}: the pass ends, the next one takes everything`, async () => {
        const intake = await startGraphIntake({ after: 'move', afterFolder: 'Done' });
        intake.lab.deliver('m1');
        const healed = intake.server.faults.add({ at, action });
        await expect(intake.pass({ graph: SHORT })).rejects.toMatchObject({
          code: expect.stringMatching(/^(stalled|connection_lost)$/),
        });
        healed();
        intake.lab.deliver('m2');
        await intake.db.updateTable('ledger').set({ next_disposition_at: null }).execute();
        await intake.pass();
        expect(await intake.subjects()).toEqual(['m1', 'm2']);
        expect(intake.onServer()).toEqual([]);
        expect(intake.onServer('Done').sort()).toEqual(['m1', 'm2']);
      });
    }
  }

  it('T4.1 close() ends whatever is under way', async () => {
    const lab = await startGraphLab();
    const keys = lab.deliver(...names(1, 5));
    for (const call of ['changes', 'fetch', 'stream', 'dispose', 'wait'] as const) {
      const session = await lab.session();
      const release = call === 'wait' ? null : lab.server.faults.add({ action: { do: 'hang' } });
      const running = {
        changes: () => session.changes(null),
        fetch: async () => {
          for await (const fetched of session.fetch(keys, 1_000)) expect(fetched).toBeUndefined();
        },
        stream: () => session.stream(keys[0]!, 1_000),
        dispose: () => session.dispose(keys, 'seen', null),
        wait: () => session.wait(600_000, new AbortController().signal),
      }[call]();
      const ended = expect(running, call).rejects.toMatchObject({ code: 'connection_lost' });
      setTimeout(() => void session.close(), 20);
      await ended;
      release?.();
    }
  });

  it('T4.1 a stream that nobody reads gives its connection back', async () => {
    const lab = await startGraphLab();
    const { immutableId } = lab.server.deliver(
      ANN,
      Buffer.from(`Subject: x\r\n\r\n${'x'.repeat(3_000_000)}`),
    );
    const session = await lab.session();
    for (let round = 0; round < 8; round += 1) {
      const stream = await session.stream(immutableId, 10_000_000);
      stream.destroy();
    }
    expect(await session.existing([immutableId])).toEqual(new Set([immutableId]));
  });
});
