import { describe, expect, it } from 'vitest';
import { comparableSubject, taggedTicketIds } from '../../src/ticket/subject.ts';

describe('tags in a subject', () => {
  const standard = { subjectStartTag: '[ID:', subjectEndTag: ']', defaultTagToo: true };
  it.each<[string, number[]]>([
    ['Re: Printer [ID:42]', [42]],
    ['[id: 42 ] printer', [42]],
    ['[ID:\u00a042]', [42]],
    ['[ID:0042]', [42]],
    ['[ID:42] was [ID:43] and [ID:42]', [42, 43]],
    ['[ID:]', []],
    ['[ID:0]', []],
    ['[ID:-5]', []],
    ['[ID:4x2]', []],
    ['[ID:42', []],
    ['ID:42]', []],
    ['[ID:1234567890123456]', []],
    ['[ID:[ID:42]', [42]],
    ['', []],
  ])('%j names %j', (subject, ids) => {
    expect(taggedTicketIds(subject, standard)).toEqual(ids);
  });

  it('are the configured ones, and the default ones when that is wanted', () => {
    const own = { subjectStartTag: 'Case#', subjectEndTag: '', defaultTagToo: true };
    expect(taggedTicketIds('case#7: Printer [ID:42]', own)).toEqual([7, 42]);
    expect(taggedTicketIds('case#7: Printer [ID:42]', { ...own, defaultTagToo: false })).toEqual([7]);
  });

  it('are none when the start tag is blank: then every number would be a ticket', () => {
    expect(
      taggedTicketIds('order 66', { subjectStartTag: ' ', subjectEndTag: '', defaultTagToo: false }),
    ).toEqual([]);
  });

  it('are looked for a bounded number of times', () => {
    const many = Array.from({ length: 1_000 }, (_, n) => `[ID:${n + 1}]`).join('');
    expect(taggedTicketIds(many, standard)).toHaveLength(10);
  });
});

describe('comparing subjects', () => {
  it.each([
    ['Re: Printer', 'printer'],
    [' Re: Printer ', 'printer'],
    ['AW: WG: Fwd[2]: re (3):  Printer  on FIRE', 'printer on fire'],
    ['回复：Printer', 'printer'],
    ['Report: daily', 'report: daily'],
    ['Re:', ''],
    [': x', ': x'],
    ['', ''],
  ])('%j is compared as %j', (subject, expected) => {
    expect(comparableSubject(subject)).toBe(expected);
  });
});
