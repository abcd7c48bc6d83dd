import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { ConnectionBudget, type Release, TokenBucket } from '../../src/source/connection-budget.ts';

const LIMIT = { connections: LIMITS.connectionsPerHost, connectsPerMinute: LIMITS.connectsPerHostPerMinute };
const never = new AbortController().signal;

/** The most of `times` that fall into any window of a minute. */
function busiestMinute(times: readonly number[]): number {
  return Math.max(
    ...times.map((from) => times.filter((time) => time >= from && time < from + 60_000).length),
  );
}

describe('T17.2 connection budget', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('T17.2 200 mailboxes that start on one host never exceed the budget, and all get their turn', async () => {
    const budget = new ConnectionBudget(LIMIT);
    const admitted: number[] = [];
    let open = 0;
    let most = 0;
    const mailboxes = Array.from({ length: 200 }, async () => {
      const release = await budget.acquire('imap.example.org', never);
      admitted.push(Date.now());
      open += 1;
      most = Math.max(most, open);
      // A short session, so that the rate is what limits.
      await new Promise((resolve) => setTimeout(resolve, 100));
      open -= 1;
      release();
    });
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    await Promise.all(mailboxes);
    expect(admitted).toHaveLength(200);
    expect(most).toBeLessThanOrEqual(LIMIT.connections);
    expect(busiestMinute(admitted)).toBeLessThanOrEqual(LIMIT.connectsPerMinute);
    // And it is no more timid than it has to be.
    expect((admitted.at(-1) as number) - (admitted[0] as number)).toBeLessThan(3 * 60_000);
  });

  it('T17.2 connections that stay keep the others waiting until one ends, first come first served', async () => {
    const budget = new ConnectionBudget({ connections: 2, connectsPerMinute: 6000 });
    const order: number[] = [];
    const releases: Release[] = [];
    const all = [0, 1, 2, 3].map(async (index) => {
      releases.push(await budget.acquire('h', never));
      order.push(index);
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(order).toEqual([0, 1]);
    expect(budget.usage('H')).toEqual({ open: 2, waiting: 2 });
    releases[0]?.();
    releases[0]?.();
    await vi.advanceTimersByTimeAsync(1000);
    expect(order).toEqual([0, 1, 2]);
    releases[1]?.();
    await vi.advanceTimersByTimeAsync(1000);
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3]);
  });

  it('T17.2 one host does not hold up another', async () => {
    const budget = new ConnectionBudget({ connections: 1, connectsPerMinute: 60 });
    await budget.acquire('slow', never);
    const waiting = budget.acquire('slow', never);
    await budget.acquire('other', never);
    expect(budget.usage('slow').waiting).toBe(1);
    void waiting;
  });

  it('T17.2 whoever gives up leaves the queue and takes nothing', async () => {
    const budget = new ConnectionBudget({ connections: 1, connectsPerMinute: 6000 });
    const release = await budget.acquire('h', never);
    const stop = new AbortController();
    const waiting = budget.acquire('h', stop.signal);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'server_busy' });
    await expect(budget.acquire('h', AbortSignal.abort())).rejects.toMatchObject({ code: 'server_busy' });
    expect(budget.usage('h')).toEqual({ open: 1, waiting: 0 });
    release();
    const next = budget.acquire('h', never);
    await vi.advanceTimersByTimeAsync(60_000);
    await next;
  });
});

describe('TokenBucket', () => {
  it('lets a burst through, then keeps to the rate', () => {
    const bucket = new TokenBucket(60, 10, 0);
    for (let index = 0; index < 10; index += 1) expect(bucket.take(0)).toBe(0);
    expect(bucket.take(0)).toBe(1200);
    expect(bucket.take(1199)).toBeGreaterThan(0);
    expect(bucket.take(1201)).toBe(0);
    expect(bucket.isFull(1201)).toBe(false);
    expect(bucket.isFull(60_000)).toBe(true);
  });

  it('stays sane when the clock goes back', () => {
    const bucket = new TokenBucket(60, 1, 10_000);
    expect(bucket.take(10_000)).toBe(0);
    expect(bucket.take(0)).toBeGreaterThan(0);
    expect(bucket.take(20_000)).toBe(0);
  });
});
