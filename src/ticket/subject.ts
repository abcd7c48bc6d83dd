import { fold, isBlank } from '../rule/fold.ts';
import { DEFAULT_END_TAG, DEFAULT_START_TAG, type GlobalPolicy } from './policy.ts';

/** Tags looked at in one text: real subjects have one, or two after a conversation was joined. */
const MAX_TAGS = 10;
/** Begins with ASCII punctuation. */
const PUNCTUATION = /^[!-/:-@[-`{-~]/;
/** Ticket ids stay below 10^15, so that they are exact numbers. */
const MAX_DIGITS = 15;

/** The ids of tickets that a text names between the configured tags, each once, in their order. */
export function taggedTicketIds(
  text: string,
  policy: Pick<GlobalPolicy, 'subjectStartTag' | 'subjectEndTag' | 'defaultTagToo'>,
): number[] {
  const ids = new Set<number>();
  collectTags(text, policy.subjectStartTag, policy.subjectEndTag, ids);
  if (policy.defaultTagToo) collectTags(text, DEFAULT_START_TAG, DEFAULT_END_TAG, ids);
  return [...ids];
}

function collectTags(text: string, startTag: string, endTag: string, ids: Set<number>): void {
  // Without a start tag every number would be a ticket.
  if (isBlank(startTag)) return;
  const start = fold(startTag).trim();
  // Folding leaves punctuation as it is: a text without the mark that a tag begins with has no tag.
  if (PUNCTUATION.test(start) && !text.includes(start[0]!)) return;
  const folded = fold(text);
  const end = fold(endTag).trim();
  let at = folded.indexOf(start);
  while (at >= 0 && ids.size < MAX_TAGS) {
    const id = numberAt(folded, at + start.length, end);
    if (id !== null) ids.add(id);
    at = folded.indexOf(start, at + start.length);
  }
}

/** A number with spaces around it, closed by the end tag. */
function numberAt(text: string, from: number, endTag: string): number | null {
  let at = text[from] === ' ' ? from + 1 : from;
  const first = at;
  while (at < text.length && at - first <= MAX_DIGITS && text[at]! >= '0' && text[at]! <= '9') at++;
  if (at === first || at - first > MAX_DIGITS) return null;
  const id = Number(text.slice(first, at));
  if (text[at] === ' ' && endTag !== '') at++;
  return id > 0 && text.startsWith(endTag, at) ? id : null;
}

const PREFIXES = new Set([
  're',
  'fw',
  'fwd',
  'aw',
  'wg',
  'antw',
  'sv',
  'vs',
  'vb',
  'tr',
  'rif',
  'ref',
  'res',
  'enc',
  'odp',
  'ynt',
  'i',
  'r',
  'rv',
  '回复',
  '转发',
  '答复',
]);
const MAX_PREFIXES = 20;

/**
 * A subject as it is compared when threading by subject and sender is on: folded, without marks of answers and
 * forwards (`Re:`, `AW:`, `Fwd[2]:`).
 */
export function comparableSubject(subject: string): string {
  let text = fold(subject).trim();
  for (let round = 0; round < MAX_PREFIXES; round++) {
    const colon = text.search(/[:：]/);
    if (colon < 1) return text;
    const mark = text
      .slice(0, colon)
      .replace(/\[\d{1,3}\]$|\(\d{1,3}\)$/, '')
      .trim();
    if (!PREFIXES.has(mark)) return text;
    text = text.slice(colon + 1).trim();
  }
  return text;
}
