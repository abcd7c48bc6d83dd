/**
 * Makes RFC 5322 bytes of a structured message, so that it takes the same way as mail from a server. Everything
 * comes from outside: a value can never start a header field of its own, because line ends in it become spaces and
 * what is not ASCII is encoded (RFC 2047).
 */
import type { AddressItem, MimeEntityItem, MimeMessageItem } from './mail-fields.ts';

/** Fields that describe a body which is made anew. */
const BODY_FIELDS = ['content-type', 'content-transfer-encoding', 'content-disposition', 'mime-version'];

const FIELD_NAME = /^[\x21-\x39\x3b-\x7e]{1,200}$/;

/** Lines of base64 (RFC 2045 section 6.8). */
const LINE = 76;

/** The message as bytes. The same input yields the same bytes. */
export function buildMessage(message: MimeMessageItem): Buffer {
  const lines = [...headerLines(message), 'MIME-Version: 1.0', ...bodyLines(message)];
  return Buffer.from(`${lines.join('\r\n')}\r\n`, 'utf8');
}

/** Header fields of a message without those of its body; each on one line but for folding. */
export function headerLines(message: MimeMessageItem): string[] {
  const lines: string[] = [];
  const given = new Set<string>();
  for (const { field, value } of message.headers ?? []) {
    const name = (field ?? '').trim();
    if (!FIELD_NAME.test(name) || BODY_FIELDS.includes(name.toLowerCase())) continue;
    given.add(name.toLowerCase());
    lines.push(`${name}: ${unstructured(value ?? '', name.length + 2)}`);
  }
  const add = (name: string, value: string): void => {
    if (value !== '' && !given.has(name.toLowerCase())) lines.push(`${name}: ${value}`);
  };
  add('From', addresses(message.from));
  add('Sender', addresses(one(message.sender)));
  add('Reply-To', addresses(message.replyTo));
  add('To', addresses(message.to));
  add('Cc', addresses(message.cc));
  add('Bcc', addresses(message.bcc));
  add('Subject', unstructured(message.subject ?? '', 9));
  add('Date', message.date ? rfcDate(message.date) : '');
  add('Message-ID', messageIds([message.messageId]));
  add('In-Reply-To', messageIds([message.inReplyTo]));
  add('References', messageIds(message.references ?? []));
  add('Resent-From', addresses(message.resentFrom));
  add('Resent-Sender', addresses(one(message.resentSender)));
  add('Resent-Reply-To', addresses(message.resentReplyTo));
  add('Resent-To', addresses(message.resentTo));
  add('Resent-Cc', addresses(message.resentCc));
  add('Resent-Bcc', addresses(message.resentBcc));
  add('Resent-Date', message.resentDate ? rfcDate(message.resentDate) : '');
  add('Resent-Message-ID', messageIds([message.resentMessageId]));
  add('Importance', choose(message.importance, ['low', 'normal', 'high']));
  add('Priority', choose(message.priority, ['non-urgent', 'normal', 'urgent']));
  add('X-Priority', choose(message.xPriority, ['', '1', '2', '3', '4', '5']));
  return lines;
}

function one<T>(item: T | null | undefined): T[] {
  return item === null || item === undefined ? [] : [item];
}

function choose(code: number | null | undefined, words: string[]): string {
  return words[code ?? -1] ?? '';
}

function bodyLines(message: MimeMessageItem): string[] {
  const files = (message.attachments ?? []).map(attachmentLines);
  if (files.length === 0) return textLines(message);
  return multipart('mixed', [textLines(message), ...files]);
}

function textLines({ textBody, htmlBody }: MimeMessageItem): string[] {
  const text = textBody ?? '';
  const html = htmlBody ?? '';
  if (html === '') return part('text/plain', text);
  if (text === '') return part('text/html', html);
  return multipart('alternative', [part('text/plain', text), part('text/html', html)]);
}

/** What is known of an attachment; the structure has no content of it (2.4). */
function attachmentLines({ contentType, contentDisposition, contentId }: MimeEntityItem): string[] {
  const { mediaType, mediaSubtype } = contentType ?? {};
  return leafLines(
    {
      type: `${mediaType || 'application'}/${mediaSubtype || 'octet-stream'}`,
      name: contentDisposition?.fileName || contentType?.name || '',
      disposition: contentDisposition?.disposition || 'attachment',
      contentId: contentId ?? '',
    },
    Buffer.alloc(0),
  );
}

