/** The gate that all requests of a mailbox go through. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Gate } from '../../src/source/graph/gate.ts';

const LIMITS = { concurrency: 3, requestsPerMinute: 600, burst: 100, patienceMs: 60_000 };
const never = (): AbortSignal => new AbortController().signal;

function startGate(changes: Partial<typeof LIMITS> = {}): { gate: Gate; pass(ms: number): Promise<void> } {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const gate = new Gate({ ...LIMITS, ...changes });
  return { gate, pass: async (ms) => void (await vi.advanceTimersByTimeAsync(ms)) };
}

describe('the gate of a mailbox', () => {
  it('lets so many in at once, and the next one when one leaves', async () => {
    const { gate } = startGate();
    const leaves = await Promise.all([1, 2, 3].map(() => gate.enter(never())));
    let entered = false;
    const fourth = gate.enter(never()).then(() => (entered = true));
    await Promise.resolve();
    expect(entered).toBe(false);
    leaves[0]!();
    leaves[0]!();
    await fourth;
    let fifth = false;
    void gate.enter(never()).then(() => (fifth = true));
    await Promise.resolve();
    // Leaving twice makes room once.
    expect(fifth).toBe(false);
  });

  it('T17.1 is closed for as long as the server asked, and not a moment less', async () => {
    const { gate, pass } = startGate();
    gate.close(30_000);
    gate.close(1_000);
    let entered = false;
    const waiting = gate.enter(never()).then(() => (entered = true));
    await pass(29_999);
    expect(entered).toBe(false);
    await pass(2);
    await waiting;
  });

  it('refuses at once when that is longer than its patience', async () => {
    const { gate, pass } = startGate();
    gate.close(61_000);
    await expect(gate.enter(never())).rejects.toMatchObject({
      code: 'server_busy',
      fields: { backoffMs: 61_000 },
    });
    await pass(1_000);
    const waiting = gate.enter(never());
    await pass(60_000);
    await waiting;
  });

  it('never lets more through in ten minutes than the budget', async () => {
    const { gate, pass } = startGate({ requestsPerMinute: 900, burst: 500 });
    let entered = 0;
    const stop = new AbortController();
    const ask = async (): Promise<void> => {
      for (;;) {
        (await gate.enter(stop.signal))();
        entered += 1;
      }
    };
    const asking = Promise.all([1, 2, 3].map(ask)).catch(() => undefined);
    await pass(10 * 60_000);
    expect(entered).toBeLessThanOrEqual(9_501);
    expect(entered).toBeGreaterThan(9_000);
    stop.abort(new Error('over'));
    await asking;
  });

  it('forgets those who have given up', async () => {
    const { gate } = startGate({ concurrency: 1 });
    const leave = await gate.enter(never());
    const stop = new AbortController();
    const given = gate.enter(stop.signal);
    stop.abort(new Error('given up'));
    await expect(given).rejects.toThrow('given up');
    const next = gate.enter(never());
    leave();
    await next;
  });
});
