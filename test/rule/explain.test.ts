import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRules } from '../../src/rule/compile.ts';
import { explainRules } from '../../src/rule/explain.ts';
import { matchRules } from '../../src/rule/match.ts';
import type { Rule, RulePattern } from '../../src/rule/rule.ts';
import { buildView } from '../../src/rule/view.ts';
import { makeMapping, makeMessage, makePattern, makeRule, messageWithFiles } from './fixtures.ts';

describe('explaining', () => {
  const message = makeMessage({ subject: 'Disk full', text: 'x'.repeat(300) });

  it('gives the verdict on every rule in order, also on those after the winner and on disabled ones', () => {
    const rules = [
      makeRule({ id: 1, name: 'off', sequence: 9, enabled: false, subject: 'disk' }),
      makeRule({ id: 2, name: 'no', sequence: 8, subject: 'cpu', mailboxId: 3 }),
      makeRule({ id: 3, name: 'yes', sequence: 7, subject: 'disk' }),
      makeRule({ id: 4, name: 'late', sequence: 6, body: 'nothing' }),
      makeRule({ id: 5, name: 'also', sequence: 5 }),
    ];
    const { verdicts, result } = explainRules(compileRules(rules, 1), buildView(message), { mailboxId: 1 });
    expect(verdicts.map(({ name, matched }) => [name, matched])).toEqual([
      ['off', false],
      ['no', false],
      ['yes', true],
      ['late', false],
      ['also', true],
    ]);
    expect(result.rule?.name).toBe('yes');
    expect(verdicts[0]!.conditions[0]).toEqual({
      condition: 'enabled',
      wanted: 'enabled',
      actual: 'disabled',
      matched: false,
    });
    expect(verdicts[1]!.conditions).toEqual([
      { condition: 'mailbox', wanted: '3', actual: '1', matched: false },
      { condition: 'subject', wanted: 'cpu', actual: 'Disk full', matched: false },
    ]);
    expect(verdicts[3]!.conditions[0]!.actual).toBe(`${'x'.repeat(200)}…`);
  });

  it('shows a match with what stands around it', () => {
    const text = `${'a'.repeat(100)} needle ${'b'.repeat(100)}`;
    const { verdicts } = explainRules(
      compileRules([makeRule({ body: 'NEEDLE' })], 1),
      buildView(makeMessage({ text })),
      { mailboxId: 1 },
    );
    expect(verdicts[0]!.conditions[0]!.actual).toBe(`${'a'.repeat(39)} needle ${'b'.repeat(39)}`);
  });
});

/** Few and short words, so that conditions often hold and often nearly do. */
const word = fc.constantFrom('a', 'B', 'ab', 'Ab c', 'ä', '中', ' ', '\n', 'ba', '\u00ad', 'ß', 'x@y', 'y.z');
const text = fc.array(word, { maxLength: 8 }).map((words) => words.join(''));
const condition = fc.oneof({ weight: 3, arbitrary: fc.constant('') }, { weight: 2, arbitrary: text });
const mailAddress = text.map((local) => ({ name: local, address: `${local}@y.z` }));
const addresses = fc.array(mailAddress, { maxLength: 3 });

const pattern: fc.Arbitrary<RulePattern> = fc.record({
  field: fc.constantFrom('subject' as const, 'text' as const, 'from' as const, 'header:X-A' as const),
  pattern: fc.constantFrom('a', '^(?P<g>a+)', 'b.*(?P<g>c)', '[^ab]', '(a', 'y\\.z$', 'Ab c', 'b.*ab c'),
  flags: fc.constantFrom('', 'i', 'ms'),
  required: fc.boolean(),
  groups: fc.constant([]),
});

