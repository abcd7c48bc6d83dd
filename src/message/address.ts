import { decodeHeaderText, decodePlain } from './encoded-words.ts';
import type { Address } from './message.ts';
import { skipComment } from './parameters.ts';

/** Longer addresses and names have no honest use (RFC 5321 section 4.5.3.1 allows 320 for an address). */
const MAX_ADDRESS = 998;

interface Item {
  /** Words outside brackets: the display name, or the address itself. */
  phrase: string;
  /** What stood between angle brackets; null when nothing did. */
  angle: string | null;
  comment: string;
  /** True when the phrase has an `@`. Kept here, so that hostile text is not searched again and again. */
  hasAt: boolean;
}

const EMPTY: Readonly<Item> = { phrase: '', angle: null, comment: '', hasAt: false };

/**
 * The mailboxes of an address field (RFC 5322 section 3.4), unfolded, one character a byte. Groups are
 * flattened, what is malformed yields what can be made of it, at most `max` are returned. One linear pass;
 * encoded-words are decoded after the splitting, so a name can never add an address.
 */
export function parseAddresses(binary: string, max: number): Address[] {
  const addresses: Address[] = [];
  let item: Item = { ...EMPTY };
  let closingAngle = true;
  let closingQuote = true;
  let index = 0;
  const finish = (): void => {
    const address = toAddress(item);
    if (address !== null) addresses.push(address);
    item = { ...EMPTY };
  };
  while (index < binary.length && addresses.length < max) {
    const char = binary[index]!;
    if (char === '(') {
      const end = skipComment(binary, index);
      // A comment can name the mailbox: `alice@example.com (Alice)`.
      if (item.comment === '') item.comment = binary.slice(index + 1, end - 1);
      index = end;
    } else if (char === '"') {
      const end: number = closingQuote ? endOfQuoted(binary, index) : -1;
      closingQuote = end >= 0;
      // Without a closing quote the quote means nothing.
      item.phrase += end < 0 ? '' : unquote(binary.slice(index, end));
      index = end < 0 ? index + 1 : end;
    } else if (char === '<') {
      let end: number = closingAngle ? binary.indexOf('>', index) : -1;
      closingAngle = end >= 0;
      if (end < 0) end = endOfItem(binary, index);
      item.angle = binary.slice(index + 1, end);
      index = end + (binary[end] === '>' ? 1 : 0);
    } else if (char === ',' || char === ';') {
      finish();
      index++;
    } else if (char === ':' && item.angle === null && !item.hasAt) {
      // The name of a group; its members follow.
      item = { ...EMPTY };
      index++;
    } else {
      const end = endOfWord(binary, index);
      const word = binary.slice(index, end);
      item.phrase += word;
      item.hasAt ||= word.includes('@');
      index = end;
    }
  }
  if (addresses.length < max) finish();
  return addresses;
}

function toAddress(item: Item): Address | null {
  const phrase = item.phrase.trim();
  if (item.angle !== null) {
    const name = decodeHeaderText(phrase === '' ? item.comment : phrase);
    return clean(name, withoutRoute(item.angle));
  }
  if (phrase === '') return null;
  const at = phrase.lastIndexOf('@');
  if (at < 0) {
    // A name alone, or a local user such as `root` or `MAILER-DAEMON`.
    const single = !/\s/.test(phrase) && !phrase.startsWith('=?');
    return single ? clean(decodeHeaderText(item.comment), phrase) : clean(decodeHeaderText(phrase), '');
  }
  const start = Math.max(phrase.lastIndexOf(' ', at), phrase.lastIndexOf('\t', at)) + 1;
  let end = at;
  while (end < phrase.length && phrase[end] !== ' ' && phrase[end] !== '\t') end++;
  const rest = `${phrase.slice(0, start)}${phrase.slice(end)}`.trim();
  return clean(decodeHeaderText(rest === '' ? item.comment : rest), phrase.slice(start, end));
}

function clean(rawName: string, rawAddress: string): Address {
  const name = rawName
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, MAX_ADDRESS);
  const address = decodePlain(rawAddress)
    .replace(/[\s\p{Cc}]+/gu, '')
    .slice(0, MAX_ADDRESS);
  // Many programs repeat the address as its name.
  return { name: name === address ? '' : name, address };
}

/** `<@relay,@relay2:user@host>`: the route is obsolete and means nothing (RFC 5322 section 4.4). */
function withoutRoute(angle: string): string {
  const inner = withoutComments(angle.slice(angle.lastIndexOf('<') + 1)).trim();
  if (!inner.startsWith('@')) return inner;
  return inner.slice(inner.lastIndexOf(':') + 1);
}

function withoutComments(text: string): string {
  let result = '';
  let index = 0;
  for (let open = text.indexOf('('); open >= 0; open = text.indexOf('(', index)) {
    result += text.slice(index, open);
    index = skipComment(text, open);
  }
  return result + text.slice(index);
}

function endOfQuoted(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const char = text[index];
    if (char === '\\') index++;
    else if (char === '"') return index + 1;
  }
  return -1;
}

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(.)/gs, '$1');
}

function endOfItem(text: string, start: number): number {
  let index = start;
  while (index < text.length && text[index] !== ',' && text[index] !== ';') index++;
  return index;
}

function endOfWord(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length && !'("<,;:'.includes(text[index]!)) index++;
  return index;
}
