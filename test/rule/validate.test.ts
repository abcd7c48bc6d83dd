import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import type { Rule } from '../../src/rule/rule.ts';
import { requireValidRule, validateRule } from '../../src/rule/validate.ts';
import { makeMapping, makePattern, makeRule, ruleWithSlot } from './fixtures.ts';

const codes = (rule: Rule, others: Rule[] = []) => {
  const { errors, warnings } = validateRule(rule, others);
  return [...errors, ...warnings].map(({ code, field }) => `${code} ${field}`);
};

describe('a rule by itself', () => {
  it.each<[string, Partial<Rule>, string[]]>([
    ['nothing wrong', { subject: 'x' }, []],
    ['no condition', {}, ['matches_everything conditions']],
    ['blank conditions', { subject: ' ', body: '\n' }, ['matches_everything conditions']],
    ['a mailbox is no condition', { mailboxId: 1 }, ['matches_everything conditions']],
    ['a pattern is a condition', { patterns: [makePattern('x')] }, []],
    [
      'a pattern that is none, and fills nothing',
      { patterns: [makePattern('x', { required: false })] },
      ['matches_everything conditions', 'no_effect patterns[0]'],
    ],
    ['attachment without name', { matchOnAttachment: true }, ['matches_everything conditions']],
    [
      'conditions that attachment matching takes the place of',
      { matchOnAttachment: true, attachmentName: 'x', subject: 'y' },
      ['condition_ignored subject'],
    ],
    [
      'an attachment name that is not used',
      { attachmentName: 'x', subject: 'y' },
      ['condition_ignored attachmentName'],
    ],
    ['a space at the end', { subject: 'error ' }, ['outer_space subject']],
    ['part of an address, not asked for exactly', { from: 'example.com' }, []],
    ['half an exact address', { from: 'example.com', fromExact: true }, ['address_incomplete from']],
    ['an alert without key', { subject: 'x', type: 'alert' }, ['slot_missing slots[3].startTag']],
    [
      'a supplier update without reference',
      { subject: 'x', type: 'supplier_update' },
      ['slot_missing slots[5].startTag'],
    ],
    [
      'a service status without service and status',
      { subject: 'x', type: 'service_status' },
      ['slot_missing slots[0].startTag', 'slot_missing slots[1].startTag'],
    ],
    ['closing what is no alert', { subject: 'x', closeString: 'ok' }, ['no_effect closeString']],
    [
      'a mapping of nothing',
      { subject: 'x', fieldMappings: [makeMapping()] },
      ['no_effect fieldMappings[0]'],
    ],
    [
      'a text beyond the limit',
      { subject: 'x'.repeat(LIMITS.ruleConditionChars + 1) },
      ['text_too_long subject'],
    ],
    [
      'too many patterns',
      { patterns: Array.from({ length: LIMITS.rulePatternsPerRule + 1 }, () => makePattern('x')) },
      ['too_many patterns'],
    ],
    [
      'a header without name',
      { patterns: [makePattern('x', { field: 'header:' })] },
      ['header_name_missing patterns[0].field'],
    ],
    [
      'a broken pattern',
      { patterns: [makePattern('x'), makePattern('(')] },
      ['pattern_invalid patterns[1].pattern'],
    ],
  ])('%s', (_, rule, expected) => {
    expect(codes(makeRule(rule))).toEqual(expected);
  });

  it('says that an ignore rule without condition throws everything away', () => {
    const [warning] = validateRule(makeRule({ type: 'ignore' })).warnings;
    expect(warning!.message).toBe('The rule has no condition, so it matches every mail and throws it away.');
  });

  it('finds slots that can take nothing', () => {
    expect(codes(ruleWithSlot(2, { endTag: ']' }, { subject: 'x' }))).toEqual([
      'no_effect slots[1].startTag',
    ]);
    expect(codes(ruleWithSlot(2, { startTag: 'x', length: -1 }, { subject: 'x' }))).toEqual([
      'negative_length slots[1].length',
    ]);
  });

  it('cannot be saved with an error', () => {
    expect(() => requireValidRule(makeRule({ patterns: [makePattern('(')] }))).toThrow(
      expect.objectContaining({
        code: 'rule_invalid',
        fields: expect.objectContaining({ field: 'patterns[0].pattern' }),
      }),
    );
    expect(() => requireValidRule(makeRule())).not.toThrow();
  });
});

describe('a rule among others', () => {
  const later = makeRule({
    id: 1,
    name: 'mine',
    subject: 'disk full',
    from: 'robot@x.example',
    body: 'host',
  });
  const hides = (earlier: Partial<Rule>, changes: Partial<Rule> = {}) =>
    codes({ ...later, ...changes }, [makeRule({ id: 2, name: 'other', sequence: 5, ...earlier })]).includes(
      'never_reached sequence',
    );

  it.each<[string, Partial<Rule>, Partial<Rule>, boolean]>([
    ['a catch-all', {}, {}, true],
    ['a disabled catch-all', { enabled: false }, {}, false],
    ['a catch-all that comes later', { sequence: -1 }, {}, false],
    ['a catch-all of another mailbox', { mailboxId: 2 }, { mailboxId: 1 }, false],
    ['a catch-all of one mailbox, and mine is for all', { mailboxId: 2 }, {}, false],
    ['a catch-all of the same mailbox', { mailboxId: 1 }, { mailboxId: 1 }, true],
    ['part of my subject', { subject: 'DISK' }, {}, true],
    ['another subject', { subject: 'cpu' }, {}, false],
    ['more than my subject', { subject: 'disk full on' }, {}, false],
    ['part of my sender', { from: '@x.example' }, {}, true],
    ['my sender exactly, mine is not exact', { from: 'robot@x.example', fromExact: true }, {}, false],
    [
      'my sender exactly, and so is mine',
      { from: 'robot@x.example', fromExact: true },
      { fromExact: true },
      true,
    ],
    ['my sender, but copies count for me', { from: '@x.example' }, { matchCcAndBcc: true }, false],
    ['my body, but only its newest part', { body: 'host', scanFullBody: false }, {}, false],
    ['a pattern more', { patterns: [makePattern('x')] }, {}, false],
    ['attachments', { matchOnAttachment: true, attachmentName: 'x' }, {}, false],
    ['attachments of any name', { matchOnAttachment: true }, {}, true],
    [
      'part of my attachment name',
      { matchOnAttachment: true, attachmentName: 'Report' },
      { matchOnAttachment: true, attachmentName: 'report.pdf' },
      true,
    ],
    [
      'part of my attachment name, but the whole of it is asked for',
      { matchOnAttachment: true, attachmentName: 'report', attachmentMatch: 'equals' },
      { matchOnAttachment: true, attachmentName: 'report.pdf' },
      false,
    ],
  ])('is hidden or not by %s', (_, earlier, changes, expected) => {
    expect(hides(earlier, changes)).toBe(expected);
  });

  it('is told which rules it hides', () => {
    const { warnings } = validateRule(makeRule({ id: 9, name: 'all', sequence: 9 }), [
      later,
      makeRule({ id: 3, name: 'third', subject: 'x' }),
      makeRule({ id: 9, name: 'all, before the change', subject: 'y' }),
    ]);
    expect(warnings.map(({ message }) => message)).toContain(
      'No mail will reach 2 later rules, among them "mine", "third".',
    );
  });
});
