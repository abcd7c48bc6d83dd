import { decodeHeaderText } from './encoded-words.ts';

/**
 * The message ids of a References or In-Reply-To field (RFC 5322 section 3.6.4), without angle brackets, each
 * once, in their order. Reads from the end and stops after `max`, because the newest ids stand last.
 */
export function messageIds(binary: string, max: number, maxLength: number): string[] {
  const text = binary.includes('=?') ? decodeHeaderText(binary) : binary;
  const newestFirst = new Set<string>();
  const read = text.includes('<') ? bracketed(text) : bare(text);
  for (const id of read) {
    const clean = cleanId(id);
    if (clean !== '' && clean.length <= maxLength) newestFirst.add(clean);
    if (newestFirst.size === max) break;
  }
  return [...newestFirst].reverse();
}

/** The id of a Message-ID field; null when it is missing, empty or too long to be one. */
export function messageId(binary: string | null, maxLength: number): string | null {
  if (binary === null) return null;
  const text = binary.includes('=?') ? decodeHeaderText(binary) : binary;
  const open = text.indexOf('<');
  const close = open < 0 ? -1 : text.indexOf('>', open);
  const id = cleanId(close < 0 ? text.replace(/[<>]/g, '') : text.slice(open + 1, close));
  return id === '' || id.length > maxLength ? null : id;
}

function* bracketed(text: string): Generator<string> {
  let close = text.lastIndexOf('>');
  while (close > 0) {
    const open = text.lastIndexOf('<', close);
    if (open < 0) return;
    // Of `<a> junk>` the last closing bracket belongs to no id.
    const inner = text.slice(open + 1, close);
    const first = inner.indexOf('>');
    yield first < 0 ? inner : inner.slice(0, first);
    if (open === 0) return;
    close = text.lastIndexOf('>', open - 1);
  }
}

function* bare(text: string): Generator<string> {
  let end = text.length;
  while (end > 0) {
    let start = end;
    while (start > 0 && !isSeparator(text.charCodeAt(start - 1))) start--;
    const word = text.slice(start, end);
    if (word.includes('@')) yield word;
    end = start - 1;
  }
}

function isSeparator(code: number): boolean {
  return code <= 0x20 || code === 0x2c || code === 0x3b;
}

function cleanId(id: string): string {
  return id.replace(/[\s\p{Cc}]+/gu, '');
}
