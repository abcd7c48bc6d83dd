import { createHmac, timingSafeEqual } from 'node:crypto';
import type { ParsedMessage } from '../message/message.ts';

/**
 * Reply tokens: proof that a mail answers one of ours. A token names a ticket and carries an HMAC-SHA256 over
 * ticket and mailbox, of which 16 bytes are kept. It stands in the address that answers go to
 * (`help+TOKEN@desk.example`) or begins our Message-ID (`<TOKEN.unique@desk.example>`), so that it comes back
 * in To or in In-Reply-To and References. Letters are lower case only: some programs change the case of
 * addresses.
 */

const PURPOSE = 'penstock reply token 1';
const MAC_BYTES = 16;
/** RFC 4648 section 6, in lower case. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const TOKEN = /^r([0-9a-z]{1,11})-([a-z2-7]{26})$/;
/** RFC 5321 section 4.5.3.1.1. */
const LOCAL_PART_CHARS = 64;
/** Tokens looked at in one message: real mail has one or two. */
const MAX_CANDIDATES = 50;

function macOf(key: Uint8Array, ticketId: number, mailboxId: number): Buffer {
  return createHmac('sha256', key)
    .update(`${PURPOSE}\0${mailboxId}\0${ticketId}`)
    .digest()
    .subarray(0, MAC_BYTES);
}

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(value >> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + BASE32[(value << (5 - bits)) & 31];
}

/** Makes the token for answers to a ticket in a mailbox. `key` is secret and at least 32 bytes long. */
export function makeReplyToken(key: Uint8Array, ticketId: number, mailboxId: number): string {
  return `r${ticketId.toString(36)}-${base32(macOf(key, ticketId, mailboxId))}`;
}

/**
 * The ticket of a token, or null when it is forged, damaged, or of another mailbox or installation. Several keys
 * are given while one is being replaced. Comparing takes the same time wherever a difference lies.
 */
export function verifyReplyToken(
  keys: readonly Uint8Array[],
  token: string,
  mailboxId: number,
): number | null {
  const parts = TOKEN.exec(token);
  if (parts === null) return null;
  const ticketId = Number.parseInt(parts[1]!, 36);
  if (!Number.isSafeInteger(ticketId)) return null;
  const given = Buffer.from(token);
  for (const key of keys) {
    // The whole token is compared, so that there is one spelling of each.
    const expected = Buffer.from(makeReplyToken(key, ticketId, mailboxId));
    if (expected.length === given.length && timingSafeEqual(expected, given)) return ticketId;
  }
  return null;
}

/** The address that answers should go to; null when it would be longer than an address may be. */
export function replyAddress(mailboxAddress: string, token: string): string | null {
  const at = mailboxAddress.lastIndexOf('@');
  if (at < 1) return null;
  const local = `${mailboxAddress.slice(0, at)}+${token}`;
  return local.length > LOCAL_PART_CHARS ? null : `${local}${mailboxAddress.slice(at)}`;
}

/** A Message-ID, without angle brackets, for a mail of ours. `unique` must differ from mail to mail. */
export function replyMessageId(token: string, unique: string, domain: string): string {
  return `${token}.${unique}@${domain}`;
}

/**
 * What may be a token in a message, each once, the most telling first: addresses, In-Reply-To, the message that
 * a delivery report is about, the newest reference.
 */
export function tokenCandidates(
  message: Pick<ParsedMessage, 'to' | 'cc' | 'bcc' | 'inReplyTo' | 'references' | 'deliveryStatus'>,
): string[] {
  const found = new Set<string>();
  const take = (text: string) => {
    const token = text.toLowerCase();
    if (found.size < MAX_CANDIDATES && TOKEN.test(token)) found.add(token);
  };
  for (const { address } of [...message.to, ...message.cc, ...message.bcc]) {
    const local = address.slice(0, Math.max(0, address.lastIndexOf('@')));
    const plus = local.lastIndexOf('+');
    if (plus >= 0) take(local.slice(plus + 1));
  }
  const returned = message.deliveryStatus?.originalMessageId ?? null;
  const reported = returned === null ? [] : [returned];
  for (const id of [...message.inReplyTo, ...reported, ...message.references.toReversed()]) {
    const dot = id.indexOf('.');
    if (dot > 0) take(id.slice(0, dot));
  }
  return [...found];
}
