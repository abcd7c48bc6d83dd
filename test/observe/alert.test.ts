import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { type Ailing, stepAlerts } from '../../src/observe/alert.ts';
import type { MailboxHealth } from '../../src/observe/health.ts';

const START = Date.parse('2026-03-01T12:00:00Z');
const well = (id = 1): MailboxHealth => ({ id, status: 'ok', healthy: true, reason: '' });
const sick = (id = 1): MailboxHealth => ({ id, status: 'stale', healthy: false, reason: 'stale' });

/** Runs looks at given seconds and lists what was told: `raise 1 at 120`. */
function run(looks: [second: number, mailboxes: MailboxHealth[]][]): string[] {
  let ailing: ReadonlyMap<number, Ailing> = new Map();
  const told: string[] = [];
  for (const [second, mailboxes] of looks) {
    const step = stepAlerts(ailing, mailboxes, new Date(START + second * 1000));
    ailing = step.ailing;
    told.push(...step.raised.map(({ id }) => `raise ${id} at ${second}`));
    told.push(
      ...step.resolved.map(
        ({ id, unhealthySeconds }) => `resolve ${id} at ${second} after ${unhealthySeconds}`,
      ),
    );
  }
  return told;
}

const wait = LIMITS.alertAfterSeconds;

describe('telling people about mailboxes', () => {
  it('tells nobody about a short drop', () => {
    expect(
      run([
        [0, [well()]],
        [30, [sick()]],
        [wait, [sick()]],
        [wait + 29, [well()]],
      ]),
    ).toEqual([]);
  });

  it('tells once when it lasts, however often it is looked at, and once when it is over', () => {
    const looks: [number, MailboxHealth[]][] = [];
    for (let second = 0; second < 3_600; second += 30) looks.push([second, [sick()]]);
    expect(run([...looks, [3_600, [well()]], [3_630, [well()]]])).toEqual([
      `raise 1 at ${wait}`,
      'resolve 1 at 3600 after 3600',
    ]);
  });

  it('counts anew after each recovery', () => {
    const looks: [number, MailboxHealth[]][] = [];
    for (let second = 0; second < 1_200; second += 60)
      looks.push([second, [second % 120 === 0 ? sick() : well()]]);
    expect(run(looks)).toEqual([]);
  });

  it('keeps mailboxes apart', () => {
    expect(
      run([
        [0, [sick(1), well(2)]],
        [60, [sick(1), sick(2)]],
        [wait, [sick(1), sick(2)]],
        [wait + 60, [well(1), sick(2)]],
      ]),
    ).toEqual([
      `raise 1 at ${wait}`,
      `raise 2 at ${wait + 60}`,
      `resolve 1 at ${wait + 60} after ${wait + 60}`,
    ]);
  });

  it('forgets a mailbox that was removed', () => {
    expect(
      run([
        [0, [sick()]],
        [wait, [sick()]],
        [wait + 30, []],
        [wait + 60, [well()]],
      ]),
    ).toEqual([`raise 1 at ${wait}`]);
  });
});
