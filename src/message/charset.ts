import { isAscii, isUtf8 } from 'node:buffer';
import iconv from 'iconv-lite';

/** Bytes turned into text, and how sure that is. */
export interface DecodedText {
  text: string;
  /** The charset that was used, in lower case. */
  used: string;
  /** How many characters could not be decoded. */
  loss: number;
}

/** Names that mailers write and neither iconv-lite nor the WHATWG labels know. Compared without punctuation. */
const ALIASES = new Map<string, string>([
  ['ascii', 'us-ascii'],
  ['usascii', 'us-ascii'],
  ['ansix341968', 'us-ascii'],
  ['iso646us', 'us-ascii'],
  ['646', 'us-ascii'],
  ['ascii8bit', 'us-ascii'],
  ['utf8', 'utf-8'],
  ['utf8mb3', 'utf-8'],
  ['utf8mb4', 'utf-8'],
  ['utf8n', 'utf-8'],
  ['unicode11utf8', 'utf-8'],
  ['cp65001', 'utf-8'],
  ['utf7', 'utf-7'],
  ['unicode11utf7', 'utf-7'],
  ['unicode20utf7', 'utf-7'],
  ['cp65000', 'utf-7'],
  ['utf16', 'utf-16'],
  ['ucs2', 'utf-16'],
  ['unicode', 'utf-16'],
  ['iso88591', 'windows-1252'],
  ['latin1', 'windows-1252'],
  ['l1', 'windows-1252'],
  ['iso885911', 'windows-874'],
  ['cp1252', 'windows-1252'],
  ['ansi', 'windows-1252'],
  ['windowsansi', 'windows-1252'],
  ['iso88596e', 'iso-8859-6'],
  ['iso88596i', 'iso-8859-6'],
  ['iso88598e', 'iso-8859-8'],
  ['iso88598i', 'iso-8859-8'],
  ['logical', 'iso-8859-8'],
  ['visual', 'iso-8859-8'],
  ['iso88599', 'windows-1254'],
  ['ksc56011987', 'cp949'],
  ['ksc5601', 'cp949'],
  ['ksc56011989', 'cp949'],
  ['euckr', 'cp949'],
  ['gb2312', 'gb18030'],
  ['gb231280', 'gb18030'],
  ['euccn', 'gb18030'],
  ['cp936', 'gb18030'],
  ['xgbk', 'gb18030'],
  ['gbk', 'gb18030'],
  ['sjis', 'shift_jis'],
  ['xsjis', 'shift_jis'],
  ['shiftjis', 'shift_jis'],
  ['mskanji', 'shift_jis'],
  ['cp932', 'shift_jis'],
  ['windows31j', 'shift_jis'],
  ['iso2022jp', 'iso-2022-jp'],
  ['iso2022jp1', 'iso-2022-jp'],
  ['iso2022jp2', 'iso-2022-jp'],
  ['iso2022jpms', 'iso-2022-jp'],
  ['csiso2022jp', 'iso-2022-jp'],
  ['cp50220', 'iso-2022-jp'],
  ['cp50221', 'iso-2022-jp'],
  ['jis', 'iso-2022-jp'],
  ['xeucjp', 'euc-jp'],
  ['eucjp', 'euc-jp'],
  ['xmacroman', 'macintosh'],
  ['macroman', 'macintosh'],
]);

/** Encodings of one byte a character: UTF-8 read through them never fails, it only looks wrong. */
const SINGLE_BYTE = /^(?:windows-|iso-8859-|koi8-|mac|cp[48]\d\d$|cp12\d\d$|ibm|tis-620)/;

/** Names that iconv-lite takes but that are transfer encodings or inner forms, not charsets. */
const NOT_CHARSETS = new Set(['base64', 'hex', 'binary', 'internal']);

const ESCAPE = 0x1b;

/**
 * Decodes the bytes of a text part or an encoded-word. The declared charset is a claim: what is valid UTF-8 is
 * read as such, ISO-2022-JP is known by its escapes, and an unknown name ends as windows-1252. Never throws.
 */
export function decodeBytes(bytes: Uint8Array, declared: string | null): DecodedText {
  const name = declared === null ? null : canonicalCharset(declared);
  if (name === 'utf-16') return decodeUtf16(bytes);
  if (name === 'utf-7') return decodeWith(bytes, 'utf-7');
  if (isAscii(bytes)) {
    // Every byte of ISO-2022-JP is below 0x80, so it passes for ASCII and for UTF-8 when nobody declares it.
    if (bytes.includes(ESCAPE) && hasJapaneseEscape(bytes)) return decodeWith(bytes, 'iso-2022-jp');
    if (name === null || name === 'us-ascii' || name === 'utf-8' || SINGLE_BYTE.test(name)) {
      return {
        text: latin1(bytes),
        used: name === 'windows-1252' ? displayName(declared, name) : (name ?? 'us-ascii'),
        loss: 0,
      };
    }
  }
  const mark = byteOrderMark(bytes);
  if (mark !== null) return mark;
  if (isUtf8(bytes)) {
    // Text of a multi-byte charset can be valid UTF-8 by chance; text of a single-byte one practically cannot.
    const trustName = name !== null && name !== 'utf-8' && name !== 'us-ascii' && !SINGLE_BYTE.test(name);
    if (trustName && isKnownCharset(name)) {
      const decoded = decodeWith(bytes, name);
      if (decoded.loss === 0) return decoded;
    }
    return { text: utf8(bytes), used: 'utf-8', loss: 0 };
  }
  if (name !== null && name !== 'us-ascii' && name !== 'utf-8' && isKnownCharset(name)) {
    const decoded = decodeWith(bytes, name);
    return name === 'windows-1252' ? { ...decoded, used: displayName(declared, name) } : decoded;
  }
  // UTF-8 with a few broken bytes, such as a text that was cut, or something else altogether.
  const decoded = decodeWith(bytes, 'utf-8');
  return mostlyUtf8(bytes, decoded.loss) ? decoded : decodeWith(bytes, guess(bytes));
}

