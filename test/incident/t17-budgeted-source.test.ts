/** Hundreds of mailboxes on one host: never more connections than it bears, and every mailbox gets its turn. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Poller } from '../../src/intake/poller.ts';
import { budgetedSource } from '../../src/source/budgeted-source.ts';
import { ConnectionBudget } from '../../src/source/connection-budget.ts';
import type { Session, Source } from '../../src/source/source.ts';
import { acquireLease } from '../../src/store/leases.ts';
import { createMailbox } from '../../src/store/mailboxes.ts';
import { startIntake, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

const HOST = 'imap.example.org';
const never = new AbortController().signal;

/** On the clock that the tests move; that of node:timers/promises is not. */
const sleep = (ms: number, signal: AbortSignal = never): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, signal.aborted ? 0 : ms);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** The session of a connect that may have to wait for its turn. */
async function connected(source: Source): Promise<Session> {
  const connecting = source.connect(never);
  await vi.advanceTimersByTimeAsync(1000);
  return await connecting;
}

/** A host that counts. Its sessions can only wait. */
class FakeHost {
  open = 0;
  most = 0;
  readonly connects: number[] = [];
  closeMs = 0;

  readonly source: Source = {
    kind: 'imap',
    connect: async () => {
      this.open += 1;
      this.most = Math.max(this.most, this.open);
      this.connects.push(performance.now());
      let closed = false;
      return {
        wait: async (ms: number, signal: AbortSignal) => {
          await sleep(ms, signal);
          return 'timeout';
        },
        close: async () => {
          if (closed) return;
          closed = true;
          if (this.closeMs > 0) await sleep(this.closeMs);
          this.open -= 1;
        },
      } as Partial<Session> as Session;
    },
    diagnose: async () => [],
  };
}

/** What a poller does: a pass, then a wait, on one session until that is given up. Notes when passes ended. */
async function pollFor(source: Source, passMs: number, pollMs: number, endAt: number): Promise<number[]> {
  const passes: number[] = [];
  while (performance.now() < endAt) {
    const session = await source.connect(never);
    for (;;) {
      await sleep(passMs);
      passes.push(performance.now());
      if (performance.now() >= endAt || (await session.wait(pollMs, never)) === 'parted') break;
    }
    await session.close();
  }
  return passes;
}

describe('T17.2 mailboxes on one host', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('T17.2 200 mailboxes, 20 connections: never more, and none of them starves', async () => {
    const host = new FakeHost();
    host.closeMs = 300;
    const budget = new ConnectionBudget({ connections: 20, connectsPerMinute: 120 });
    const source = budgetedSource(host.source, HOST, budget);
    const endAt = performance.now() + 30 * 60_000;
    const all = Promise.all(
      Array.from({ length: 200 }, async () => await pollFor(source, 500, 60_000, endAt)),
    );
    await vi.advanceTimersByTimeAsync(40 * 60_000);
    const passes = await all;
    expect(host.most).toBeLessThanOrEqual(20);
    for (const from of host.connects) {
      const inMinute = host.connects.filter((at) => at >= from && at < from + 60_000);
      expect(inMinute.length).toBeLessThanOrEqual(120);
    }
    for (const times of passes) {
      const gaps = times.map((at, index) => at - (times[index - 1] ?? endAt - 30 * 60_000));
      // 200 mailboxes at 120 connects a minute are a round in under two minutes, and the wait on top of it.
      expect(Math.max(...gaps)).toBeLessThan(3 * 60_000);
      expect(times.length).toBeGreaterThan(12);
    }
    expect(budget.usage(HOST)).toEqual({ open: 0, waiting: 0 });
    expect(host.open).toBe(0);
  });

  it('T17.2 where all have room, sessions stay open', async () => {
    const host = new FakeHost();
    const budget = new ConnectionBudget({ connections: 20, connectsPerMinute: 120 });
    const source = budgetedSource(host.source, HOST, budget);
    const endAt = performance.now() + 10 * 60_000;
    const all = Array.from({ length: 20 }, async () => await pollFor(source, 500, 60_000, endAt));
    await vi.advanceTimersByTimeAsync(15 * 60_000);
    await Promise.all(all);
    expect(host.connects).toHaveLength(20);
  });

  it('T17.2 the longest idle gives way, and only one for each that waits', async () => {
    const host = new FakeHost();
    const budget = new ConnectionBudget({ connections: 3, connectsPerMinute: 6000 });
    const source = budgetedSource(host.source, HOST, budget);
    const heard: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      const session = await connected(source);
      void session.wait(60_000, never).then((result) => heard.push(`${name} ${result}`));
    }
    const late = await connected(source);
    expect(host.open).toBe(3);
    await vi.advanceTimersByTimeAsync(70_000);
    expect(heard.sort()).toEqual(['a parted', 'b timeout', 'c timeout']);
    await late.close();
  });

  it('T17.2 a connect that fails, and a session that is closed twice, give back exactly one', async () => {
    const budget = new ConnectionBudget({ connections: 2, connectsPerMinute: 6000 });
    const host = new FakeHost();
    const broken: Source = {
      ...host.source,
      connect: async () => await Promise.reject(new Error('refused')),
    };
    await expect(budgetedSource(broken, HOST, budget).connect(never)).rejects.toThrow('refused');
    expect(budget.usage(HOST)).toEqual({ open: 0, waiting: 0 });
    const source = budgetedSource(host.source, HOST, budget);
    const first = await connected(source);
    await connected(source);
    await first.close();
    await first.close();
    expect(budget.usage(HOST)).toEqual({ open: 1, waiting: 0 });
  });
});

describe('T17.2 pollers on a real server', () => {
  it('T17.2 two mailboxes share one connection, and mail of both keeps coming', async () => {
    const intake = await startIntake({ pollSeconds: 1 });
    const { db, context, server, held } = intake;
    const second = await db
      .transaction()
      .execute((tx) =>
        createMailbox(tx, { ...held.mailbox, name: 'Second', settings: held.mailbox.settings }),
      );
    const budget = new ConnectionBudget({ connections: 1, connectsPerMinute: 100_000 });
    let most = 0;
    const counted: Source = {
      ...intake.source(),
      connect: async (signal) => {
        const session = await intake.source().connect(signal);
        most = Math.max(most, server.connections);
        return session;
      },
    };
    const pollers: Poller[] = [];
    for (const mailbox of [held.mailbox, second]) {
      const leaseToken =
        mailbox.id === held.mailbox.id
          ? held.leaseToken
          : (await acquireLease(db, mailbox.id, 'test', 3600))!;
      const source = budgetedSource(counted, '127.0.0.1', budget);
      pollers.push(new Poller(context, { mailbox, leaseToken }, source, false));
    }
    for (const poller of pollers) poller.start();
    const stored = async (): Promise<number> => (await intake.subjects()).length;
    for (let round = 1; round <= 3; round += 1) {
      server.deliver(USER, 'INBOX', simpleMessage(`m${round}`));
      await expect.poll(stored, { timeout: 20_000 }).toBe(2 * round);
    }
    await Promise.all(pollers.map((poller) => poller.stop()));
    expect(most).toBe(1);
    expect(intake.toldOf('mailbox.failed')).toEqual([]);
    await expect.poll(() => server.connections).toBe(0);
  });
});
