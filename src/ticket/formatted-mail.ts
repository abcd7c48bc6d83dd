import type { FieldValue } from './ticket-fields.ts';

/**
 * Mail that is written with agreed labels (Halo: formatted e-mails, halo-api.md section 9): `Priority: 2` on a line fills
 * the priority of the ticket. A mail is formatted by a set of labels when its label for subject or details begins a line.
 * A value runs from its label to the next label, or to the end of the text.
 */

export const LABELLED_FIELDS = [
  'customer',
  'priority',
  'dateopened',
  'site',
  'email_to',
  'username',
  'timeopened',
  'subject',
  'details',
  'tickettype',
  'agent',
  'team',
  'category1',
  'category2',
  'category3',
  'category4',
  'opportunity_contact_name',
  'opportunity_company_name',
  'opportunity_email',
  'opportunity_phone',
  'opportunity_value',
  'email_cc',
  'opportunity_country',
] as const;
export type LabelledField = (typeof LABELLED_FIELDS)[number];

/** One set of labels, by field; fields without a label are left out. */
export interface LabelSet {
  id: number;
  labels: ReadonlyMap<LabelledField, string>;
}

export interface FormattedMail {
  /** The set that fits. */
  setId: number;
  /** By field; the first value counts where a label occurs twice. Never empty texts. */
  values: ReadonlyMap<LabelledField, string>;
  /** The same as fields of the ticket, `formatted:<field>`. */
  fields: FieldValue[];
}

const VALUE_CHARS = 4_000;
/** What may stand before a label: spaces, and the marks of lists and quotes that mail programs put there. */
const BEFORE = /^[\s>*•-]*/;

/** Reads a mail by the first set of labels that fits, in the order of their ids; null when none does. */
export function readFormattedMail(text: string, sets: readonly LabelSet[]): FormattedMail | null {
  if (sets.length === 0 || text === '') return null;
  const lines = linesOf(text);
  for (const set of sets) {
    const found = readBy(set, lines, text);
    if (found !== null) return found;
  }
  return null;
}

interface Line {
  /** In lower case, without what may stand before a label. */
  text: string;
  start: number;
}

function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  for (let start = 0; start <= text.length; ) {
    const end = text.indexOf('\n', start);
    const line = text.slice(start, end < 0 ? text.length : end);
    const before = BEFORE.exec(line)?.[0].length ?? 0;
    lines.push({ text: line.slice(before).toLowerCase(), start: start + before });
    if (end < 0) break;
    start = end + 1;
  }
  return lines;
}

function readBy({ id, labels }: LabelSet, lines: readonly Line[], text: string): FormattedMail | null {
  // The longest first: `Site name:` must not be taken for `Site`.
  const known = [...labels]
    .map(([field, label]) => ({ field, label: label.trim().toLowerCase() }))
    .filter(({ label }) => label !== '')
    .sort((a, b) => b.label.length - a.label.length);
  const places = lines.flatMap(({ text: line, start }) => {
    const label = known.find((one) => line.startsWith(one.label));
    return label === undefined
      ? []
      : [{ field: label.field, label: start, value: start + label.label.length }];
  });
  if (!places.some(({ field }) => field === 'subject' || field === 'details')) return null;
  const values = new Map<LabelledField, string>();
  const fields: FieldValue[] = [];
  for (const [index, { field, value: begin }] of places.entries()) {
    const until = places[index + 1]?.label ?? text.length;
    const value = text
      .slice(begin, until)
      .replace(/^\s*[:=]?\s*/, '')
      .replace(/[\s>*•-]*$/, '')
      .slice(0, VALUE_CHARS);
    if (value === '' || values.has(field)) continue;
    values.set(field, value.toWellFormed());
    const start = text.indexOf(value, begin);
    fields.push({
      field: `formatted:${field}`,
      matchedBy: null,
      value: value.toWellFormed(),
      source: 'newest_text',
      start,
      end: start + value.length,
    });
  }
  return { setId: id, values, fields };
}