/** The name to use for a charset as declared; unknown names come back in lower case. */
export function canonicalCharset(declared: string): string {
  const lower = declared.trim().toLowerCase().slice(0, 60);
  const bare = lower.replace(/[^a-z0-9]/g, '');
  return ALIASES.get(bare) ?? lower;
}

function isKnownCharset(name: string): boolean {
  if (NOT_CHARSETS.has(name)) return false;
  return name === 'iso-2022-jp' || iconv.encodingExists(name);
}

function decodeWith(bytes: Uint8Array, name: string): DecodedText {
  let text: string;
  if (name === 'utf-8') text = utf8(bytes);
  // iconv-lite has no ISO-2022-JP; the decoder of the WHATWG Encoding standard knows its vendor rows as well.
  else if (name === 'iso-2022-jp') text = new TextDecoder('iso-2022-jp').decode(withoutIdleEscapes(bytes));
  else text = iconv.decode(asBuffer(bytes), name);
  return { text, used: name, loss: countLoss(text) };
}

/** Escapes with nothing after them, as where two encoded-words meet; the decoder counts each as an error. */
function withoutIdleEscapes(bytes: Uint8Array): Uint8Array {
  const pieces = latin1(bytes).split('\x1b');
  const kept = pieces.filter((piece, index) => {
    return index === 0 || index === pieces.length - 1 || !/^(?:\([BJI]|\$[@B])$/.test(piece);
  });
  return kept.length === pieces.length ? bytes : Buffer.from(kept.join('\x1b'), 'latin1');
}

function decodeUtf16(bytes: Uint8Array): DecodedText {
  const mark = byteOrderMark(bytes);
  if (mark !== null) return mark;
  // Without a mark: mail declared UTF-16 is most often something else, else the zero bytes tell the order.
  if (!bytes.includes(0) && isUtf8(bytes)) return { text: utf8(bytes), used: 'utf-8', loss: 0 };
  return decodeWith(bytes, bytes[0] === 0 ? 'utf-16be' : 'utf-16le');
}

function byteOrderMark(bytes: Uint8Array): DecodedText | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    const rest = bytes.subarray(3);
    return isUtf8(rest) ? { text: utf8(rest), used: 'utf-8', loss: 0 } : null;
  }
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return decodeWith(bytes.subarray(2), 'utf-16le');
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return decodeWith(bytes.subarray(2), 'utf-16be');
  return null;
}

/** Escapes that switch to a Japanese set: `ESC $ @`, `ESC $ B`, `ESC $ ( D`, `ESC ( J`, `ESC ( I`. */
function hasJapaneseEscape(bytes: Uint8Array): boolean {
  for (let i = bytes.indexOf(ESCAPE); i >= 0; i = bytes.indexOf(ESCAPE, i + 1)) {
    const first = bytes[i + 1];
    const second = bytes[i + 2];
    if (first === 0x24 && (second === 0x40 || second === 0x42)) return true;
    if (first === 0x24 && second === 0x28 && bytes[i + 3] === 0x44) return true;
    if (first === 0x28 && (second === 0x4a || second === 0x49)) return true;
  }
  return false;
}

/**
 * A charset for bytes that nobody named or that are not what was named: the East Asian sets whose pairs are
 * strict enough to be recognised, else windows-1252.
 */
function guess(bytes: Uint8Array): string {
  let pairs = 0;
  let kana = 0;
  let hangul = 0;
  let eucBroken = false;
  let kanaPairsSjis = 0;
  const end = Math.min(bytes.length, 64 * 1024);
  for (let i = 0; i < end; i++) {
    const byte = bytes[i]!;
    if (byte < 0x80) continue;
    const next = bytes[i + 1] ?? 0;
    if ((byte === 0x82 && next >= 0x9f) || (byte === 0x83 && next >= 0x40 && next <= 0x96)) kanaPairsSjis++;
    if (byte >= 0xa1 && next >= 0xa1) {
      pairs++;
      if (byte === 0xa4 || byte === 0xa5) kana++;
      if (byte >= 0xb0 && byte <= 0xc8) hangul++;
      i++;
    } else if (i + 1 < bytes.length) {
      eucBroken = true;
      if (byte >= 0x81 && byte <= 0xfc && next >= 0x40) i++;
    }
  }
  if (!eucBroken && pairs >= 6) {
    if (kana * 5 > pairs) return 'euc-jp';
    return hangul * 10 > pairs * 9 ? 'cp949' : 'gb18030';
  }
  if (kanaPairsSjis >= 4) {
    const decoded = decodeWith(bytes.subarray(0, end), 'shift_jis');
    if (decoded.loss <= 1) return 'shift_jis';
  }
  return 'windows-1252';
}

/** True when the broken bytes are few among good multi-byte characters: a cut or damaged UTF-8 text. */
function mostlyUtf8(bytes: Uint8Array, loss: number): boolean {
  let leads = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i]! >= 0xc2 && (bytes[i + 1]! & 0xc0) === 0x80) leads++;
  }
  return leads >= loss;
}

function displayName(declared: string | null, used: string): string {
  // The C1 bytes are what differs; a sender who says ISO-8859-1 is shown the name that was meant.
  return declared !== null && /8859|latin/i.test(declared) ? 'iso-8859-1' : used;
}

function countLoss(text: string): number {
  let count = 0;
  for (let i = text.indexOf('\ufffd'); i >= 0; i = text.indexOf('\ufffd', i + 1)) count++;
  return count;
}

function utf8(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('utf8');
}

function latin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('latin1');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
