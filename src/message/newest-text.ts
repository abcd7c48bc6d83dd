import {
  ANNOUNCEMENTS,
  ATTRIBUTION_STARTS,
  ATTRIBUTION_VERBS,
  headerKinds,
  REPLY_MARKERS,
  SEPARATORS,
} from './quote-words.ts';

/** Longer lines are prose and mark nothing. */
const MAX_MARKER_LINE = 300;
/** An attribution is broken over at most this many lines. */
const ATTRIBUTION_LINES = 4;
/** The fields of a quoted header stand within this many lines. */
const HEADER_BLOCK_LINES = 8;

/**
 * The newest part of a message body: what its author added, without the quoted chain. Knows `>` quotes, the
 * attributions of Gmail, Apple Mail and Thunderbird, the separators and header blocks of Outlook and Exchange,
 * and reply markers of helpdesks, in several languages. Answers between quotes stay. A message that is all
 * quote, such as a bare forward, comes back whole. Looks at each line a fixed number of times.
 */
export function newestText(text: string): string {
  const lines = text.split('\n');
  const kept: string[] = [];
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!;
    if (isQuoted(line)) continue;
    if (line.length <= MAX_MARKER_LINE && line.trim() !== '') {
      if (startsChain(lines, index)) {
        dropRuler(kept);
        break;
      }
      const attribution = attributionAt(lines, index);
      if (attribution !== null) {
        kept.length = Math.max(0, kept.length - (index - attribution.start));
        if (!attribution.quoteFollows) break;
        continue;
      }
    }
    kept.push(line);
  }
  const newest = trimLines(kept);
  return newest === '' ? text.trim() : newest;
}

function isQuoted(line: string): boolean {
  return line.startsWith('>') || line.startsWith(' >');
}

/** True when everything from this line on is the older message. */
function startsChain(lines: string[], index: number): boolean {
  const line = lines[index]!.trim();
  const lower = line.toLowerCase();
  if (isSeparator(lower) || ANNOUNCEMENTS.has(lower)) return true;
  if (REPLY_MARKERS.some((marker) => lower.includes(marker))) return true;
  return startsHeaderBlock(lines, index);
}

/** `-----Original Message-----` with any number of dashes from two, or `---- On ... Alice wrote ----`. */
function isSeparator(line: string): boolean {
  const lower = line.startsWith('*') ? line.replaceAll('*', '') : line;
  if (!lower.startsWith('--') && !lower.startsWith('__') && !lower.startsWith('==')) return false;
  let start = 0;
  let end = lower.length;
  while (start < end && '-_= '.includes(lower[start]!)) start++;
  while (end > start && '-_= :'.includes(lower[end - 1]!)) end--;
  const inner = lower.slice(start, end);
  if (SEPARATORS.has(inner) || inner.startsWith('forwarded by ')) return true;
  return startsAttribution(inner) && ATTRIBUTION_VERBS.some((verb) => inner.endsWith(verb));
}

/** `From:`, then a date and a recipient or subject in the lines that follow. */
function startsHeaderBlock(lines: string[], index: number): boolean {
  if (headerKinds(lines[index]!.trim())?.has('from') !== true) return false;
  let date = false;
  let other = false;
  const end = Math.min(lines.length, index + HEADER_BLOCK_LINES);
  for (let i = index + 1; i < end; i++) {
    const line = lines[i]!.trim();
    if (line === '') {
      // Text made from HTML has empty lines between the fields, a quoted header has no two in a row.
      if (i > index + 1 && lines[i - 1]!.trim() === '') break;
      continue;
    }
    const kinds = headerKinds(line);
    if (kinds === null) continue;
    date ||= kinds.has('date');
    other ||= kinds.has('to') || kinds.has('subject');
    if (date && other) return true;
  }
  return false;
}

/**
 * An attribution that ends at this line: where it starts, and whether a `>` quote follows it. Ends with a colon,
 * has a verb of writing, and names a time or an address; with a quote behind it any number will do.
 */
function attributionAt(lines: string[], index: number): { start: number; quoteFollows: boolean } | null {
  const last = lines[index]!.trim();
  if (!last.endsWith(':') && !last.endsWith('：')) return null;
  const quoteFollows = nextIsQuoted(lines, index + 1);
  let joined = '';
  let found: number | null = null;
  for (let start = index; start > index - ATTRIBUTION_LINES && start >= 0; start--) {
    const line = lines[start]!.trim();
    if (line === '' || line.length > MAX_MARKER_LINE || isQuoted(lines[start]!)) break;
    joined = `${line} ${joined}`;
    const lower = joined.trim().toLowerCase();
    if (!isAttribution(lower, quoteFollows)) continue;
    // Nearer lines alone may pass for one; the line that opens it is the better start.
    if (found === null || startsAttribution(lower)) found = start;
  }
  return found === null ? null : { start: found, quoteFollows };
}

function startsAttribution(lower: string): boolean {
  return ATTRIBUTION_STARTS.some((word) => startsWithWord(lower, word)) || /^[*_]?\d/.test(lower);
}

function isAttribution(lower: string, quoteFollows: boolean): boolean {
  const hasAddress = lower.includes('@');
  const hasTime = /\d[:.h]\d\d/.test(lower);
  if (!hasAddress && !hasTime && !quoteFollows) return false;
  if (!ATTRIBUTION_VERBS.some((verb) => lower.includes(verb))) {
    // Gmail in languages without a verb: `2026-01-05 10:00 GMT+01:00 Alice <alice@example.com>:`
    return hasTime && hasAddress && /^\d{4}[-/.]\d/.test(lower) && lower.endsWith('>:');
  }
  if (!hasAddress && !quoteFollows) return startsAttribution(lower);
  return hasTime || hasAddress || /\d/.test(lower) || lower.length < 80;
}

function startsWithWord(text: string, word: string): boolean {
  return text.startsWith(word) && !/[\p{L}\p{N}]/u.test(text[word.length] ?? '');
}

function nextIsQuoted(lines: string[], from: number): boolean {
  for (let index = from; index < lines.length && index < from + 3; index++) {
    if (lines[index]!.trim() !== '') return isQuoted(lines[index]!);
  }
  return false;
}

/** Outlook draws a line of underscores above its header block. */
function dropRuler(kept: string[]): void {
  while (kept.length > 0 && kept.at(-1)!.trim() === '') kept.pop();
  const last = kept.at(-1)?.trim() ?? '';
  if (last.length >= 5 && /^[-_=]+$/.test(last)) kept.pop();
}

function trimLines(lines: string[]): string {
  return lines.join('\n').trim();
}
