/** Messages that programs hand in: their envelopes and MimeMessage (halo-api.md 2.1 to 2.4). */
import Type, { type Static, type TSchema } from 'typebox';
import { LIMITS } from '../../limits.ts';
import { base64, bigId, content, date, flag, int, text } from './fields.ts';

function list<T extends TSchema>(items: T, description: string) {
  return Type.Optional(
    Type.Unsafe<Static<T>[] | null>({
      type: ['array', 'null'],
      items,
      description,
      maxItems: LIMITS.addressesPerField,
    }),
  );
}

const nullable = <T extends TSchema>(schema: T, description: string) =>
  Type.Optional(Type.Unsafe<Static<T> | null>({ ...schema, type: ['object', 'null'], description }));

const Address = Type.Object(
  {
    encoding: Type.Optional(Type.Unknown({ description: 'Null: names are Unicode.' })),
    name: content('Display name.'),
    route: Type.Optional(Type.Unknown({ description: 'Empty: routes are obsolete.' })),
    address: content('Address.'),
    localPart: content('Computed: what stands before the @.'),
    domain: content('Computed: what stands after it.'),
    isInternational: flag('Computed: the address is not ASCII.'),
  },
  { title: 'InternetAddress' },
);
export type AddressItem = Static<typeof Address>;

const Header = Type.Object(
  {
    offset: bigId('Null: places in the raw message are not told.'),
    field: content('Name.'),
    id: int('-1: use field.'),
    rawField: content('Computed: the name, base64.'),
    rawValue: content('Null; the raw message is at /raw.'),
    value: content('Value.'),
  },
  { title: 'Header' },
);

const Parameter = Type.Object(
  {
    name: content('Name.'),
    encoding: Type.Optional(Type.Unknown({ description: 'Null.' })),
    encodingMethod: int('0.'),
    alwaysQuote: flag('False.'),
    value: content('Value.'),
  },
  { title: 'Parameter' },
);

const ContentType = Type.Object(
  {
    mediaType: content('As text.'),
    mediaSubtype: content('As plain.'),
    parameters: list(Parameter, 'Computed: charset and name.'),
    boundary: content('Null.'),
    charset: content('Charset.'),
    charsetEncoding: Type.Optional(Type.Unknown({ description: 'Null.' })),
    format: content('Null.'),
    mimeType: content('Computed: both with a slash.'),
    name: content('File name.'),
  },
  { title: 'ContentType' },
);

const ContentDisposition = Type.Object(
  {
    disposition: content('inline or attachment.'),
    isAttachment: flag('It is an attachment.'),
    parameters: list(Parameter, 'Computed: filename.'),
    fileName: content('File name.'),
    creationDate: date('Null.'),
    modificationDate: date('Null.'),
    readDate: date('Null.'),
    size: bigId('Bytes.'),
  },
  { title: 'ContentDisposition' },
);

const MimeEntity = Type.Object(
  {
    headers: list(Header, 'Empty in answers.'),
    contentDisposition: nullable(ContentDisposition, 'How it is shown.'),
    contentType: nullable(ContentType, 'What it is.'),
    contentBase: content('Null.'),
    contentLocation: content('Null.'),
    contentId: content('Content-ID without angle brackets.'),
    isAttachment: flag('It is an attachment.'),
  },
  { title: 'MimeEntity' },
);
export type MimeEntityItem = Static<typeof MimeEntity>;