const rule = fc
  .record({
    name: fc.constantFrom('a', 'A', 'b'),
    enabled: fc.boolean(),
    mailboxId: fc.constantFrom(null, null, 1, 2),
    sequence: fc.integer({ min: 0, max: 3 }),
    from: condition,
    fromExact: fc.boolean(),
    to: fc.oneof(
      condition,
      mailAddress.map(({ address }) => address),
    ),
    toExact: fc.boolean(),
    matchCcAndBcc: fc.boolean(),
    subject: condition,
    body: condition,
    scanFullBody: fc.boolean(),
    matchOnAttachment: fc.boolean(),
    attachmentName: condition,
    attachmentMatch: fc.constantFrom(
      'contains' as const,
      'equals' as const,
      'starts_with' as const,
      'ends_with' as const,
    ),
    patterns: fc.oneof(
      { weight: 4, arbitrary: fc.constant<RulePattern[]>([]) },
      fc.array(pattern, { maxLength: 2 }),
    ),
    closeString: condition,
  })
  .map((changes) => ({
    ...changes,
    fieldMappings: [makeMapping({ startTag: 'a', endTag: changes.closeString })],
  }));
const rules = fc
  .array(rule, { maxLength: 10 })
  .map((all): Rule[] => all.map((changes, index) => makeRule({ ...changes, id: index + 1 })));

const message = fc
  .record({
    subject: text,
    text,
    newestText: text,
    from: addresses,
    to: addresses,
    cc: addresses,
    bcc: addresses,
    headers: fc.array(fc.record({ name: fc.constantFrom('x-a', 'X-A', '__proto__'), value: text }), {
      maxLength: 2,
    }),
    files: fc.array(text, { maxLength: 2 }),
  })
  .map(({ files, ...changes }) => makeMessage({ ...changes, leaves: messageWithFiles(...files).leaves }));

describe('the fast and the complete form', () => {
  it('agree on everything that matching says, for any rules and messages', () => {
    let won = 0;
    fc.assert(
      fc.property(rules, fc.array(message, { minLength: 1, maxLength: 3 }), (all, messages) => {
        const set = compileRules(all, 1);
        for (const one of messages) {
          const fast = matchRules(set, buildView(one), { mailboxId: 1 });
          const slow = explainRules(set, buildView(one), { mailboxId: 1 });
          expect(fast).toEqual(slow.result);
          const first = slow.verdicts.find(({ matched }) => matched);
          expect(fast.verdict).toEqual(first ?? null);
          if (fast.rule !== null) won++;
        }
      }),
      { numRuns: 1_500 },
    );
    // A test of rules that never match would prove nothing.
    expect(won).toBeGreaterThan(300);
  });

  it('agree when rules that are out of the question have patterns that cost a great deal', () => {
    const long = makeMessage({ text: `${'b'.repeat(250 * 1024)}zz7` });
    const foreign = Array.from({ length: 700 }, (_, id) =>
      makeRule({
        id,
        sequence: 1000 - id,
        mailboxId: 2,
        patterns: [makePattern('zz[0-9]', { field: 'text' })],
      }),
    );
    const last = makeRule({ id: 9_999, patterns: [makePattern('zz[0-9]', { field: 'text' })] });
    const set = compileRules([...foreign, last], 1);
    const fast = matchRules(set, buildView(long), { mailboxId: 1 });
    expect(fast.rule?.id).toBe(9_999);
    expect(explainRules(set, buildView(long), { mailboxId: 1 }).result).toEqual(fast);
  });

  it('agree when the budget for patterns runs out', () => {
    const long = makeMessage({ text: 'b'.repeat(256 * 1024) });
    const greedy = Array.from({ length: 700 }, (_, id) =>
      makeRule({
        id,
        sequence: 1000 - id,
        patterns: [makePattern(`zz[0-9]{${1 + (id % 9)}}`, { field: 'text' })],
      }),
    );
    const set = compileRules([...greedy, makeRule({ id: 9_999, body: 'bb' })], 1);
    const fast = matchRules(set, buildView(long), { mailboxId: 1 });
    const slow = explainRules(set, buildView(long), { mailboxId: 1 });
    expect(fast).toEqual(slow.result);
    expect(fast.rule?.id).toBe(9_999);
    expect(fast.passedOver.length).toBeGreaterThan(0);
    expect(fast.passedOver[0]!.error).toMatch(/used up/);
  });
});
