import { describe, expect, it } from 'vitest';
import { PenstockError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { compilePattern, newPatternBudget } from '../../src/rule/pattern.ts';
import { PatternCache } from '../../src/rule/pattern-run.ts';
import type { RulePattern } from '../../src/rule/rule.ts';
import { makePattern } from './fixtures.ts';

const search = (pattern: string, text: string, changes: Partial<RulePattern> = {}) =>
  compilePattern(makePattern(pattern, changes)).search(text, newPatternBudget());

function refusal(pattern: Partial<RulePattern>): PenstockError {
  try {
    compilePattern(makePattern('', pattern));
  } catch (thrown) {
    if (thrown instanceof PenstockError) return thrown;
    throw thrown;
  }
  throw new Error('the pattern was taken');
}

describe('searching', () => {
  it('finds the first match and its groups, in UTF-16 offsets', () => {
    expect(search('(?P<host>\\w+)-(?P<n>\\d+)(?P<no>x)?', '😀 web-12')).toEqual({
      start: 3,
      end: 9,
      groups: [
        { group: 'host', start: 3, end: 6 },
        { group: 'n', start: 7, end: 9 },
      ],
    });
    expect(search('cpu', 'disk')).toBeNull();
  });

  it.each([
    ['i', 'ABC', 'abc', true],
    ['', 'ABC', 'abc', false],
    ['m', '^b', 'a\nb', true],
    ['', '^b', 'a\nb', false],
    ['s', 'a.b', 'a\nb', true],
    ['', 'a.b', 'a\nb', false],
    ['ims', '^A.B$', 'x\na\nb\nx', true],
  ])('with flags "%s": /%s/ on %j', (flags, pattern, text, expected) => {
    expect(search(pattern, text, { flags }) !== null).toBe(expected);
  });
});

describe('refusing', () => {
  it.each<[string, Partial<RulePattern>, string, number | undefined]>([
    ['nothing', { pattern: '' }, 'the pattern is empty', undefined],
    ['an open group', { pattern: 'ab(c' }, 'missing closing ): ab(c', 0],
    ['a wrong range', { pattern: 'ab[z-a]' }, 'invalid character class range: z-a', 3],
    ['look-ahead', { pattern: 'a(?=b)' }, 'look-around "(?=" is not supported by the linear-time engine', 1],
    [
      'negative look-ahead',
      { pattern: 'a(?!b)' },
      'look-around "(?!" is not supported by the linear-time engine',
      1,
    ],
    [
      'look-behind',
      { pattern: '(?<=a)b' },
      'look-around "(?<=" is not supported by the linear-time engine',
      0,
    ],
    [
      'negative look-behind',
      { pattern: 'x(?<!a)b' },
      'look-around "(?<!" is not supported by the linear-time engine',
      1,
    ],
    [
      'a back-reference',
      { pattern: '(a)\\1' },
      'the back-reference "\\1" is not supported by the linear-time engine',
      3,
    ],
    [
      'a back-reference by name',
      { pattern: '(?P<x>a)\\k<x>' },
      'the back-reference "\\k" is not supported by the linear-time engine',
      8,
    ],
    ['the flag g', { pattern: 'a', flags: 'g' }, 'the flag "g" is not one of i, m, s', undefined],
    ['a flag twice', { pattern: 'a', flags: 'ii' }, 'the flag "i" is given twice', undefined],
    [
      'a group that is not there',
      { pattern: '(?P<a>x)', groups: [{ group: 'constructor', field: 'f' }] },
      'there is no group named "constructor"',
      undefined,
    ],
    [
      'a group without field',
      { pattern: '(?P<a>x)', groups: [{ group: 'a', field: '' }] },
      'the group "a" names no field to fill',
      undefined,
    ],
    [
      'a pattern that is long',
      { pattern: 'a'.repeat(LIMITS.rulePatternChars + 1) },
      `the pattern is longer than ${LIMITS.rulePatternChars} characters`,
      undefined,
    ],
    [
      'a pattern that is short and becomes large',
      { pattern: '(abcdefghij){1000}' },
      'the pattern is too large once its repetitions are written out',
      undefined,
    ],
  ])('%s', (_, pattern, reason, position) => {
    const error = refusal(pattern);
    expect(error.code).toBe('rule_invalid');
    expect(error.fields.reason).toBe(reason);
    expect(error.fields.position).toBe(position);
  });
});

describe('keeping compiled patterns', () => {
  it('keeps the most recently used ones, and what is wrong with the others', () => {
    const cache = new PatternCache(2);
    const [a, b, broken] = [makePattern('a'), makePattern('b'), makePattern('(')];
    const first = cache.get(a);
    expect(cache.get(a)).toBe(first);
    cache.get(b);
    cache.get(a);
    expect(cache.get(broken)).toEqual({ compiled: null, error: expect.stringContaining('missing closing') });
    expect(cache.size).toBe(2);
    expect(cache.get(a)).toBe(first);
    const again = cache.get(b);
    expect(again.compiled?.search('b', newPatternBudget())).toMatchObject({ start: 0 });
  });
});
