import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import type { ParsedMessage } from '../../src/message/message.ts';
import { compileRules } from '../../src/rule/compile.ts';
import { matchRules } from '../../src/rule/match.ts';
import type { FieldMapping, Rule, TagSlot } from '../../src/rule/rule.ts';
import { buildView } from '../../src/rule/view.ts';
import { makeMapping, makeMessage, makePattern, makeRule, ruleWithSlot } from './fixtures.ts';

const run = (rule: Rule, message: ParsedMessage) =>
  matchRules(compileRules([rule], 1), buildView(message), { mailboxId: 1 });
const slotValue = (slot: Partial<TagSlot>, message: ParsedMessage, rule: Partial<Rule> = {}) =>
  run(ruleWithSlot(4, slot, rule), message).extractions[0]?.value ?? null;

const alert = makeMessage({
  subject: 'ALERT [disk-full] on Web01',
  text: 'Host:   Web01  \r\nService:\r\nState: CRITICAL - 98%\r\nTicket:\t12345abc\r\nNote: 😀😀😀',
});

describe('a slot', () => {
  it.each<[string, Partial<TagSlot>, string | null]>([
    ['between tags', { startTag: '[', endTag: ']' }, 'disk-full'],
    ['tags without case and spacing', { startTag: 'HOST: ', endTag: 'service' }, 'Web01'],
    ['to the end of the line', { startTag: 'state:', useEndOfLine: true }, 'CRITICAL - 98%'],
    [
      'the end of the line before the end tag',
      { startTag: 'state:', endTag: '%', useEndOfLine: true },
      'CRITICAL - 98%',
    ],
    ['a length', { startTag: 'ticket:', length: 5 }, '12345'],
    ['a length before the end tag', { startTag: 'ticket:', length: 5, endTag: 'c' }, '12345'],
    ['a length beyond the end', { startTag: 'note:', length: 1_000 }, '😀😀😀'],
    ['no half characters', { startTag: 'note:', length: 3 }, '😀'],
    ['no end tag: the line', { startTag: 'state:' }, 'CRITICAL - 98%'],
    ['an end tag that is a line break: the line', { startTag: 'state:', endTag: '\r\n' }, 'CRITICAL - 98%'],
    ['an end tag that is a space: the word', { startTag: 'state:', endTag: ' ' }, null],
    ['an end tag that does not come', { startTag: 'state:', endTag: 'never' }, null],
    ['a start tag that does not come', { startTag: 'never', endTag: ']' }, null],
    ['an empty field does not take the next line', { startTag: 'Service: ', useEndOfLine: true }, null],
    [
      'unless the tag itself ends with the line break',
      { startTag: 'Service:\n', useEndOfLine: true },
      'State: CRITICAL - 98%',
    ],
    ['no start tag', { endTag: ']' }, null],
  ])('takes %s', (_, slot, expected) => {
    expect(slotValue(slot, alert)).toBe(expected);
  });

  it('has its meaning by its place, and says where the value was', () => {
    const rule = makeRule();
    rule.slots.forEach((slot, index) => {
      slot.startTag = `${'abcdef'[index]}=`;
      slot.endTag = ';';
    });
    const text = 'x a=1; b=2; c=3; d=4; e=5; f=6;';
    const { extractions } = run(rule, makeMessage({ text }));
    expect(extractions).toEqual([
      { target: 'slot:asset_or_service', value: '1', source: 'text', start: 4, end: 5 },
      { target: 'slot:status', value: '2', source: 'text', start: 9, end: 10 },
      { target: 'slot:user', value: '3', source: 'text', start: 14, end: 15 },
      { target: 'slot:alert_key', value: '4', source: 'text', start: 19, end: 20 },
      { target: 'slot:site_or_client', value: '5', source: 'text', start: 24, end: 25 },
      { target: 'slot:supplier_reference', value: '6', source: 'text', start: 29, end: 30 },
    ]);
  });

  it('gives offsets of the original text, whatever folding did to it', () => {
    const text = 'Ä\u00ad \r\n\t Key\u00a0 :   <  Web\u00ad01 >';
    const { extractions } = run(ruleWithSlot(4, { startTag: 'key : <', endTag: '>' }), makeMessage({ text }));
    const [found] = extractions;
    expect(found!.value).toBe('Web\u00ad01');
    expect(text.slice(found!.start, found!.end)).toBe(found!.value);
  });

  it('prefers the subject to the body', () => {
    const message = makeMessage({ subject: 'id=1;', text: 'id=2;' });
    expect(slotValue({ startTag: 'id=', endTag: ';' }, message)).toBe('1');
    expect(slotValue({ startTag: 'id=', endTag: ';' }, { ...message, subject: 'id=' })).toBe('2');
  });

  it('looks only at the newest part when the rule says so', () => {
    const message = makeMessage({ text: 'thanks\n> id=2;', newestText: 'thanks' });
    expect(slotValue({ startTag: 'id=', endTag: ';' }, message)).toBe('2');
    expect(slotValue({ startTag: 'id=', endTag: ';' }, message, { scanFullBody: false })).toBeNull();
    const newest = { ...message, newestText: '  id=7;' };
    expect(
      run(ruleWithSlot(4, { startTag: 'id=', endTag: ';' }, { scanFullBody: false }), newest).extractions,
    ).toEqual([{ target: 'slot:alert_key', value: '7', source: 'newest_text', start: 5, end: 6 }]);
  });

  it('passes over an occurrence without value', () => {
    expect(slotValue({ startTag: 'id:', endTag: ';' }, makeMessage({ text: 'id: ; id: 3;' }))).toBe('3');
    expect(slotValue({ startTag: 'id:', useEndOfLine: true }, makeMessage({ text: 'id: \nid: 4' }))).toBe(
      '4',
    );
  });

  it('cuts a value that is too long', () => {
    const text = `id:${'😀'.repeat(LIMITS.extractedValueChars)};`;
    const value = slotValue({ startTag: 'id:', endTag: ';' }, makeMessage({ text }))!;
    expect(value.length).toBeLessThanOrEqual(LIMITS.extractedValueChars);
    expect(value.isWellFormed()).toBe(true);
  });

  it('is linear in a text of nothing but start tags', () => {
    const text = 'id:'.repeat(300_000);
    expect(slotValue({ startTag: 'id:', endTag: ';' }, makeMessage({ text }))).toBeNull();
    expect(slotValue({ startTag: 'id:', endTag: 'id:' }, makeMessage({ text }))).toBeNull();
  });
});

