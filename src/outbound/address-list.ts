/** Addresses as people write them into one field: `Ann <a@b.example>; c@d.example`. Pure. */
import addressparser from 'nodemailer/lib/addressparser';
import type { Mailbox } from '../send/mail.ts';
import { oneLine } from '../send/one-line.ts';

/** Nothing that means something in a header or in SMTP; letters of any script may be there (RFC 6531). */
const ADDRESS = /^[^\s@<>"(),:;\\[\]\p{Cc}]{1,64}@[^\s@<>"(),:;\\[\]\p{Cc}]{1,255}$/u;

export interface AddressList {
  mailboxes: Mailbox[];
  /** What is no address. */
  wrong: string[];
}

/** Reads a list that is delimited by commas or semicolons. Each address comes once. */
export function readAddressList(text: string): AddressList {
  const mailboxes = new Map<string, Mailbox>();
  const wrong: string[] = [];
  for (const part of splitList(text)) {
    for (const { address, name } of addressparser(part, { flatten: true })) {
      const plain = address.trim();
      if (!ADDRESS.test(plain)) wrong.push((plain || name).slice(0, 100));
      else if (!mailboxes.has(plain.toLowerCase()))
        mailboxes.set(plain.toLowerCase(), { name: oneLine(name), address: plain });
    }
  }
  return { mailboxes: [...mailboxes.values()], wrong };
}

/** Semicolons outside of quotes are commas: in a header they would end a group. */
function splitList(text: string): string[] {
  const parts: string[] = [''];
  let quoted = false;
  for (const char of text.slice(0, 64_000)) {
    if (char === '"') quoted = !quoted;
    if (!quoted && (char === ';' || char === '\n' || char === '\r')) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts.filter((part) => part.trim() !== '');
}

export const printAddresses = (list: readonly Mailbox[]): string =>
  list.map(({ name, address }) => (name === '' ? address : `${name} <${address}>`)).join(', ');
