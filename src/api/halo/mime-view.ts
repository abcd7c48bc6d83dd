/** A stored message as a MimeMessage (halo-api.md 2.3 and 2.4): the object model of MimeKit. */
import { LIMITS } from '../../limits.ts';
import { parseAddresses } from '../../message/address.ts';
import { domainPart, localPart } from '../../message/address-form.ts';
import { parseDate } from '../../message/date.ts';
import type { Address, Leaf, ParsedMessage } from '../../message/message.ts';
import type { AddressItem, MimeEntityItem, MimeMessageItem } from './mail-fields.ts';

/** The message; its HTML only when it is asked for, because it is what the sender wrote, scripts and all. */
export function viewMimeMessage(message: ParsedMessage, withHtml: boolean): MimeMessageItem {
  const first = (name: string): string =>
    message.headers.find((header) => header.name.toLowerCase() === name)?.value.trim() ?? '';
  const list = (name: string): AddressItem[] =>
    parseAddresses(first(name), LIMITS.addressesPerField).map(viewAddress);
  const position = (name: string, words: string[]): number | null => {
    const found = words.indexOf(first(name).toLowerCase().split(/[\s(]/)[0]!);
    return found < 0 ? null : found;
  };
  const leaves = message.leaves.map(viewLeaf);
  return {
    headers: message.headers.map(({ name, value }) => ({
      offset: null,
      field: name,
      id: -1,
      rawField: Buffer.from(name).toString('base64'),
      rawValue: null,
      value,
    })),
    importance: position('importance', ['low', 'normal', 'high']) ?? 1,
    priority: position('priority', ['non-urgent', 'normal', 'urgent']) ?? 1,
    xPriority: position('x-priority', ['', '1', '2', '3', '4', '5']) || 3,
    sender: message.sender === null ? null : viewAddress(message.sender),
    resentSender: list('resent-sender')[0] ?? null,
    from: message.from.map(viewAddress),
    resentFrom: list('resent-from'),
    replyTo: message.replyTo.map(viewAddress),
    resentReplyTo: list('resent-reply-to'),
    to: message.to.map(viewAddress),
    resentTo: list('resent-to'),
    cc: message.cc.map(viewAddress),
    resentCc: list('resent-cc'),
    bcc: message.bcc.map(viewAddress),
    resentBcc: list('resent-bcc'),
    subject: message.subject,
    date: message.date,
    resentDate: parseDate(first('resent-date')),
    references: message.references,
    inReplyTo: message.inReplyTo[0] ?? null,
    messageId: message.messageId,
    resentMessageId: first('resent-message-id').replace(/^<|>$/g, '') || null,
    mimeVersion: first('mime-version') || null,
    body: viewRoot(first('content-type'), leaves),
    textBody: message.textIsFromHtml ? null : message.text,
    htmlBody: withHtml ? message.html : null,
    bodyParts: leaves,
    attachments: leaves.filter(({ isAttachment }) => isAttachment),
  };
}

function viewAddress({ name, address }: Address): AddressItem {
  return {
    encoding: null,
    name,
    route: [],
    address,
    localPart: localPart(address),
    domain: domainPart(address),
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the range of ASCII.
    isInternational: /[^\x00-\x7f]/.test(address),
  };
}

/** The root: the only part itself, or the multipart around all. */
function viewRoot(contentType: string, leaves: MimeEntityItem[]): MimeEntityItem | null {
  const type = contentType.split(';')[0]!.trim().toLowerCase();
  if (!type.startsWith('multipart/')) return leaves[0] ?? null;
  return entity({
    type,
    charset: null,
    name: null,
    disposition: null,
    size: null,
    contentId: null,
    isAttachment: false,
  });
}

function viewLeaf(leaf: Leaf): MimeEntityItem {
  return entity({
    type: leaf.contentType,
    charset: leaf.charsetDeclared,
    name: leaf.filename,
    disposition: leaf.disposition,
    size: leaf.size,
    contentId: leaf.contentId,
    isAttachment: leaf.use === 'attachment',
  });
}

function entity(part: {
  type: string;
  charset: string | null;
  name: string | null;
  disposition: string | null;
  size: number | null;
  contentId: string | null;
  isAttachment: boolean;
}): MimeEntityItem {
  const [mediaType = '', mediaSubtype = ''] = part.type.split('/');
  const parameter = (name: string, value: string | null) =>
    value === null ? [] : [{ name, encoding: null, encodingMethod: 0, alwaysQuote: false, value }];
  return {
    headers: [],
    contentDisposition:
      part.disposition === null
        ? null
        : {
            disposition: part.disposition,
            isAttachment: part.disposition === 'attachment',
            parameters: parameter('filename', part.name),
            fileName: part.name,
            creationDate: null,
            modificationDate: null,
            readDate: null,
            size: part.size,
          },
    contentType: {
      mediaType,
      mediaSubtype,
      parameters: [...parameter('charset', part.charset), ...parameter('name', part.name)],
      boundary: null,
      charset: part.charset,
      charsetEncoding: null,
      format: null,
      mimeType: part.type,
      name: part.name,
    },
    contentBase: null,
    contentLocation: null,
    contentId: part.contentId,
    isAttachment: part.isAttachment,
  };
}
