import { decodeBytes } from './charset.ts';
import { decodeHeaderText } from './encoded-words.ts';
import { hexValue } from './transfer-encoding.ts';

/** A value with parameters, as in Content-Type and Content-Disposition (RFC 2045 section 5.1). */
export interface StructuredValue {
  /** In lower case, without comments. */
  value: string;
  /** Parameters as written, by lower-case name; the first of equal names counts. */
  params: Map<string, string>;
}

/** More parameters than this have no honest use. */
const MAX_PARAMETERS = 200;

const SPACE = 0x20;
const TAB = 0x09;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/**
 * Splits an unfolded header value, one character a byte. Takes what mailers really write: blanks around `=`,
 * values with blanks but no quotes, Windows paths, quotes that never end. One linear pass.
 */
export function parseStructuredValue(binary: string): StructuredValue {
  const params = new Map<string, string>();
  const first = readUntilSemicolon(binary, skipBlanks(binary, 0), true);
  let index = first.end;
  while (index < binary.length && params.size < MAX_PARAMETERS) {
    index = skipBlanks(binary, index + 1);
    const nameStart = index;
    while (index < binary.length && !isAny(binary.charCodeAt(index), EQUALS, SEMICOLON)) index++;
    const name = binary.slice(nameStart, index).trim().toLowerCase();
    if (binary.charCodeAt(index) !== EQUALS) continue;
    index = skipBlanks(binary, index + 1);
    let value: string;
    if (binary.charCodeAt(index) === QUOTE) {
      const quoted = readQuoted(binary, index);
      value = quoted.text;
      index = quoted.end;
      while (index < binary.length && binary.charCodeAt(index) !== SEMICOLON) index++;
    } else {
      // `name=report (1).pdf` without quotes is wrong but common: there a bracket is no comment.
      const plain = readUntilSemicolon(
        binary,
        index,
        !name.startsWith('name') && !name.startsWith('filename'),
      );
      value = plain.text;
      index = plain.end;
    }
    if (name !== '' && !params.has(name)) params.set(name, value);
  }
  return { value: first.text.toLowerCase(), params };
}

/**
 * A text parameter decoded: RFC 2231 with charset and continuations before the plain form, encoded-words (which
 * the standard forbids there and everybody sends) and bare 8-bit in the plain one. Null when it is not there.
 */
export function textParameter(params: ReadonlyMap<string, string>, name: string): string | null {
  if (params.size === 0) return null;
  const extended = extendedParameter(params, name);
  if (extended !== null) return extended;
  const plain = params.get(name);
  return plain === undefined ? null : decodeHeaderText(plain);
}

/** RFC 2231: `name*`, `name*0`, `name*0*`, `name*1`, ... */
function extendedParameter(params: ReadonlyMap<string, string>, name: string): string | null {
  const single = params.get(`${name}*`);
  if (single !== undefined) return decodeExtended([{ text: single, encoded: true }]);
  const sections: { text: string; encoded: boolean }[] = [];
  for (let number = 0; number < MAX_PARAMETERS; number++) {
    const encoded = params.get(`${name}*${number}*`);
    const text = encoded ?? params.get(`${name}*${number}`);
    if (text === undefined) break;
    sections.push({ text, encoded: encoded !== undefined });
  }
  return sections.length === 0 ? null : decodeExtended(sections);
}

function decodeExtended(sections: { text: string; encoded: boolean }[]): string {
  let charset: string | null = null;
  const chunks: Buffer[] = [];
  for (const [number, section] of sections.entries()) {
    let { text } = section;
    if (number === 0 && section.encoded) {
      const afterCharset = text.indexOf("'");
      const afterLanguage = afterCharset < 0 ? -1 : text.indexOf("'", afterCharset + 1);
      if (afterLanguage >= 0) {
        charset = text.slice(0, afterCharset) || null;
        text = text.slice(afterLanguage + 1);
      }
    }
    chunks.push(section.encoded ? percentDecode(text) : Buffer.from(text, 'latin1'));
  }
  const bytes = Buffer.concat(chunks);
  // Some mailers split an encoded-word over plain sections instead.
  if (charset === null && bytes.includes('=?')) return decodeHeaderText(bytes.toString('latin1'));
  return decodeBytes(bytes, charset).text;
}

function percentDecode(text: string): Buffer {
  const bytes = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x25) {
      const high = hexValue(text.charCodeAt(i + 1));
      const low = hexValue(text.charCodeAt(i + 2));
      if (high >= 0 && low >= 0) {
        bytes[length++] = high * 16 + low;
        i += 2;
        continue;
      }
    }
    bytes[length++] = code;
  }
  return bytes.subarray(0, length);
}

function readUntilSemicolon(text: string, start: number, comments: boolean): { text: string; end: number } {
  let value = '';
  let from = start;
  let index = start;
  while (index < text.length && text.charCodeAt(index) !== SEMICOLON) {
    if (comments && text.charCodeAt(index) === OPEN) {
      value += text.slice(from, index);
      index = skipComment(text, index);
      from = index;
    } else {
      index++;
    }
  }
  return { text: (value + text.slice(from, index)).trim(), end: index };
}

function readQuoted(text: string, start: number): { text: string; end: number } {
  let value = '';
  let from = start + 1;
  for (let index = from; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) return { text: value + text.slice(from, index), end: index + 1 };
    // Only a quote or a backslash is taken as escaped, so that a Windows path keeps its separators.
    if (code === BACKSLASH && isAny(text.charCodeAt(index + 1), QUOTE, BACKSLASH)) {
      value += text.slice(from, index);
      from = index + 1;
      index++;
    }
  }
  return { text: value + text.slice(from), end: text.length };
}

function skipBlanks(text: string, start: number): number {
  let index = start;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code === OPEN) index = skipComment(text, index);
    else if (isAny(code, SPACE, TAB) || code === 0x0a || code === 0x0d) index++;
    else break;
  }
  return index;
}

/** The position after a comment (RFC 5322 section 3.2.2); comments nest, so the depth is counted. */
export function skipComment(text: string, start: number): number {
  let depth = 0;
  for (let index = start; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === BACKSLASH) index++;
    else if (code === OPEN) depth++;
    else if (code === CLOSE && --depth === 0) return index + 1;
  }
  return text.length;
}

function isAny(code: number, first: number, second: number): boolean {
  return code === first || code === second;
}
