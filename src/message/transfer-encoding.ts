/**
 * Content-Transfer-Encoding (RFC 2045 section 6): decoded sizes without decoding, and decoding.
 */
export type TransferEncoding = 'base64' | 'quoted-printable' | 'identity';

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const EQUALS = 0x3d;

const BASE64_ALPHABET = new Uint8Array(256);
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_') {
  BASE64_ALPHABET[char.charCodeAt(0)] = 1;
}

/** The encoding that a header names; unknown ones are taken as they stand. */
export function transferEncoding(header: string | null): TransferEncoding {
  const token =
    header === null
      ? ''
      : header
          .replaceAll('"', '')
          .split(/[;(\s]/, 1)[0]!
          .toLowerCase();
  if (token === 'base64') return 'base64';
  return token === 'quoted-printable' ? 'quoted-printable' : 'identity';
}

/** Counts the decoded size of a part that passes by in pieces, without decoding it. */
export class DecodedSize {
  readonly #encoding: TransferEncoding;
  #count = 0;
  /** Quoted-printable: how many bytes of an escape were seen, 0 to 2. */
  #escape = 0;

  constructor(encoding: TransferEncoding) {
    this.#encoding = encoding;
  }

  add(chunk: Uint8Array): void {
    if (this.#encoding === 'identity') this.#count += chunk.length;
    else if (this.#encoding === 'base64') this.#addBase64(chunk);
    else this.#addQuotedPrintable(chunk);
  }

  get bytes(): number {
    return this.#encoding === 'base64' ? Math.floor((this.#count * 3) / 4) : this.#count;
  }

  #addBase64(chunk: Uint8Array): void {
    let count = 0;
    for (let i = 0; i < chunk.length; i++) count += BASE64_ALPHABET[chunk[i]!]!;
    this.#count += count;
  }

  #addQuotedPrintable(chunk: Uint8Array): void {
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (this.#escape > 0) {
        // `=XY` counts once; `=` at the end of a line is a soft break and counts nothing.
        if (byte === 0x0a) this.#escape = 0;
        else if (byte === 0x0d) this.#escape = 2;
        else if (this.#escape === 1) this.#escape = 2;
        else {
          this.#count++;
          this.#escape = 0;
        }
      } else if (byte === 0x3d) {
        this.#escape = 1;
      } else {
        this.#count++;
      }
    }
  }
}

/** Decodes base64; characters outside the alphabet are skipped (RFC 2045 section 6.8), padding inside too. */
export function decodeBase64(encoded: Buffer): Buffer {
  const padding = encoded.indexOf(0x3d);
  if (padding < 0 || padding >= encoded.length - 4) return Buffer.from(encoded.toString('latin1'), 'base64');
  // Node stops at the first padding; joined encodings go on after it.
  const chunks: Buffer[] = [];
  for (const piece of encoded.toString('latin1').split(/=+/)) {
    if (piece !== '') chunks.push(Buffer.from(piece, 'base64'));
  }
  return Buffer.concat(chunks);
}

/**
 * Decodes quoted-printable (RFC 2045 section 6.7). Blanks at the end of a line were added on the way and go; a broken
 * escape stays as it is written.
 */
export function decodeQuotedPrintable(encoded: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(encoded.length);
  let length = 0;
  /** Where the blanks begin that end the line if nothing follows them. */
  let solid = 0;
  for (let i = 0; i < encoded.length; i++) {
    const byte = encoded[i]!;
    if (byte === LF || byte === CR) {
      length = solid;
      bytes[length++] = byte;
      solid = length;
    } else if (byte !== EQUALS) {
      bytes[length++] = byte;
      if (byte !== SPACE && byte !== TAB) solid = length;
    } else {
      const high = hexValue(encoded[i + 1]);
      const low = hexValue(encoded[i + 2]);
      if (high >= 0 && low >= 0) {
        bytes[length++] = high * 16 + low;
        i += 2;
        solid = length;
        continue;
      }
      const lineEnd = softBreakEnd(encoded, i + 1);
      if (lineEnd >= 0) i = lineEnd - 1;
      else bytes[length++] = byte;
      solid = length;
    }
  }
  return bytes.subarray(0, solid);
}

/** Where the next line begins when only blanks stand between an `=` and the end of its line; else -1. */
function softBreakEnd(encoded: Buffer, from: number): number {
  let at = from;
  while (encoded[at] === SPACE || encoded[at] === TAB) at++;
  if (at >= encoded.length || encoded[at] === LF) return at + 1;
  if (encoded[at] !== CR) return -1;
  return encoded[at + 1] === LF ? at + 2 : at + 1;
}

/** Decodes a whole part. */
export function decodeTransfer(encoded: Buffer, encoding: TransferEncoding): Buffer {
  if (encoding === 'base64') return decodeBase64(encoded);
  return encoding === 'quoted-printable' ? decodeQuotedPrintable(encoded) : encoded;
}

/** The value of a hexadecimal digit given as its code; -1 for anything else. */
export function hexValue(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 0x37;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  return -1;
}
