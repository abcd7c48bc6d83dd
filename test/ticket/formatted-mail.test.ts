import { describe, expect, it } from 'vitest';
import { type LabelledField, readFormattedMail } from '../../src/ticket/formatted-mail.ts';

const set = (id: number, labels: Partial<Record<LabelledField, string>>) => ({
  id,
  labels: new Map(Object.entries(labels) as [LabelledField, string][]),
});
const FORM = set(1, {
  subject: 'Subject',
  details: 'Details:',
  site: 'Site',
  customer: 'Site name',
  priority: 'Prio',
});
const read = (text: string) => Object.fromEntries(readFormattedMail(text, [FORM])?.values ?? []);

describe('labelled mail', () => {
  it.each([
    ['a value to the end of its line', 'Subject: Printer\nPrio: 2', { subject: 'Printer', priority: '2' }],
    [
      'a value over lines, to the next label',
      'Details:\n\nIt is\nbroken\nPrio = 1',
      { details: 'It is\nbroken', priority: '1' },
    ],
    [
      'the longer label of two',
      'Subject: x\nSite name: Acme\nSite: Berlin',
      { subject: 'x', customer: 'Acme', site: 'Berlin' },
    ],
    ['any case, quoted and listed', '> SUBJECT: x\n  - prio: 3', { subject: 'x', priority: '3' }],
    ['the first of two', 'Subject: a\nSubject: b', { subject: 'a' }],
    ['no empty value', 'Subject: a\nPrio:\nDetails: b', { subject: 'a', details: 'b' }],
    ['nothing without subject or details', 'Prio: 2\nSite: Berlin', {}],
    ['nothing where labels stand within lines', 'The Subject: is this', {}],
  ])('%s', (_what, text, values) => {
    expect(read(text)).toEqual(values);
  });

  it('says where each value stands, and reads by the first set that fits', () => {
    const text = 'Hello\nDetails: a b c\n';
    const found = readFormattedMail(text, [set(1, { subject: 'Nope' }), set(2, { details: 'Details:' })])!;
    expect(found.setId).toBe(2);
    const [{ field, start, end } = { field: '', start: 0, end: 0 }] = found.fields;
    expect([field, text.slice(start, end)]).toEqual(['formatted:details', 'a b c']);
  });

  it('takes names of prototypes for text, and long text in no time', () => {
    expect(read('Subject: __proto__\nDetails: constructor')).toEqual({
      subject: '__proto__',
      details: 'constructor',
    });
    expect(read(`Subject: ${'> '.repeat(10_000)}x`).subject).toHaveLength(4_000);
  });
});
