import { decodeBytes } from './charset.ts';
import { decodeBase64, hexValue } from './transfer-encoding.ts';

/**
 * The text of an unfolded header value given as one character a byte: encoded-words (RFC 2047) decoded, bytes
 * above 0x7f read as UTF-8 (RFC 6532) or, when they are not, as what they look like. One linear pass.
 */
export function decodeHeaderText(binary: string): string {
  if (binary.indexOf('=?') < 0) return decodePlain(binary);
  let text = '';
  // Words that follow each other in one charset are joined as bytes: mailers split characters between them.
  let pending: { charset: string; chunks: Buffer[] } | null = null;
  let position = 0;
  let start = binary.indexOf('=?');
  while (start >= 0) {
    const word = readWord(binary, start);
    if (word === null) {
      start = binary.indexOf('=?', start + 2);
      continue;
    }
    if (word === 'none') break;
    const between = binary.slice(position, start);
    const adjacent = pending !== null && between.trim() === '';
    if (pending !== null && (!adjacent || pending.charset !== word.charset)) {
      text += decodeBytes(Buffer.concat(pending.chunks), pending.charset).text;
      pending = null;
    }
    // White space between two words is only their separator (RFC 2047 section 6.2).
    if (!adjacent) text += decodePlain(between);
    pending ??= { charset: word.charset, chunks: [] };
    pending.chunks.push(word.bytes);
    position = word.end;
    start = binary.indexOf('=?', position);
  }
  if (pending !== null) text += decodeBytes(Buffer.concat(pending.chunks), pending.charset).text;
  return text + decodePlain(binary.slice(position));
}

/** Text without encoded-words. */
export function decodePlain(binary: string): string {
  for (let i = 0; i < binary.length; i++) {
    if (binary.charCodeAt(i) > 0x7f) return decodeBytes(Buffer.from(binary, 'latin1'), null).text;
  }
  // Undeclared ISO-2022-JP is all ASCII and known by its escapes.
  return binary.indexOf('\x1b') < 0 ? binary : decodeBytes(Buffer.from(binary, 'latin1'), null).text;
}

interface Word {
  charset: string;
  bytes: Buffer;
  end: number;
}

/** Reads `=?charset?B|Q?text?=` at `start`; null when it is none, `none` when no word can follow any more. */
function readWord(binary: string, start: number): Word | 'none' | null {
  let index = start + 2;
  const charsetEnd = Math.min(index + 60, binary.length);
  while (index < charsetEnd && isTokenChar(binary.charCodeAt(index))) index++;
  if (index === start + 2 || binary[index] !== '?') return null;
  // RFC 2231 section 5 adds a language after an asterisk.
  const charset = binary.slice(start + 2, index).split('*', 1)[0]!;
  const encoding = binary[index + 1];
  if (binary[index + 2] !== '?') return null;
  const textStart = index + 3;
  const textEnd = binary.indexOf('?=', textStart);
  if (textEnd < 0) return 'none';
  const encoded = binary.slice(textStart, textEnd);
  if (encoding === 'B' || encoding === 'b') {
    return { charset, bytes: decodeBase64(Buffer.from(encoded, 'latin1')), end: textEnd + 2 };
  }
  if (encoding === 'Q' || encoding === 'q') return { charset, bytes: decodeQ(encoded), end: textEnd + 2 };
  return null;
}

function isTokenChar(code: number): boolean {
  return code > 0x20 && code < 0x7f && code !== 0x3f && code !== 0x3d;
}

/** The Q encoding of RFC 2047 section 4.2. */
function decodeQ(encoded: string): Buffer {
  const bytes = Buffer.allocUnsafe(encoded.length);
  let length = 0;
  for (let i = 0; i < encoded.length; i++) {
    const code = encoded.charCodeAt(i);
    if (code === 0x5f) {
      bytes[length++] = 0x20;
    } else if (code === 0x3d) {
      const high = hexValue(encoded.charCodeAt(i + 1));
      const low = hexValue(encoded.charCodeAt(i + 2));
      if (high >= 0 && low >= 0) {
        bytes[length++] = high * 16 + low;
        i += 2;
      } else {
        bytes[length++] = code;
      }
    } else {
      bytes[length++] = code;
    }
  }
  return bytes.subarray(0, length);
}
