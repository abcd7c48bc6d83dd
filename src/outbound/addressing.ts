/** Who a mail of ours is from, where answers to it go, and by what they find their ticket. Pure. */
import { randomBytes } from 'node:crypto';
import type { Mailbox } from '../send/mail.ts';
import type { SendingSettings } from '../store/sending-settings.ts';
import { makeReplyToken, replyAddress, replyMessageId } from '../ticket/reply-token.ts';

export interface SenderFacts {
  mailboxId: number;
  sending: SendingSettings & { address: string };
  /** The newest key of reply tokens. */
  tokenKey: Uint8Array;
}

export interface Addressing {
  sender: Mailbox;
  replyTo: Mailbox | null;
  messageId: string;
}

/** For a mail of a ticket, or of none (0): its token is as hard to guess, and leads nowhere. */
export function addressing(
  { mailboxId, sending, tokenKey }: SenderFacts,
  ticketId: number,
  unique: string = randomBytes(8).toString('hex'),
): Addressing {
  const token = makeReplyToken(tokenKey, ticketId, mailboxId);
  const { address, displayName } = sending;
  const domain = address.slice(address.lastIndexOf('@') + 1);
  const tagged = sending.replyTag && ticketId > 0 ? replyAddress(address, token) : null;
  return {
    sender: { name: displayName, address },
    replyTo: tagged === null ? null : { name: displayName, address: tagged },
    messageId: replyMessageId(token, unique, domain),
  };
}
