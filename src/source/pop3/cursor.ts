/**
 * How far a mailbox was listed. Numbers are good for one session, and messages leave from the middle, so a cursor
 * says: so many messages from the start on, with keys of this digest, are accounted for. A digest that differs
 * means that something left or moved, and everything is listed; the ledger knows most of it. Pure.
 */
import { createHash, type Hash } from 'node:crypto';
import { objectIn } from '../cursor-text.ts';

export interface Cursor {
  count: number;
  /** Of the first `count` keys, as hex. */
  sha256: string;
  /** Digests of all these keys: for a cursor that must be told apart even when some of them are gone. */
  members: ReadonlySet<string> | null;
}

const MEMBER_BYTES = 9;
const MEMBER_CHARS = 12;

/** Digests of the first keys of a listing, one after the other. */
export class Prefix {
  readonly #hash: Hash = createHash('sha256');
  #count = 0;

  add(keys: readonly string[]): this {
    for (const key of keys) this.#hash.update(`${key}\n`);
    this.#count += keys.length;
    return this;
  }

  get cursor(): Cursor {
    return { count: this.#count, sha256: this.#hash.copy().digest('hex'), members: null };
  }
}

/** Covers exactly these keys, whatever becomes of some of them later. */
export function cursorOf(keys: readonly string[]): Cursor {
  return { ...new Prefix().add(keys).cursor, members: new Set(keys.map(memberOf)) };
}

/** Covers nothing. */
export function emptyCursor(): Cursor {
  return new Prefix().cursor;
}

/**
 * Which messages of a listing the cursor covers, by their place in it. All of the first ones when the listing still
 * begins with them; else those that are known to be members, which may be none.
 */
export function coverage(cursor: Cursor, keys: readonly string[]): (index: number) => boolean {
  const { count, sha256, members } = cursor;
  const isPrefix = count <= keys.length && new Prefix().add(keys.slice(0, count)).cursor.sha256 === sha256;
  if (isPrefix) return (index) => index < count;
  return (index) => members?.has(memberOf(keys[index] as string)) ?? false;
}

export function formatCursor({ count, sha256, members }: Cursor): string {
  return JSON.stringify({ count, sha256, ...(members ? { members: [...members].join('') } : {}) });
}

/** Null when the text is no cursor of ours. */
export function parseCursor(text: string): Cursor | null {
  const parsed = objectIn(text);
  if (parsed === null) return null;
  const { count, sha256, members } = parsed;
  if (typeof count !== 'number' || typeof sha256 !== 'string') return null;
  return { count, sha256, members: typeof members === 'string' ? membersOf(members) : null };
}

function memberOf(key: string): string {
  return createHash('sha256').update(key).digest().toString('base64url', 0, MEMBER_BYTES);
}

function membersOf(text: string): Set<string> {
  const members = new Set<string>();
  for (let at = 0; at < text.length; at += MEMBER_CHARS) members.add(text.slice(at, at + MEMBER_CHARS));
  return members;
}
