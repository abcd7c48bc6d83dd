import type { Readable } from 'node:stream';
import { asPenstockError } from '../errors.ts';
import { LIMITS, type Limits } from '../limits.ts';
import { parseAddresses } from './address.ts';
import { type Body, decodeBody } from './body.ts';
import { parseDate } from './date.ts';
import { headerFields, parseDeliveryStatus } from './delivery-status.ts';
import { decodeHeaderText } from './encoded-words.ts';
import { htmlToText } from './html-text.ts';
import { type LeafUse, nameLeaves, useLeaves } from './leaf-use.ts';
import type { Address, DeliveryStatus, Header, Leaf, ParsedMessage } from './message.ts';
import { messageId, messageIds } from './message-id.ts';
import { newestText } from './newest-text.ts';
import type { RawField, ScannedLeaf } from './scanned-leaf.ts';
import { toStorableJson, toStorableText } from './storable.ts';
import { type Structure, StructureScanner } from './structure.ts';
import { isTnef, withTnefFiles } from './tnef-files.ts';
import { decodeTransfer } from './transfer-encoding.ts';

/** Small reads from a stream are joined to pieces of this size before they are scanned. */
const SCAN_BYTES = 64 * 1024;
/** How much is kept of a part that is read for facts only: a delivery status, the header of a returned message. */
const REPORT_BYTES = 256 * 1024;
/** Encoded bytes of text kept for each character of the limit: four of UTF-8, and the overhead of base64. */
const BYTES_PER_CHAR = 6;

/**
 * Parses a message. The structure is scanned first and the limits hold before anything is built; then the text
 * leaves are decoded. Attachments are listed, counted and measured but never held, so a stream of 20 MB needs
 * little memory. Throws `mime_limit` when the message passes a structural limit, `parse_failed` when the parser
 * gives up; any other message, however broken, yields a result. Every string in it is storable text.
 */
export async function parseMessage(
  source: Buffer | Readable,
  limits: Partial<Limits> = {},
): Promise<ParsedMessage> {
  const all: Limits = { ...LIMITS, ...limits };
  const structure = await scan(source, all);
  const uses = withTnefFiles(useLeaves(structure.leaves, all), structure.warnings, all);
  const bodies = uses.filter((use) => use.use === 'body').map((use) => use.leaf);
  let body: Body;
  try {
    body = await decodeBody(bodies, structure.lineEnd);
  } catch (error) {
    throw asPenstockError(error, 'parse_failed');
  }
  return build(structure, uses, body, all);
}

async function scan(source: Buffer | Readable, limits: Limits): Promise<Structure> {
  let tnefKept = false;
  const scanner = new StructureScanner(limits, (leaf) => {
    if (!isTnef(leaf)) return bytesToKeep(leaf, limits);
    // One is what mailers send; each more would be held in memory as well.
    if (tnefKept) return 0;
    tnefKept = true;
    return limits.tnefBytes;
  });
  if (Buffer.isBuffer(source)) {
    scanner.push(source);
    return scanner.end();
  }
  let chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer);
    chunks.push(bytes);
    length += bytes.length;
    if (length >= SCAN_BYTES) {
      scanner.push(chunks.length === 1 ? bytes : Buffer.concat(chunks, length));
      chunks = [];
      length = 0;
    }
  }
  if (length > 0) scanner.push(Buffer.concat(chunks, length));
  return scanner.end();
}

function bytesToKeep(leaf: ScannedLeaf, limits: Limits): number {
  switch (leaf.contentType) {
    case 'text/plain':
      return leaf.disposition === 'attachment' ? 0 : limits.bodyTextChars * BYTES_PER_CHAR;
    case 'text/html':
      return leaf.disposition === 'attachment' ? 0 : limits.bodyHtmlChars * BYTES_PER_CHAR;
    case 'message/delivery-status':
    case 'message/rfc822':
    case 'message/global':
    case 'text/rfc822-headers':
      return REPORT_BYTES;
    default:
      return 0;
  }
}

function build(structure: Structure, uses: LeafUse[], body: Body, limits: Limits): ParsedMessage {
  const fields = new FieldIndex(structure.fields);
  const warnings = [...structure.warnings, ...fields.repeated()];
  const html =
    body.html === null ? null : capped(newlines(body.html), limits.bodyHtmlChars, 'HTML', warnings);
  const textIsFromHtml = (body.text === null || body.text.trim() === '') && html !== null;
  const wholeText = textIsFromHtml ? htmlToText(html ?? '') : newlines(body.text ?? '');
  const text = capped(wholeText, limits.bodyTextChars, 'text', warnings);
  const addresses = (name: string): Address[] => addressList(fields, name, limits, warnings);
  const returned = returnedHeader(uses);
  const message: ParsedMessage = {
    headers: structure.fields.map((field) => header(field, limits)),
    from: addresses('from'),
    sender: addresses('sender')[0] ?? null,
    replyTo: addresses('reply-to'),
    to: addresses('to'),
    cc: addresses('cc'),
    bcc: addresses('bcc'),
    subject: decodeHeaderText((fields.first('subject') ?? '').slice(0, limits.subjectChars * 4))
      .trim()
      .slice(0, limits.subjectChars),
    messageId: messageId(fields.first('message-id'), limits.messageIdLength),
    inReplyTo: messageIds(fields.first('in-reply-to') ?? '', limits.referencesCount, limits.messageIdLength),
    references: messageIds(fields.joined('references'), limits.referencesCount, limits.messageIdLength),
    date: dateOf(fields.first('date')),
    receivedAt: receivedAt(fields.first('received')),
    text,
    textIsFromHtml,
    html,
    newestText: newestText(text),
    leaves: listLeaves(uses, body, returned.subjects, limits, warnings),
    deliveryStatus: deliveryStatus(uses, returned.messageId, limits),
    warnings,
  };
  return toStorableJson(message, limits.bodyHtmlChars);
}

