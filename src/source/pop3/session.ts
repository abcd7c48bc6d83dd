/**
 * A logged-in POP3 session. It sees the mailbox as it was at its start, and what it deletes is gone only when QUIT
 * was answered with +OK (RFC 1939 section 6), so it serves one pass of the poller and ends with it.
 */
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type {
  Changes,
  Disposed,
  Disposition,
  Fetched,
  Fingerprint,
  FolderView,
  Listed,
  Page,
  Session,
} from '../source.ts';
import type { Commands } from './commands.ts';
import { coverage, cursorOf, emptyCursor, formatCursor, Prefix, parseCursor } from './cursor.ts';
import { deleteMessages } from './deleting.ts';
import { fetchWhole, fingerprintsOf, oversized, streamMessage } from './fetching.ts';
import type { Named } from './keys.ts';
import { type Listing, listMailbox } from './listing.ts';

/** The one folder of a POP3 mailbox, by the name that IMAP has for it. */
export const POP3_FOLDER = 'INBOX';
const KEYS_PER_CHUNK = 1_000;

export class Pop3Session implements Session {
  readonly snapshot = true;
  readonly #commands: Commands;
  #listing: Listing | null = null;
  #isOpen = false;
  /** Messages that ended the connection by their size, and how much of them came. */
  readonly #endless = new Map<string, number>();

  constructor(commands: Commands) {
    this.#commands = commands;
  }