/** The lines of a multipart. Base64 never has a line that begins with two hyphens, so any boundary that no part has is safe. */
export function multipart(subtype: string, parts: string[][]): string[] {
  const inner = parts.flat();
  let boundary = `penstock-${subtype}`;
  while (inner.some((line) => line.includes(boundary))) boundary += '-';
  return [
    `Content-Type: multipart/${subtype}; boundary="${boundary}"`,
    '',
    ...parts.flatMap((lines) => [`--${boundary}`, ...lines]),
    `--${boundary}--`,
  ];
}

export interface LeafHead {
  /** Content type without the name. */
  type: string;
  name: string;
  /** `inline` or `attachment`; '' says nothing. */
  disposition: string;
  contentId: string;
}

/** A part that is no multipart, with its content in base64. */
export function leafLines({ type, name, disposition, contentId }: LeafHead, data: Buffer): string[] {
  // RFC 2231, which takes any characters without a choice of encoding.
  const quoted =
    name === ''
      ? ''
      : `; filename*=utf-8''${encodeURIComponent(oneLine(name)).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)}`;
  const id = messageIds([contentId]);
  return [
    `Content-Type: ${/^[\w.+-]+\/[\w.+-]+(; charset=[\w.:+-]+)?$/.test(type) ? type : 'application/octet-stream'}`,
    ...(disposition === '' && quoted === ''
      ? []
      : [`Content-Disposition: ${/^inline$/i.test(disposition) ? 'inline' : 'attachment'}${quoted}`]),
    ...(id === '' ? [] : [`Content-ID: ${id}`]),
    'Content-Transfer-Encoding: base64',
    '',
    ...base64Lines(data),
  ];
}

function part(type: string, text: string): string[] {
  return leafLines(
    { type: `${type}; charset=utf-8`, name: '', disposition: '', contentId: '' },
    Buffer.from(text, 'utf8'),
  );
}

function base64Lines(data: Buffer): string[] {
  const encoded = data.toString('base64');
  const lines: string[] = [];
  for (let start = 0; start < encoded.length; start += LINE) lines.push(encoded.slice(start, start + LINE));
  return lines;
}

function addresses(items: AddressItem[] | null | undefined): string {
  const written: string[] = [];
  for (const { name, address } of items ?? []) {
    const bare = oneLine(address ?? '').replace(/[<>\s]/g, '');
    const phrase = oneLine(name ?? '').trim();
    if (bare === '') continue;
    written.push(phrase === '' ? bare : `${displayName(phrase)} <${bare}>`);
  }
  return written.join(',\r\n ');
}

/** An atom, a quoted string, or encoded words. */
function displayName(phrase: string): string {
  if (!isPlain(phrase)) return encodeWords(phrase, 0);
  return /^[\w !#$%&'*+/=?^`{|}~-]+$/.test(phrase) ? phrase : `"${phrase.replace(/["\\]/g, '\\$&')}"`;
}

function messageIds(ids: readonly (string | null | undefined)[]): string {
  return ids
    .map((id) => oneLine(id ?? '').replace(/[<>\s]/g, ''))
    .filter((id) => id !== '')
    .map((id) => `<${id}>`)
    .join('\r\n ');
}

/** The value of an unstructured field; `used` are the characters of its first line that are taken. */
function unstructured(value: string, used: number): string {
  const line = oneLine(value);
  return isPlain(line) && line.length + used <= 900 ? line : encodeWords(line, used);
}

/** Folded or forged line ends, and characters that no header may hold, become spaces. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go.
  return text.replace(/\r\n[ \t]?|[\x00-\x1f\x7f]/g, ' ').toWellFormed();
}

/** ASCII, and nothing that would be read as an encoded word. */
function isPlain(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text) && !text.includes('=?');
}

/** RFC 2047 encoded words of at most 75 characters, one a line, cut between characters. */
function encodeWords(text: string, used: number): string {
  const words: string[] = [];
  let chunk = '';
  let bytes = 0;
  // =?UTF-8?B?...?= leaves 63 characters of base64: 45 bytes. The first line is shared with the name.
  let room = Math.max(9, 45 - Math.ceil((used * 3) / 4));
  for (const character of text) {
    const length = Buffer.byteLength(character);
    if (bytes + length > room) {
      words.push(chunk);
      chunk = '';
      bytes = 0;
      room = 45;
    }
    chunk += character;
    bytes += length;
  }
  words.push(chunk);
  return words.map((word) => `=?UTF-8?B?${Buffer.from(word).toString('base64')}?=`).join('\r\n ');
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** RFC 5322 section 3.3. */
function rfcDate(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return '';
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = `${DAYS[at.getUTCDay()]}, ${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
  return `${day} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} +0000`;
}
