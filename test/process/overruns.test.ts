import { expect, it } from 'vitest';
import type { Analysis } from '../../src/process/analysis.ts';
import { OverrunCounter } from '../../src/process/overruns.ts';

type Match = Analysis['match'];
const verdict = (ruleId: number) => ({ ruleId, name: 'x', matched: false, conditions: [], error: 'x' });
const none = { verdict: null, extractions: [], closes: false };
const overrun = (ruleId: number): Match => ({
  ...none,
  ruleId: null,
  passedOver: [{ ...verdict(ruleId), overran: true }],
});
const match = (ruleId: number): Match => ({ ...none, ruleId, passedOver: [] });
const passedOver = (ruleId: number): Match => ({ ...none, ruleId: null, passedOver: [verdict(ruleId)] });

it.each<[string, Match[], [number, number][]]>([
  ['overruns below the limit', [overrun(1), overrun(1)], []],
  ['overruns at the limit', [overrun(1), overrun(1), overrun(1)], [[1, 3]]],
  ['more than that at once', [overrun(1), overrun(1), overrun(1), overrun(1)], [[1, 4]]],
  ['each rule for itself', [overrun(1), overrun(2), overrun(1), overrun(2)], []],
  ['a match between them', [overrun(1), overrun(1), match(1), overrun(1), overrun(1)], []],
  ['a match of another rule between them', [overrun(1), match(2), overrun(1), overrun(1)], [[1, 3]]],
  ['errors that are not its own cost', [passedOver(1), passedOver(1), passedOver(1)], []],
])('T12.3 %s', (_name, matches, expected) => {
  expect([...new OverrunCounter(3, () => 0).note(matches)]).toEqual(expected);
  // One after the other comes to the same.
  const counter = new OverrunCounter(3, () => 0);
  const all = matches.flatMap((one) => [...counter.note([one])].map(([ruleId]) => ruleId));
  expect(all).toEqual(expected.map(([ruleId]) => ruleId));
});

it('T12.3 counts within an hour', () => {
  let now = 0;
  const counter = new OverrunCounter(3, () => now);
  for (const minute of [0, 30, 61, 70]) {
    now = minute * 60_000;
    expect(counter.note([overrun(1)]).size, `${minute}`).toBe(0);
  }
  now = 80 * 60_000;
  expect([...counter.note([overrun(1)])]).toEqual([[1, 3]]);
  expect(counter.note([overrun(1)]).size).toBe(0);
});
