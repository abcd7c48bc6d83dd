/** The parts of a message that FETCH can ask for: the whole, header, text and chosen header fields. */

const EMPTY = Buffer.alloc(0);

/** A parsed `BODY[...]` or `BODY.PEEK[...]` item (RFC 9051 section 6.4.5). */
export interface BodyItem {
  peek: boolean;
  /** As the answer repeats it, in capitals. */
  section: string;
  kind: 'whole' | 'header' | 'text' | 'fields' | 'fields-not';
  /** Field names in lower case, for the two kinds that choose. */
  fields: ReadonlySet<string>;
  partial: { start: number; length: number } | null;
}

const BODY = /^BODY(\.PEEK)?\[([^\]]*)\](?:<(\d{1,10})\.(\d{1,10})>)?$/i;
const FIELDS = /^HEADER\.FIELDS(\.NOT)? \(([^)]*)\)$/i;

/** Null when the item is no body section, or one that the lab does not have (single MIME parts). */
export function parseBodyItem(text: string): BodyItem | null {
  const match = BODY.exec(text);
  if (!match) return null;
  const section = (match[2] as string).toUpperCase();
  const chosen = FIELDS.exec(section);
  const partial = match[3] === undefined ? null : { start: Number(match[3]), length: Number(match[4]) };
  const item = { peek: match[1] !== undefined, section, partial, fields: new Set<string>() };
  if (section === '') return { ...item, kind: 'whole' };
  if (section === 'HEADER') return { ...item, kind: 'header' };
  if (section === 'TEXT') return { ...item, kind: 'text' };
  if (!chosen) return null;
  const names = (chosen[2] as string).split(' ').filter((name) => name !== '');
  const fields = new Set(names.map((name) => name.replaceAll('"', '').toLowerCase()));
  return { ...item, kind: chosen[1] ? 'fields-not' : 'fields', fields };
}

/** The bytes of a section, before any partial is applied. */
export function sectionBytes(message: Buffer, item: BodyItem): Buffer {
  if (item.kind === 'whole') return message;
  const end = endOfHeader(message);
  if (item.kind === 'header') return message.subarray(0, end);
  if (item.kind === 'text') return message.subarray(end);
  return chooseFields(message.subarray(0, end), item.fields, item.kind === 'fields');
}

/** A server answers with what it has from `start` on; past the end that is the empty string. */
export function cutPartial(bytes: Buffer, partial: BodyItem['partial']): Buffer {
  return partial ? bytes.subarray(partial.start, partial.start + partial.length) : bytes;
}

/** Offset just after the empty line that ends the header; the whole length when there is none. */
export function endOfHeader(message: Buffer): number {
  let lineStart = 0;
  for (;;) {
    const end = message.indexOf(0x0a, lineStart);
    if (end < 0) return message.length;
    const blank = end === lineStart || (end === lineStart + 1 && message[lineStart] === 0x0d);
    lineStart = end + 1;
    if (blank) return lineStart;
  }
}

function chooseFields(header: Buffer, names: ReadonlySet<string>, wanted: boolean): Buffer {
  const kept: Buffer[] = [];
  let keeping = false;
  let lineStart = 0;
  while (lineStart < header.length) {
    const end = header.indexOf(0x0a, lineStart);
    const next = end < 0 ? header.length : end + 1;
    const line = header.subarray(lineStart, next);
    const folded = line[0] === 0x20 || line[0] === 0x09;
    if (!folded) {
      const colon = line.indexOf(0x3a);
      keeping = colon > 0 && names.has(line.toString('latin1', 0, colon).trim().toLowerCase()) === wanted;
    }
    if (keeping) kept.push(line);
    lineStart = next;
  }
  kept.push(header.length === 0 ? EMPTY : Buffer.from('\r\n'));
  return Buffer.concat(kept);
}
