import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fold } from '../../src/rule/fold.ts';
import { requiredLiteral } from '../../src/rule/literal.ts';
import { compilePattern, newPatternBudget } from '../../src/rule/pattern.ts';
import { makePattern } from './fixtures.ts';

describe('the text that a pattern cannot do without', () => {
  it.each<[string, string | null]>([
    ['Ticket #\\d+', 'ticket #'],
    ['^\\[ALERT\\] (?P<host>\\S+) is down now$', ' is down now'],
    ['Host:  name', 'host: name'],
    ['abc+def', 'abc'],
    ['abcd?efg', 'abc'],
    ['abcd*efgh', 'efgh'],
    ['abcd{2}efgh', 'efgh'],
    ['abcd{0,3}?xyzw', 'xyzw'],
    ['abc+?def', 'abc'],
    ['[abc]defg', 'defg'],
    ['[]x]defg', 'defg'],
    ['[^]x]defg', 'defg'],
    ['[[:alpha:]]defg', 'defg'],
    ['[\\]x]defg', 'defg'],
    ['(abcdef)?ghi', 'ghi'],
    ['(a|b)cdef', 'cdef'],
    ['(a(b)[)]c)defg', 'defg'],
    ['(?i)abc', 'abc'],
    ['a\\.b\\-c', 'a.b-c'],
    ['abc.def', 'abc'],
    ['größe', null],
    ['Größen', null],
    ['abc|def', null],
    ['ab', null],
    ['\\d+', null],
    ['abc\\x41', null],
    ['abc\\pL', null],
    ['\\Qa|b\\Eabc', null],
    ['(\\Q)\\E)abc', null],
    ['abc{x}', null],
    ['   ', null],
    ['', null],
    ['(', null],
    ['[abc', null],
    ['abc\\', null],
  ])('of /%s/ is %j', (pattern, expected) => {
    expect(requiredLiteral(pattern)).toBe(expected);
  });

  it('is in every text that matches, for any pattern', () => {
    /** Pieces of patterns, each with texts that it matches. */
    const atoms: [string, string[]][] = [
      ['a', ['a']],
      ['K', ['K', 'k', '\u212a']],
      ['s', ['s', 'S', 'ſ']],
      [' ', [' ']],
      ['#', ['#']],
      ['\\.', ['.']],
      ['\\s', ['\n', ' ']],
      ['.', ['x', '\u00ad', 'Ä']],
      ['[ab]', ['a', 'b']],
      ['(a|bc)', ['a', 'bc']],
      ['(?:ab s)', ['ab s', 'AB S']],
      ['(?i)', ['']],
    ];
    const quantifiers: [string, number[]][] = [
      ['', [1]],
      ['', [1]],
      ['', [1]],
      ['?', [0, 1]],
      ['*', [0, 2]],
      ['+', [1, 3]],
      ['{2}', [2]],
      ['{0,2}', [0, 2]],
      ['+?', [1]],
    ];
    const choice = fc.nat({ max: 1_000 });
    const piece = fc
      .tuple(fc.constantFrom(...atoms), fc.constantFrom(...quantifiers), choice, choice)
      .map(([[source, samples], [quantifier, counts], one, other]) => ({
        source: source === '(?i)' ? source : source + quantifier,
        sample: samples[one % samples.length]!.repeat(counts[other % counts.length]!),
      }));
    const around = fc.constantFrom('', ' ', 'x', '\n ', '\u00a0');
    let checked = 0;
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 3, maxLength: 10 }),
        around,
        around,
        fc.constantFrom('', 'i', 'ims'),
        (pieces, before, after, flags) => {
          const source = pieces.map((one) => one.source).join('');
          const literal = requiredLiteral(source);
          if (literal === null) return;
          const text = before + pieces.map((one) => one.sample).join('') + after;
          const pattern = compilePattern(makePattern(source, { flags }));
          if (pattern.search(text, newPatternBudget()) === null) return;
          checked++;
          expect(fold(text)).toContain(literal);
        },
      ),
      { numRuns: 20_000 },
    );
    expect(checked).toBeGreaterThan(200);
  });
});
