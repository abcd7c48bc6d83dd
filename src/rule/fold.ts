/**
 * Folding: what rules regard as the same text. Case does not count, a run of white space is one space, and
 * characters that nobody can see are not there (halo-compatible matching: "case-insensitive, after whitespace
 * folding"). Folding works on single UTF-16 units, so that every folded unit has one place in the original.
 */

/** Marks a unit that folding drops: soft hyphen, zero width space, word joiner, byte order mark. */
export const DROPPED = 0xffff;
export const SPACE = 0x20;

const WHITE_SPACE = [
  0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000,
];
const INVISIBLE = [0xad, 0x200b, 0x2060, 0xfeff, DROPPED];
const DOTLESS_I = 0x131;

/**
 * Simple case folding, by way of the upper case so that `ς` and `σ`, or `ſ` and `s`, become one. Units whose
 * case changes their length (`ß`, `İ`) stay as they are: a changed length would lose the place in the original.
 */
function foldUnit(unit: number): number {
  // Its upper case is a plain I, but no language takes the two for the same letter.
  if (unit === DOTLESS_I) return unit;
  const upper = String.fromCharCode(unit).toUpperCase();
  const lower = (upper.length === 1 ? upper : String.fromCharCode(unit)).toLowerCase();
  return lower.length === 1 ? lower.charCodeAt(0) : unit;
}

function buildTable(): Uint16Array {
  const table = new Uint16Array(0x10000);
  for (let unit = 0; unit < 0x10000; unit++) table[unit] = foldUnit(unit);
  for (const unit of WHITE_SPACE) table[unit] = SPACE;
  for (let unit = 0x2000; unit <= 0x200a; unit++) table[unit] = SPACE;
  for (const unit of INVISIBLE) table[unit] = DROPPED;
  return table;
}

/** Folded form of each UTF-16 unit: {@link SPACE} for white space, {@link DROPPED} for what is left out. */
export const FOLD: Uint16Array = buildTable();

/** A folded text with the way back: `starts[i]` is where folded unit `i` begins in the original. */
export interface FoldedText {
  readonly text: string;
  readonly original: string;
  readonly starts: Int32Array;
}

const utf16 = new TextDecoder('utf-16le', { ignoreBOM: true });
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Grows as needed and is kept: folding and searching are done many times for every message. */
let scratch = Buffer.alloc(64 * 1024);

/**
 * The UTF-16 units of a text, which are several times faster to walk through than the text itself. Valid until
 * the next call.
 */
export function unitsOf(text: string): Uint16Array {
  if (!LITTLE_ENDIAN) return Uint16Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
  if (text.length * 2 > scratch.length) scratch = Buffer.alloc(text.length * 2);
  scratch.write(text, 'utf16le');
  return new Uint16Array(scratch.buffer, scratch.byteOffset, text.length);
}

function toText(units: Uint16Array): string {
  // Short texts are the common case, and for them the plain call is the faster one.
  if (units.length <= 256 || !LITTLE_ENDIAN) return fromUnits(units);
  const text = utf16.decode(units);
  // The decoder replaces lone surrogates; lengths stay equal, but the text would not.
  return text.includes('\ufffd') ? fromUnits(units) : text;
}

function fromUnits(units: Uint16Array): string {
  let text = '';
  for (let at = 0; at < units.length; at += 4096) {
    text += String.fromCharCode(...units.subarray(at, at + 4096));
  }
  return text;
}

/** Folds a text and keeps, for every folded unit, its place in the original. Linear; no limit of its own. */
export function foldText(original: string): FoldedText {
  const source = unitsOf(original);
  const units = new Uint16Array(original.length);
  const starts = new Int32Array(original.length);
  let length = 0;
  let inSpace = false;
  for (let at = 0; at < original.length; at++) {
    const unit = FOLD[source[at]!]!;
    if (unit === DROPPED) continue;
    if (unit === SPACE) {
      if (inSpace) continue;
      inSpace = true;
    } else {
      inSpace = false;
    }
    units[length] = unit;
    starts[length] = at;
    length++;
  }
  return { text: toText(units.subarray(0, length)), original, starts: starts.subarray(0, length) };
}

/** The folded form of a text that is searched for. Not trimmed: a space that somebody typed is part of it. */
export function fold(text: string): string {
  return isPlain(text) ? text.toLowerCase() : foldText(text).text;
}

/** True for ASCII without white space, as addresses are: there the built-in lower case is the folded form. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit <= SPACE || unit >= 0x80) return false;
  }
  return true;
}

/** True when a condition is left blank: nothing remains of it but white space. */
export function isBlank(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = FOLD[text.charCodeAt(at)]!;
    if (unit !== SPACE && unit !== DROPPED) return false;
  }
  return true;
}

/** A place in an original text: UTF-16 offsets, end exclusive. */
export interface Span {
  start: number;
  end: number;
}

/** Finds a folded needle from folded position `from` on; null when it does not occur. */
export function findFolded(haystack: FoldedText, needle: string, from = 0): Span | null {
  const at = haystack.text.indexOf(needle, from);
  return at < 0 ? null : spanOf(haystack, at, at + needle.length);
}

/** The original place of folded units `from` to `to` (exclusive, not empty). */
function spanOf(text: FoldedText, from: number, to: number): Span {
  return { start: text.starts[from]!, end: text.starts[to - 1]! + 1 };
}
