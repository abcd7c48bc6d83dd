import { describe, expect, it } from 'vitest';
import { renewAfter, tokenBackOff, tokenStep } from '../../src/source/oauth/token-use.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const aged = (ageMs: number, lifeMs = HOUR) => ({ ageMs, lifeMs });
const refused = { terminal: true, ageMs: 10 * HOUR, waitMs: 0 };
const paused = { terminal: false, ageMs: 5_000, waitMs: 10_000 };
const waited = { terminal: false, ageMs: 10_000, waitMs: 10_000 };

describe('when a token is used and renewed', () => {
  it.each([
    ['there is none', null, null, 'renew'],
    ['it is new', aged(0), null, 'use'],
    ['the clock went back', aged(-HOUR), null, 'use'],
    ['it is nearly at 80 % of its life', aged(48 * MINUTE - 1), null, 'use'],
    ['it is at 80 % of its life', aged(48 * MINUTE), null, 'renew'],
    ['it has ended', aged(2 * HOUR), null, 'renew'],
    ['it is due, and the last attempt was a moment ago', aged(50 * MINUTE), paused, 'use'],
    ['it is due, and the last attempt was long enough ago', aged(50 * MINUTE), waited, 'renew'],
    ['it is due, and a person must act', aged(50 * MINUTE), refused, 'use'],
    ['it ends at once, and a person must act', aged(HOUR - 29_000), refused, 'refuse'],
    ['it ends at once, and the last attempt was a moment ago', aged(HOUR - 29_000), paused, 'refuse'],
    ['it ends at once, and the last attempt was long enough ago', aged(HOUR - 29_000), waited, 'renew'],
    ['there is none, and a person must act', null, refused, 'refuse'],
    ['there is none, and the last attempt was a moment ago', null, paused, 'refuse'],
    ['there is none, and the last attempt was long enough ago', null, waited, 'renew'],
    ['its life is short', aged(8_000, 10_000), null, 'renew'],
    ['its life is short and not over', aged(8_500, 10_000), refused, 'use'],
    ['its life is short and over', aged(9_100, 10_000), refused, 'refuse'],
  ] as const)('when %s', (_case, access, failure, step) => {
    expect(tokenStep({ access, failure })).toBe(step);
  });

  it('says how long until then', () => {
    expect(renewAfter(0, HOUR)).toBe(48 * MINUTE);
    expect(renewAfter(50 * MINUTE, HOUR)).toBe(-2 * MINUTE);
    expect(renewAfter(-5, HOUR)).toBe(48 * MINUTE);
  });

  it.each([
    [1, null, 0, 2_500],
    [1, null, 1, 5_000],
    [2, null, 1, 10_000],
    [4, null, 0, 20_000],
    [50, null, 1, 15 * MINUTE],
    // Never sooner than the server asked.
    [1, 120_000, 0, 120_000],
    [9, 1_000, 1, 15 * MINUTE],
  ])('after failure %i (asked to wait %s, random %d) waits %i ms', (attempts, asked, random, wait) => {
    expect(tokenBackOff(attempts, asked, random)).toBe(wait);
  });
});
