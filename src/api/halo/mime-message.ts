/**
 * Makes RFC 5322 bytes of a structured message, so that it takes the same way as mail from a server. Everything
 * comes from outside: a value can never start a header field of its own, because line ends in it become spaces and
 * what is not ASCII is encoded (RFC 2047).
 */
import type { AddressItem, MimeMessageItem } from './mail-fields.ts';

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

function headerLines(message: MimeMessageItem): string[] {
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
  add('Sender', addresses(message.sender === undefined || message.sender === null ? [] : [message.sender]));
  add('Reply-To', addresses(message.replyTo));
  add('To', addresses(message.to));
  add('Cc', addresses(message.cc));
  add('Bcc', addresses(message.bcc));
  add('Subject', unstructured(message.subject ?? '', 9));
  add('Date', message.date === undefined || message.date === null ? '' : rfcDate(message.date));
  add('Message-ID', messageIds([message.messageId]));
  add('In-Reply-To', messageIds([message.inReplyTo]));
  add('References', messageIds(message.references ?? []));
  add('Importance', choose(message.importance, ['low', 'normal', 'high']));
  add('Priority', choose(message.priority, ['non-urgent', 'normal', 'urgent']));
  add('X-Priority', choose(message.xPriority, ['', '1', '2', '3', '4', '5']));
  return lines;
}

function choose(code: number | null | undefined, words: string[]): string {
  return words[code ?? -1] ?? '';
}

function bodyLines({ textBody, htmlBody }: MimeMessageItem): string[] {
  const text = textBody ?? '';
  const html = htmlBody ?? '';
  if (html === '') return part('text/plain', text);
  if (text === '') return part('text/html', html);
  // Base64 never contains a line that begins with two hyphens, so any boundary is safe.
  const boundary = 'penstock-alternative';
  return [
    `Content-Type: multipart/alternative; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    ...part('text/plain', text),
    `--${boundary}`,
    ...part('text/html', html),
    `--${boundary}--`,
  ];
}

function part(type: string, text: string): string[] {
  const encoded = Buffer.from(text, 'utf8').toString('base64');
  const lines = [`Content-Type: ${type}; charset=utf-8`, 'Content-Transfer-Encoding: base64', ''];
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