  async open(path: string): Promise<FolderView> {
    this.#checkAlive();
    if (path.toUpperCase() !== POP3_FOLDER) {
      throw fail('folder_missing', `A POP3 mailbox has one folder, ${POP3_FOLDER}`, { folder: path });
    }
    this.#listing ??= await listMailbox(this.#commands);
    this.#isOpen = true;
    return { path: POP3_FOLDER, epoch: '', count: this.#listing.messages.length, writable: true };
  }

  async changes(cursor: string | null, until: string | null = null): Promise<Changes> {
    const { messages } = this.#opened();
    const keys = messages.map(({ key }) => key);
    const known = cursor === null ? emptyCursor() : parseCursor(cursor);
    const end = until === null ? null : parseCursor(until);
    if (!known || (until !== null && !end)) {
      return { lost: true, reason: 'The stored cursor is not one of a POP3 mailbox' };
    }
    const isKnown = coverage(known, keys);
    const isWanted = end === null ? () => true : coverage(end, keys);
    const wanted = messages.filter((_message, index) => !isKnown(index) && isWanted(index));
    return {
      lost: false,
      pages: this.#pages(wanted, prefixBefore(wanted, messages, isKnown)),
      total: wanted.length,
    };
  }

  async currentCursor(): Promise<string> {
    return formatCursor(cursorOf(this.#opened().messages.map(({ key }) => key)));
  }

  async *keys(): AsyncGenerator<string[]> {
    for (const chunk of chunksOf(this.#opened().messages, KEYS_PER_CHUNK)) yield chunk.map(({ key }) => key);
  }

  async *list(keys: readonly string[]): AsyncGenerator<Listed[]> {
    for (const chunk of chunksOf(this.#find(keys).found, LIMITS.batchMessages)) yield chunk.map(asListed);
  }

  async *fetch(keys: readonly string[], maxBytes: number): AsyncGenerator<Fetched> {
    const { found, missing } = this.#find(keys);
    for (const key of missing) yield { key, error: fail('fetch_failed', NOT_HERE, { key }) };
    const onGivenUp = (key: string, received: number): void => void this.#endless.set(key, received);
    yield* fetchWhole(this.#commands, found, maxBytes, () => this.#smallestBeside(found), onGivenUp);
  }

  async stream(key: string, maxBytes: number): Promise<Readable> {
    // It has cost a connection to know this much.
    const received = this.#endless.get(key);
    if (received !== undefined && received > maxBytes) throw oversized(key, maxBytes, received);
    const [message] = this.#find([key]).found;
    if (!message) throw fail('fetch_failed', NOT_HERE, { key });
    return await streamMessage(this.#commands, message, maxBytes);
  }

  async *fingerprints(keys: readonly string[]): AsyncGenerator<Fingerprint> {
    yield* fingerprintsOf(this.#commands, this.#find(keys).found);
  }

  async existing(keys: readonly string[]): Promise<Set<string>> {
    return new Set(this.#find(keys).found.map(({ key }) => key));
  }

  async dispose(keys: readonly string[], what: Disposition): Promise<Map<string, Disposed>> {
    const { found, missing } = this.#find(keys);
    const results = new Map<string, Disposed>(missing.map((key) => [key, 'gone']));
    if (what === 'delete') {
      await deleteMessages(this.#commands, found, results);
      return results;
    }
    const refusal = fail('unsupported', `A POP3 server cannot ${what === 'seen' ? 'mark' : 'move'} messages`);
    for (const { key } of found) results.set(key, what === 'leave' ? 'done' : refusal);
    return results;
  }

  async wait(ms: number, signal: AbortSignal): Promise<'parted'> {
    await this.#quit();
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    return 'parted';
  }

  async close(): Promise<void> {
    // Gmail hides what was read from later sessions once QUIT was said. Nobody said that what was read is safe.
    if (!this.#commands.hasRead) await this.#quit();
    this.#commands.link.end(CLOSED);
  }

  /** Ends the session with the server's knowledge. What was read in it is safe here. */
  async #quit(): Promise<void> {
    const { link } = this.#commands;
    if (link.ended) return;
    try {
      await this.#commands.quit(link.options.closeMs);
    } catch {
      // Politeness failed; nothing depends on it.
    }
    link.end(CLOSED);
  }

  async *#pages(messages: readonly Named[], prefix: Prefix | null): AsyncGenerator<Page> {
    for (const chunk of chunksOf(messages, LIMITS.batchMessages)) {
      this.#checkAlive();
      prefix?.add(chunk.map(({ key }) => key));
      yield { items: chunk.map(asListed), cursor: formatCursor(prefix?.cursor ?? emptyCursor()) };
    }
  }

  #find(keys: readonly string[]): { found: Named[]; missing: string[] } {
    const { byKey } = this.#opened();
    const unique = [...new Set(keys)];
    const found = unique.flatMap((key) => byKey.get(key) ?? []).sort((a, b) => a.number - b.number);
    return { found, missing: unique.filter((key) => !byKey.has(key)) };
  }

  #smallestBeside(asked: readonly Named[]): Named | undefined {
    const left = new Set(asked);
    let smallest: Named | undefined;
    for (const message of this.#opened().messages) {
      if (!left.has(message) && !(smallest && smallest.size <= message.size)) smallest = message;
    }
    return smallest;
  }

  #opened(): Listing {
    this.#checkAlive();
    if (!this.#isOpen || !this.#listing) throw fail('internal', 'No folder is open on this session');
    return this.#listing;
  }

  #checkAlive(): void {
    const { ended } = this.#commands.link;
    if (ended) throw ended;
  }
}

const NOT_HERE = 'The message is not on the server';
const CLOSED: PenstockError = fail('connection_lost', 'The session was closed');

/** POP3 has no time of arrival. */
function asListed({ key, size }: Named): Listed {
  return { key, size, internalDate: null };
}

/**
 * What comes before the wanted messages, when all of that is known and they are one run; then each page can say how
 * far the listing got. Null when something in between is left out: no cursor may cover that.
 */
function prefixBefore(
  wanted: readonly Named[],
  all: readonly Named[],
  isKnown: (index: number) => boolean,
): Prefix | null {
  const [first] = wanted;
  const from = first ? all.indexOf(first) : 0;
  const before = all.slice(0, from);
  const isRun = wanted.every((message, index) => message === all[from + index]);
  return isRun && before.every((_message, index) => isKnown(index))
    ? new Prefix().add(before.map(({ key }) => key))
    : null;
}

function* chunksOf<T>(values: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < values.length; start += size) yield values.slice(start, start + size);
}
