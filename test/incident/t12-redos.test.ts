import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { compileRules } from '../../src/rule/compile.ts';
import { explainRules } from '../../src/rule/explain.ts';
import { matchRules } from '../../src/rule/match.ts';
import { compilePattern, newPatternBudget } from '../../src/rule/pattern.ts';
import { requireValidRule, validateRule } from '../../src/rule/validate.ts';
import { buildView } from '../../src/rule/view.ts';
import { makeMessage, makePattern, makeRule } from '../rule/fixtures.ts';

const MEGABYTE = 1024 * 1024;
const fill = (piece: string) => piece.repeat(Math.ceil(MEGABYTE / piece.length)).slice(0, MEGABYTE);

/**
 * Patterns that take an engine with backtracking years, each with the text it is worst on. Texts begin with the
 * letters that the pattern cannot do without, or the engine would refuse them at a glance.
 */
const EVIL: [string, string][] = [
  ['(a+)+$', `${fill('a')}!`],
  ['^(.*?,){27}z', `z${fill('x,')}`],
  ['(?s)^(.*?,){27}z$', `z${fill('x,')}`],
  ['.*on.*at.*wrote:', `wrote:${fill('on at ')}`],
  ['(?s).*on.*at.*wrote:$', `wrote:${fill('on at wrote ')}`],
  ['(x+x+)+y', `y${fill('x')}`],
  ['(a|aa)+$', `${fill('a')}b`],
  ['(.*a){25}b', `b${fill('a')}`],
  ['[ab]*a[ab]{300}c', `c${fill('ababb')}`],
  ['(?s)(a.{90}c|b.{90}d)', `cd${fill('abbabaabab')}`],
];

describe('regular expressions that never end', () => {
  it.each(EVIL)('T12.1 %s on a megabyte gives a result or rule_timeout, by counted work', (pattern, text) => {
    const compiled = compilePattern(makePattern(pattern, { field: 'text' }));
    const budget = newPatternBudget();
    const before = budget.chars;
    try {
      compiled.search(text, budget);
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'rule_timeout' });
    }
    // Not the clock but the work is checked: no more text was read than the pattern's size allows.
    expect(before - budget.chars).toBe(Math.min(compiled.reach, LIMITS.ruleTextChars));
    expect(compiled.reach).toBeLessThanOrEqual(LIMITS.ruleTextChars);
  });

  it('T12.1 the work of a search is bounded for every pattern that may be saved', () => {
    for (const pattern of ['a', 'a{100}', '(ab){240}', '(a?){100}a{100}', '[a-z]{1,160}', '(.{1,9}x){20}']) {
      const { reach } = compilePattern(makePattern(pattern));
      expect(reach).toBeGreaterThanOrEqual(LIMITS.rulePatternWork / LIMITS.rulePatternSize);
      expect(reach).toBeLessThanOrEqual(LIMITS.ruleTextChars);
    }
    expect(() => compilePattern(makePattern('(a?){500}a{500}'))).toThrow(/too large/);
  });

  it('T12.1 a match that lies within reach is found in a text of any length', () => {
    const text = `Ticket 4711\n${fill('x ')}`;
    const pattern = makePattern('Ticket (?P<id>\\d+)', {
      field: 'text',
      groups: [{ group: 'id', field: 'Id' }],
    });
    const set = compileRules([makeRule({ patterns: [pattern] })], 1);
    const { extractions } = matchRules(set, buildView(makeMessage({ text })), { mailboxId: 1 });
    expect(extractions.map(({ value }) => value)).toEqual(['4711']);
  });

  it.each([
    ['(a', /missing closing/],
    ['(a)\\1', /back-reference/],
    ['a(?=b)', /look-around/],
    ['(?<!a)b', /look-around/],
    ['a**', /nested repetition/],
    ['a{5000}', /repeat count/],
  ])('T12.2 the illegal pattern %s cannot be saved', (pattern, reason) => {
    const rule = makeRule({ patterns: [makePattern(pattern)] });
    expect(() => requireValidRule(rule)).toThrow(expect.objectContaining({ code: 'rule_invalid' }));
    const [error] = validateRule(rule).errors;
    expect(error).toMatchObject({ code: 'pattern_invalid', field: 'patterns[0].pattern' });
    expect(error!.message).toMatch(reason);
  });

  it('T12.3 a rule whose pattern is too slow for the text is passed over, with evidence', () => {
    const slow = makeRule({
      id: 1,
      name: 'slow',
      sequence: 9,
      patterns: [makePattern('[ab]*a[ab]{300}c', { field: 'text' })],
    });
    const next = makeRule({ id: 2, name: 'next', subject: 'hello' });
    const set = compileRules([slow, next], 1);
    const view = buildView(makeMessage({ subject: 'hello', text: fill('ab') }));
    const result = matchRules(set, view, { mailboxId: 1 });
    expect(result.rule?.name).toBe('next');
    expect(result.passedOver).toMatchObject([
      { ruleId: 1, name: 'slow', matched: false, error: expect.stringContaining('too large for a text') },
    ]);
    expect(explainRules(set, view, { mailboxId: 1 }).result).toEqual(result);
  });

  it('T12.3 a stored rule that no longer compiles is passed over, with evidence, and only where it would decide', () => {
    const broken = makeRule({ id: 1, sequence: 9, subject: 'hello', patterns: [makePattern('(?=x)')] });
    const next = makeRule({ id: 2 });
    const set = compileRules([broken, next], 1);
    const run = (subject: string) => matchRules(set, buildView(makeMessage({ subject })), { mailboxId: 1 });
    expect(run('hello').rule?.id).toBe(2);
    expect(run('hello').passedOver).toMatchObject([
      { ruleId: 1, error: expect.stringContaining('look-around') },
    ]);
    expect(run('other').passedOver).toEqual([]);
  });

  it('T12.3 a pattern that only fills fields does not keep its rule from matching, but says what is missing', () => {
    const pattern = makePattern('(?=x)', { required: false });
    const set = compileRules([makeRule({ subject: 'hello', patterns: [pattern] })], 1);
    const result = matchRules(set, buildView(makeMessage({ subject: 'hello' })), { mailboxId: 1 });
    expect(result.verdict).toMatchObject({ matched: true, error: expect.stringContaining('look-around') });
  });
});
