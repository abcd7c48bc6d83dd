/**
 * How POP3 messages are named. The unique-id of UIDL names a message for as long as it is there (RFC 1939 section 7,
 * UIDL). Where there is none, or several messages have the same, the content has to do. Pure.
 */
import { createHash } from 'node:crypto';
import { LIMITS } from '../../limits.ts';
import { headerBlockLength } from '../../message/header-block.ts';

/** A message by its number in this session. */
export interface Numbered {
  number: number;
  /** As LIST announces it. */
  size: number;
  /** As UIDL gives it; null when it does not. */
  uniqueId: Buffer | null;
}

export interface Named {
  number: number;
  size: number;
  key: string;
}

const VISIBLE = /^[\x21-\x7e]+$/;
/** Header fields that some servers write into messages when these are read. */
const CHANGING_FIELD = /^(?:status|x-status|x-uidl|x-keywords|content-length):/i;

/** Servers give longer and stranger ids than they may; an index entry has to hold them. */
export function keyOfUniqueId(id: Buffer): string {
  const text = id.toString('latin1');
  if (text.length <= LIMITS.pop3KeyChars && VISIBLE.test(text)) return text;
  return `sha256:${createHash('sha256').update(id).digest('hex')}`;
}

/** Those whose unique-id is missing, or is that of another message too. */
export function nameless(messages: readonly Numbered[]): Numbered[] {
  const uses = new Map<string, number>();
  for (const { uniqueId } of messages) {
    if (uniqueId === null) continue;
    const key = keyOfUniqueId(uniqueId);
    uses.set(key, (uses.get(key) ?? 0) + 1);
  }
  return messages.filter(({ uniqueId }) => uniqueId === null || uses.get(keyOfUniqueId(uniqueId)) !== 1);
}

/**
 * Names every message, in the order of the listing. `headers` has the header block of each {@link nameless} one;
 * without it only the size is left. Equal messages are counted, so that each has a name.
 */
export function nameMessages(messages: readonly Numbered[], headers: ReadonlyMap<number, Buffer>): Named[] {
  const withoutName = new Set(nameless(messages));
  const copies = new Map<string, number>();
  return messages.map((message) => {
    const { number, size, uniqueId } = message;
    if (uniqueId !== null && !withoutName.has(message)) return { number, size, key: keyOfUniqueId(uniqueId) };
    const content = contentName(headers.get(number), size);
    const copy = (copies.get(content) ?? 0) + 1;
    copies.set(content, copy);
    return { number, size, key: copy === 1 ? content : `${content}#${copy}` };
  });
}

function contentName(header: Buffer | undefined, size: number): string {
  if (header === undefined) return `content:unreadable:${size}`;
  const digest = createHash('sha256').update(lasting(header)).digest('hex');
  return `content:${digest}:${size}`;
}

/** The header without what servers change in it. */
function lasting(header: Buffer): Buffer {
  const length = headerBlockLength(header);
  const block = header.toString('latin1', 0, length < 0 ? header.length : length);
  const lines = block.split('\n').filter((line) => !CHANGING_FIELD.test(line));
  return Buffer.from(lines.join('\n'), 'latin1');
}
