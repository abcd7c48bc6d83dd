/**
 * Writes messages (RFC 5322) and MIME entities (RFC 2045, 2046) as bytes, in the ways in which real programs
 * write them. Lines end in CRLF. Nothing here checks that a message is sane: some samples must not be.
 */
import iconv from 'iconv-lite';

/** A MIME entity: its header lines, folded, without line ends; and its body as it travels. */
export interface Entity {
  headers: readonly string[];
  body: Buffer;
}

export type Encoding = '7bit' | '8bit' | 'quoted-printable' | 'base64';
export type HeaderLine = readonly [name: string, value: string];

const CRLF = '\r\n';
const LINE = 76;

export interface TextOptions {
  subtype?: string;
  charset?: string;
  encoding?: Encoding;
  /** More parameters of the content type, for example `format=flowed`. */
  parameters?: string;
}

export function textEntity(text: string, options: TextOptions = {}): Entity {
  const { subtype = 'plain', charset = 'utf-8' } = options;
  const encoding = options.encoding ?? (isAscii(text) ? '7bit' : 'quoted-printable');
  const extra = options.parameters ? `; ${options.parameters}` : '';
  return {
    headers: [
      `Content-Type: text/${subtype}; charset=${charset}${extra}`,
      `Content-Transfer-Encoding: ${encoding}`,
    ],
    body: transferEncode(encodeText(text.replace(/\r?\n/g, CRLF), charset), encoding),
  };
}

export interface FileOptions {
  disposition?: 'attachment' | 'inline';
  contentId?: string;
  /** Replaces the file name parameter, for names that need RFC 2231 or are written wrongly. */
  filenameParameter?: string;
}

export function fileEntity(
  filename: string,
  contentType: string,
  content: Buffer,
  options: FileOptions = {},
): Entity {
  const { disposition = 'attachment', filenameParameter = `filename="${filename}"` } = options;
  const headers = [
    `Content-Type: ${contentType}`,
    `Content-Disposition: ${disposition};${CRLF} ${filenameParameter}`,
    'Content-Transfer-Encoding: base64',
  ];
  if (options.contentId) headers.push(`Content-ID: <${options.contentId}>`);
  return { headers, body: transferEncode(content, 'base64') };
}

/** A message inside a message, as when it is forwarded as an attachment (RFC 2046 section 5.2.1). */
export function messageEntity(message: Buffer): Entity {
  return { headers: ['Content-Type: message/rfc822', 'Content-Disposition: attachment'], body: message };
}

export function multipartEntity(type: string, boundary: string, parts: readonly Entity[]): Entity {
  const chunks: Buffer[] = [];
  for (const part of parts) {
    chunks.push(Buffer.from(`--${boundary}${CRLF}${part.headers.join(CRLF)}${CRLF}${CRLF}`), part.body);
    chunks.push(Buffer.from(CRLF));
  }
  chunks.push(Buffer.from(`--${boundary}--${CRLF}`));
  return {
    headers: [`Content-Type: multipart/${type};${CRLF} boundary="${boundary}"`],
    body: Buffer.concat(chunks),
  };
}

/** The whole message. Values must be folded and encoded already where they need it. */
export function composeMessage(headers: readonly HeaderLine[], entity: Entity): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  const head = [...lines, 'MIME-Version: 1.0', ...entity.headers].join(CRLF);
  return Buffer.concat([Buffer.from(`${head}${CRLF}${CRLF}`), entity.body]);
}

/** A header text as it may travel: plain when it is ASCII, else in encoded words (RFC 2047). */
export function headerText(text: string, charset = 'utf-8', form: 'B' | 'Q' = 'B'): string {
  return isAscii(text) ? text : encodedWords(text, charset, form);
}

/** Encoded words of at most 75 characters; no character is split between two of them (RFC 2047 section 5). */
export function encodedWords(text: string, charset: string, form: 'B' | 'Q' = 'B'): string {
  const words: string[] = [];
  let taken = '';
  for (const character of text) {
    const longer = encodedWord(taken + character, charset, form);
    if (longer.length > 75) {
      words.push(encodedWord(taken, charset, form));
      taken = character;
    } else taken += character;
  }
  if (taken !== '') words.push(encodedWord(taken, charset, form));
  return words.join(`${CRLF} `);
}

