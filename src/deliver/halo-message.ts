/**
 * A message as Halo's integrator endpoints take it (halo-api.md 2.1 to 2.3): Google's with its raw bytes, the others
 * with a MimeMessage. `raw` beside that is an extension of Penstock; another Halo ignores it. Pure.
 */
import type { Address, ParsedMessage } from '../message/message.ts';
import type { HaloEndpoint } from './destination.ts';

export interface IntegratorInput {
  /** The same at every attempt: the message is taken once by it. */
  id: string;
  /** Number of the mailbox there. */
  mailboxId: number;
  raw: Buffer;
  /** Null where the bytes are enough. */
  message: ParsedMessage | null;
}

export function integratorMessage(endpoint: HaloEndpoint, input: IntegratorInput): object {
  const { id, mailboxId, raw, message } = input;
  const head = { id, haloMailboxId: mailboxId, incomingEmailId: null };
  if (endpoint === 'Google')
    return { ...head, raw: raw.toString('base64url'), sizeEstimate: raw.length, labelIds: ['INBOX'] };
  return {
    ...head,
    ...(message === null ? {} : { mimeMessage: mimeMessage(message) }),
    raw: raw.toString('base64'),
  };
}

function mimeMessage(message: ParsedMessage): object {
  return {
    headers: message.headers.map(({ name, value }) => ({ field: name, value })),
    from: message.from.map(mailboxAddress),
    sender: message.sender === null ? null : mailboxAddress(message.sender),
    replyTo: message.replyTo.map(mailboxAddress),
    to: message.to.map(mailboxAddress),
    cc: message.cc.map(mailboxAddress),
    bcc: message.bcc.map(mailboxAddress),
    subject: message.subject,
    // No date is the zero date there (halo-api.md 1.1): the field may not be null.
    date: message.date ?? message.receivedAt ?? '0001-01-01T00:00:00',
    messageId: message.messageId,
    inReplyTo: message.inReplyTo[0] ?? null,
    references: message.references,
    textBody: message.text,
    htmlBody: message.html,
  };
}

function mailboxAddress({ name, address }: Address): object {
  return { name, address };
}