describe('a field mapping', () => {
  const value = (mapping: Partial<FieldMapping>, message = alert) =>
    run(makeRule({ fieldMappings: [makeMapping(mapping)] }), message).extractions;

  it('takes what stands between tags, and names the field', () => {
    expect(value({ id: 3, fieldId: 55, fieldType: 'user', startTag: 'host:', endTag: 'service' })).toEqual([
      {
        target: 'mapping:3',
        field: { id: 55, type: 'user' },
        value: 'Web01',
        source: 'text',
        start: 8,
        end: 13,
      },
    ]);
  });

  it('stores a constant when the search text occurs, in subject or body', () => {
    const constant = {
      target: 'mapping:1',
      field: { id: 10, type: 'custom' },
      source: 'constant',
      start: -1,
      end: -1,
    };
    expect(value({ searchText: 'DISK-full', value: 'storage' })).toEqual([{ ...constant, value: 'storage' }]);
    expect(value({ searchText: 'critical', value: 'p1' })).toEqual([{ ...constant, value: 'p1' }]);
    expect(value({ searchText: 'all is well', value: 'p1' })).toEqual([]);
    expect(value({ searchText: '', value: 'p1' })).toEqual([{ ...constant, value: 'p1' }]);
    expect(value({ searchText: 'critical', value: '' })).toEqual([]);
  });

  it('does not fall back to the constant when the tags are not there', () => {
    expect(value({ startTag: 'never', endTag: 'x', searchText: 'critical', value: 'p1' })).toEqual([]);
  });
});

describe('a pattern', () => {
  it('fills fields from named groups', () => {
    const pattern = makePattern('(?P<host>[a-z]+)(?P<number>\\d+)(?P<absent>!)?$', {
      flags: 'i',
      groups: [
        { group: 'number', field: 'Host number' },
        { group: 'host', field: 'Host' },
        { group: 'absent', field: 'Nothing' },
      ],
    });
    expect(run(makeRule({ patterns: [pattern] }), alert).extractions).toEqual([
      { target: 'pattern:Host number', value: '01', source: 'subject', start: 24, end: 26 },
      { target: 'pattern:Host', value: 'Web', source: 'subject', start: 21, end: 24 },
    ]);
  });

  it('fills fields without being a condition, and leaves them empty when it does not match', () => {
    const pattern = makePattern('id=(?P<id>\\d+)', {
      required: false,
      groups: [{ group: 'id', field: 'Id' }],
    });
    const rule = makeRule({ patterns: [pattern] });
    expect(run(rule, makeMessage({ subject: 'id=12' })).extractions).toHaveLength(1);
    const without = run(rule, makeMessage({ subject: 'nothing' }));
    expect(without.rule).not.toBeNull();
    expect(without.extractions).toEqual([]);
  });

  it('T24.1 keeps hostile field names as data', () => {
    const pattern = makePattern('(?P<__proto__>a.c)', {
      groups: [{ group: '__proto__', field: 'a.__proto__.b' }],
    });
    const message = makeMessage({ subject: 'abc', headers: [{ name: '__proto__', value: 'admin' }] });
    const { extractions } = run(makeRule({ patterns: [pattern] }), message);
    expect(extractions).toEqual([
      { target: 'pattern:a.__proto__.b', value: 'abc', source: 'subject', start: 0, end: 3 },
    ]);
    const byHeader = makePattern('^admin$', { field: 'header:__proto__' });
    expect(run(makeRule({ patterns: [byHeader] }), message).rule).not.toBeNull();
    const inherited = makePattern('.', { field: 'header:constructor' });
    expect(run(makeRule({ patterns: [inherited] }), message).rule).toBeNull();
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
    expect(({} as Record<string, unknown>).b).toBeUndefined();
  });
});

describe('closing', () => {
  it.each<[string, Partial<Rule>, boolean]>([
    ['the close string is in the subject', { closeString: 'disk-FULL' }, true],
    ['the close string is in the body', { closeString: 'state: critical' }, true],
    ['the close string is not there', { closeString: 'resolved' }, false],
    ['no close string', { closeString: ' ' }, false],
    ['always', { alwaysCloseAlerts: true }, true],
  ])('%s', (_, rule, expected) => {
    expect(run(makeRule(rule), alert).closes).toBe(expected);
  });
});
