/** Messages that programs hand in: IMAPMessage, Pop3Message and their MimeMessage (halo-api.md 2.1, 2.3, 2.4). */
import Type, { type Static, type TSchema } from 'typebox';
import { LIMITS } from '../../limits.ts';
import { base64, bigId, content, date, int, text } from './fields.ts';

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

const Address = Type.Object(
  {
    name: content('Display name.'),
    address: content('Address.'),
  },
  { title: 'InternetAddress' },
);
export type AddressItem = Static<typeof Address>;

const Header = Type.Object({ field: content('Name.'), value: content('Value.') }, { title: 'Header' });

const MimeMessage = Type.Object(
  {
    headers: list(Header, 'All header fields in order. Where they are given they win over the fields below.'),
    importance: int('0 low, 1 normal, 2 high.'),
    priority: int('0 non-urgent, 1 normal, 2 urgent.'),
    xPriority: int('1 highest ... 5 lowest.'),
    sender: Type.Optional(Type.Unsafe<AddressItem | null>({ ...Address, type: ['object', 'null'] })),
    from: list(Address, 'From.'),
    replyTo: list(Address, 'Reply-To.'),
    to: list(Address, 'To.'),
    cc: list(Address, 'Cc.'),
    bcc: list(Address, 'Bcc.'),
    subject: content('Subject.'),
    date: date('Date.'),
    references: list(Type.String(), 'Message ids.'),
    inReplyTo: content('Message id.'),
    messageId: content('Message id.'),
    textBody: content('Plain text body.'),
    htmlBody: content('HTML body.'),
  },
  { title: 'MimeMessage' },
);
export type MimeMessageItem = Static<typeof MimeMessage>;

export const PostedMessage = Type.Object(
  {
    id: text('Id at the provider (UID, UIDL): the same id in the same mailbox is the same message.', 1_000),
    haloMailboxId: int('Mailbox.'),
    incomingEmailId: bigId('A record that has the bytes already: it is processed.'),
    raw: base64('Ours: the message, base64 of its RFC 5322 bytes.'),
    mimeMessage: Type.Optional(
      Type.Unsafe<MimeMessageItem | null>({
        ...MimeMessage,
        type: ['object', 'null'],
        description: 'The parsed message. It has no attachment bytes, so raw is better.',
      }),
    ),
  },
  { title: 'IMAPMessage' },
);
export type PostedMessageItem = Static<typeof PostedMessage>;