/** The fields of the message header by lower-case name. A Map, so that no name is special. */
class FieldIndex {
  readonly #byName = new Map<string, RawField[]>();

  constructor(fields: RawField[]) {
    for (const field of fields) {
      const name = field.name.toLowerCase();
      const list = this.#byName.get(name);
      if (list === undefined) this.#byName.set(name, [field]);
      else list.push(field);
    }
  }

  first(name: string): string | null {
    return this.#byName.get(name)?.[0]?.value ?? null;
  }

  /** All fields of a name as one value; lists that mailers spread over several fields. */
  joined(name: string, separator = ' '): string {
    return (
      this.#byName
        .get(name)
        ?.map((field) => field.value)
        .join(separator) ?? ''
    );
  }

  /** Fields that may occur once (RFC 5322 section 3.6) and do not. The first one counts. */
  repeated(): string[] {
    const once = ['from', 'sender', 'reply-to', 'date', 'message-id', 'subject', 'content-type'];
    return once
      .filter((name) => (this.#byName.get(name)?.length ?? 0) > 1)
      .map(
        (name) => `The field ${name} occurs ${this.#byName.get(name)!.length} times; the first one counts.`,
      );
  }
}

function header(field: RawField, limits: Limits): Header {
  // Cut before decoding: an encoded-word is never longer decoded than encoded.
  const raw = field.value.slice(0, limits.headerValueChars * 4);
  return {
    name: toStorableText(field.name, limits.messageIdLength),
    value: toStorableText(decodeHeaderText(raw.trim()), limits.headerValueChars),
  };
}

function addressList(fields: FieldIndex, name: string, limits: Limits, warnings: string[]): Address[] {
  const single = name === 'from' || name === 'sender' || name === 'reply-to';
  const value = single ? (fields.first(name) ?? '') : fields.joined(name, ', ');
  if (value === '') return [];
  const list = parseAddresses(value, limits.addressesPerField + 1);
  if (list.length <= limits.addressesPerField) return list;
  warnings.push(
    `The field ${name} has more than ${limits.addressesPerField} addresses; the rest was left out.`,
  );
  return list.slice(0, limits.addressesPerField);
}

function dateOf(value: string | null): string | null {
  return value === null ? null : parseDate(decodeHeaderText(value.slice(0, 1000)));
}

/** The timestamp of a Received field stands after its last semicolon (RFC 5321 section 4.4). */
function receivedAt(value: string | null): string | null {
  if (value === null) return null;
  const semicolon = value.lastIndexOf(';');
  return semicolon < 0 ? null : parseDate(value.slice(semicolon + 1));
}

function listLeaves(
  uses: LeafUse[],
  body: Body,
  subjects: Map<ScannedLeaf, string>,
  limits: Limits,
  warnings: string[],
): Leaf[] {
  const names = nameLeaves(uses, subjects, limits.filenameLength);
  let bodyNumber = 0;
  return uses.map(({ leaf, use, reason }, index) => {
    const charset = use === 'body' ? body.charsets[bodyNumber++] : undefined;
    if (charset !== undefined && charset.loss > 0) {
      warnings.push(`Part ${leaf.part}: ${charset.loss} characters could not be decoded (${charset.used}).`);
    }
    return {
      part: leaf.part,
      contentType: leaf.contentType,
      filename: names[index] ?? null,
      contentId: leaf.contentId?.slice(0, limits.messageIdLength) ?? null,
      disposition: leaf.disposition,
      size: leaf.size,
      use,
      reason,
      charsetDeclared: use === 'body' ? (leaf.charset?.slice(0, 100) ?? null) : null,
      charsetUsed: charset?.used ?? null,
      decodeLoss: charset?.loss ?? 0,
    };
  });
}

/** What the headers of attached messages say: their subjects, and the Message-ID of the first. */
function returnedHeader(uses: LeafUse[]): { subjects: Map<ScannedLeaf, string>; messageId: string | null } {
  const subjects = new Map<ScannedLeaf, string>();
  let id: string | null = null;
  for (const { leaf } of uses) {
    const isMessage = leaf.contentType === 'message/rfc822' || leaf.contentType === 'message/global';
    if (!isMessage && leaf.contentType !== 'text/rfc822-headers') continue;
    const fields = new FieldIndex(headerFields(decoded(leaf)));
    id ??= messageId(fields.first('message-id'), LIMITS.messageIdLength);
    if (isMessage)
      subjects.set(leaf, decodeHeaderText((fields.first('subject') ?? '').slice(0, 1000)).trim());
  }
  return { subjects, messageId: id };
}

function deliveryStatus(
  uses: LeafUse[],
  originalMessageId: string | null,
  limits: Limits,
): DeliveryStatus | null {
  const reports = uses.filter(({ leaf }) => leaf.contentType === 'message/delivery-status');
  if (reports.length === 0) return null;
  const recipients = reports.flatMap(({ leaf }) =>
    parseDeliveryStatus(decoded(leaf), limits.addressesPerField),
  );
  return { recipients: recipients.slice(0, limits.addressesPerField), originalMessageId };
}

function decoded(leaf: ScannedLeaf): Buffer {
  return decodeTransfer(Buffer.concat(leaf.kept), leaf.encoding);
}

function newlines(text: string): string {
  return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
}

function capped(text: string, maxChars: number, what: string, warnings: string[]): string {
  if (text.length <= maxChars) return text;
  warnings.push(`The ${what} was cut to ${maxChars} characters; the stored message has the rest.`);
  return toStorableText(text, maxChars);
}