export const MimeMessage = Type.Object(
  {
    headers: list(Header, 'All header fields in order. Where they are given they win over the fields below.'),
    importance: int('0 low, 1 normal, 2 high.'),
    priority: int('0 non-urgent, 1 normal, 2 urgent.'),
    xPriority: int('1 highest ... 5 lowest.'),
    sender: nullable(Address, 'Sender.'),
    resentSender: nullable(Address, 'Resent-Sender.'),
    from: list(Address, 'From.'),
    resentFrom: list(Address, 'Resent-From.'),
    replyTo: list(Address, 'Reply-To.'),
    resentReplyTo: list(Address, 'Resent-Reply-To.'),
    to: list(Address, 'To.'),
    resentTo: list(Address, 'Resent-To.'),
    cc: list(Address, 'Cc.'),
    resentCc: list(Address, 'Resent-Cc.'),
    bcc: list(Address, 'Bcc.'),
    resentBcc: list(Address, 'Resent-Bcc.'),
    subject: content('Subject.'),
    date: date('Date.'),
    resentDate: date('Resent-Date.'),
    references: list(Type.String(), 'Message ids.'),
    inReplyTo: content('Message id.'),
    messageId: content('Message id.'),
    resentMessageId: content('Resent-Message-ID.'),
    mimeVersion: content('In answers: the version that the message says.'),
    body: nullable(MimeEntity, 'In answers: the root of the MIME tree.'),
    textBody: content('Plain text body.'),
    htmlBody: content('HTML body.'),
    bodyParts: list(MimeEntity, 'In answers: all parts that are no multiparts.'),
    attachments: list(
      MimeEntity,
      'Attachments. When posted, each becomes a part with its name and no content.',
    ),
  },
  { title: 'MimeMessage' },
);
export type MimeMessageItem = Static<typeof MimeMessage>;

const posted = {
  id: text('Id at the provider: the same id in the same mailbox is the same message.', 1_000),
  haloMailboxId: int('Mailbox.'),
  incomingEmailId: bigId('A record that has the bytes already: it is processed.'),
  mimeMessage: nullable(MimeMessage, 'The parsed message. It has no attachment bytes, so raw is better.'),
};
const raw = base64('Ours: the message, base64 of its RFC 5322 bytes.');

export const ImapMessage = Type.Object({ ...posted, raw }, { title: 'IMAPMessage' });
export const Pop3Message = Type.Object({ ...posted, raw }, { title: 'Pop3Message' });
export const AzureMessage = Type.Object({ ...posted, raw }, { title: 'AzureMessage' });
export type PostedMessageItem = Static<typeof ImapMessage>;

const PartBody = Type.Object(
  {
    attachmentId: text('Id of content that is not here.'),
    size: int('Bytes.'),
    data: base64('Content, base64url.'),
    eTag: text('Not used.'),
  },
  { title: 'MessagePartBody' },
);
const PartHeader = Type.Object(
  { name: content('Name.'), value: content('Value.'), eTag: text('Not used.') },
  { title: 'MessagePartHeader' },
);

export interface MessagePartItem {
  partId?: string | null;
  mimeType?: string | null;
  filename?: string | null;
  headers?: Static<typeof PartHeader>[] | null;
  body?: Static<typeof PartBody> | null;
  parts?: MessagePartItem[] | null;
}

/** Parts in parts, as deep as Gmail nests them. Deeper ones are refused, not lost. */
function messagePart(depth: number): TSchema {
  return Type.Object(
    {
      partId: text('Place in the tree.'),
      mimeType: text('Content type.'),
      filename: content('File name.'),
      headers: list(PartHeader, 'Header fields; of the root those of the message.'),
      body: nullable(PartBody, 'Content.'),
      parts: Type.Optional(
        Type.Unsafe<MessagePartItem[] | null>({
          type: ['array', 'null'],
          description: 'Parts of a multipart.',
          ...(depth === 0 ? { items: {}, maxItems: 0 } : { items: messagePart(depth - 1), maxItems: 1_000 }),
        }),
      ),
      eTag: text('Not used.'),
    },
    { title: 'MessagePart' },
  );
}

export const GmailMessage = Type.Object(
  {
    ...posted,
    raw: base64('The message, base64url of its RFC 5322 bytes (format=raw).'),
    payload: Type.Optional(
      Type.Unsafe<MessagePartItem | null>({
        ...messagePart(LIMITS.postedPartDepth),
        type: ['object', 'null'],
        description:
          'The MIME tree (format=full). Attachments whose content is not in it become parts without content.',
      }),
    ),
    historyId: bigId('Not used.'),
    internalDate: bigId('When Gmail received it, in milliseconds since 1970.'),
    labelIds: list(Type.String(), 'Not used.'),
    sizeEstimate: int('Not used.'),
    snippet: content('Not used.'),
    threadId: text('Not used.'),
    eTag: text('Not used.'),
  },
  { title: 'GmailMessage' },
);
export type GmailMessageItem = Static<typeof GmailMessage>;