function encodedWord(text: string, charset: string, form: 'B' | 'Q'): string {
  const bytes = encodeText(text, charset);
  const encoded = form === 'B' ? bytes.toString('base64') : qEncode(bytes);
  return `=?${charset}?${form}?${encoded}?=`;
}

function qEncode(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    if (character === ' ') text += '_';
    else text += /[A-Za-z0-9!*+/-]/.test(character) ? character : hexByte(byte);
  }
  return text;
}

/** A file name parameter by RFC 2231, in several pieces when `pieceLength` is given. */
export function extendedFilename(filename: string, charset = 'utf-8', pieceLength = 0): string {
  const encoded = [...encodeText(filename, charset)].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._-]/.test(character) ? character : `%${hexByte(byte).slice(1)}`;
  });
  if (pieceLength === 0) return `filename*=${charset}''${encoded.join('')}`;
  const pieces: string[] = [];
  for (let start = 0; start < encoded.length; start += pieceLength) {
    const piece = encoded.slice(start, start + pieceLength).join('');
    const number = pieces.length;
    pieces.push(`filename*${number}*=${number === 0 ? `${charset}''` : ''}${piece}`);
  }
  return pieces.join(`;${CRLF} `);
}

/** Text in a charset. ISO-2022-JP, which the library lacks, is made from EUC-JP (RFC 1468). */
function encodeText(text: string, charset: string): Buffer {
  if (charset.toLowerCase() !== 'iso-2022-jp') return iconv.encode(text, charset);
  const chunks: Buffer[] = [];
  let inJapanese = false;
  for (const character of text) {
    const bytes = iconv.encode(character, 'euc-jp');
    const japanese = bytes.length === 2;
    if (japanese !== inJapanese) chunks.push(Buffer.from(japanese ? '\x1b$B' : '\x1b(B'));
    inJapanese = japanese;
    chunks.push(japanese ? Buffer.from(bytes.map((byte) => byte & 0x7f)) : bytes);
  }
  if (inJapanese) chunks.push(Buffer.from('\x1b(B'));
  return Buffer.concat(chunks);
}

function transferEncode(bytes: Buffer, encoding: Encoding): Buffer {
  if (encoding === 'base64') return Buffer.from(base64Lines(bytes));
  if (encoding === 'quoted-printable') return Buffer.from(quotedPrintable(bytes));
  return bytes;
}

function base64Lines(bytes: Buffer): string {
  const encoded = bytes.toString('base64');
  const lines: string[] = [];
  for (let start = 0; start < encoded.length; start += LINE) lines.push(encoded.slice(start, start + LINE));
  return lines.join(CRLF) + CRLF;
}

/** RFC 2045 section 6.7. CRLF in the input is a line end. */
function quotedPrintable(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .split(CRLF)
    .map((line) => quotedPrintableLine(line))
    .join(CRLF);
}

function quotedPrintableLine(line: string): string {
  let done = '';
  let current = '';
  for (let index = 0; index < line.length; index += 1) {
    const character = line.charAt(index);
    const atEnd = index === line.length - 1;
    const plain = /[!-<>-~]/.test(character) || ((character === ' ' || character === '\t') && !atEnd);
    const piece = plain ? character : hexByte(character.charCodeAt(0));
    if (current.length + piece.length > LINE - 1) {
      done += `${current}=${CRLF}`;
      current = '';
    }
    current += piece;
  }
  return done + current;
}

function hexByte(byte: number): string {
  return `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** A date as in RFC 5322 section 3.3, in a fixed offset from UTC. */
export function mailDate(date: Date, offsetMinutes = 0): string {
  const shifted = new Date(date.getTime() + offsetMinutes * 60_000);
  const sign = offsetMinutes < 0 ? '-' : '+';
  const minutes = Math.abs(offsetMinutes);
  const zone = `${String(Math.floor(minutes / 60)).padStart(2, '0')}${String(minutes % 60).padStart(2, '0')}`;
  return `${shifted.toUTCString().replace(/ GMT$/, '')} ${sign}${zone}`;
}

function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: line ends and tabs are plain ASCII too.
  return /^[\x00-\x7f]*$/.test(text);
}
