import { describe, expect, it } from 'vitest';
import { decide, notBefore, splitByBytes } from '../../src/intake/decide.ts';

const listed = (size: number, internalDate: string | null = null) => ({ key: '1', size, internalDate });

describe('decide', () => {
  const policy = { notBefore: '2026-01-01T00:00:00Z', maxMessageBytes: 1_000 };

  it.each([
    ['a message within the limits', listed(1_000, '2026-01-01T00:00:00Z'), 'take'],
    ['a message one byte too large', listed(1_001, '2026-02-01T00:00:00Z'), 'oversized'],
    ['a message received before the cut-off', listed(10, '2025-12-31T23:59:59Z'), 'skipped'],
    ['a message without a server date, because a date proves nothing', listed(10), 'take'],
    ['a large message from before the cut-off', listed(5_000, '2025-01-01T00:00:00Z'), 'skipped'],
  ])('%s', (_, item, wanted) => {
    const decision = decide(item, policy);
    expect(decision.take ? 'take' : decision.state).toBe(wanted);
  });

  it('takes everything of any age without a cut-off', () => {
    expect(decide(listed(1, '1970-01-01T00:00:00Z'), { notBefore: null, maxMessageBytes: 10 }).take).toBe(
      true,
    );
  });
});

describe('notBefore', () => {
  const none = { firstSync: 'all', firstSyncSince: null, dateCutoff: null };
  it.each([
    ['nothing given', none, null],
    ['a cut-off', { ...none, dateCutoff: '2026-01-01' }, '2026-01-01'],
    ['a first sync since', { ...none, firstSync: 'since', firstSyncSince: '2026-03-01' }, '2026-03-01'],
    ['a date that the first sync does not use', { ...none, firstSyncSince: '2026-03-01' }, null],
    [
      'both: the later',
      { firstSync: 'since', firstSyncSince: '2026-03-01', dateCutoff: '2026-01-01' },
      '2026-03-01',
    ],
    [
      'both, the other way',
      { firstSync: 'since', firstSyncSince: '2025-03-01', dateCutoff: '2026-01-01' },
      '2026-01-01',
    ],
  ])('%s', (_, settings, wanted) => {
    expect(notBefore(settings)).toBe(wanted);
  });
});

describe('splitByBytes', () => {
  it('keeps order, fills runs up to the limit, and gives a large message a run of its own', () => {
    const sizes = [40, 40, 40, 200, 10, 10];
    const items = sizes.map((size, index) => ({ key: String(index), size, internalDate: null }));
    const runs = splitByBytes(items, 100);
    expect(runs.map((run) => run.map((item) => item.key))).toEqual([['0', '1'], ['2'], ['3'], ['4', '5']]);
  });

  it('makes no run of nothing', () => {
    expect(splitByBytes([], 100)).toEqual([]);
  });
});
