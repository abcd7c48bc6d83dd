/** A session on an IMAP server: binds the parts of this folder to the interface of a source. */
import type { Readable } from 'node:stream';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type {
  Changes,
  Disposed,
  Disposition,
  Fetched,
  Fingerprint,
  FolderView,
  Listed,
  Session,
} from '../source.ts';
import { Commands } from './commands.ts';
import { formatCursor, parseCursor } from './cursor.ts';
import { disposeOf } from './disposing.ts';
import { fetchWhole, fingerprintsOf, streamMessage } from './fetching.ts';
import type { Link } from './link.ts';
import { allUids, listUids, newestUid, pagesOf, uidsAfter } from './listing.ts';
import type { ImapOptions } from './options.ts';
import { presentUids } from './presence.ts';
import { ReadAhead } from './read-ahead.ts';
import { chunksOf, uidsOfKeys } from './uid-set.ts';
import { Hints } from './waiting.ts';

/** Keys handed out at a time by {@link Session.keys}. */
const KEYS_PER_CHUNK = 10_000;

export class ImapSession implements Session {
  readonly snapshot = false;
  readonly #link: Link;
  readonly #commands: Commands;
  readonly #options: ImapOptions;
  readonly #hints: Hints;
  readonly #ahead = new ReadAhead();
  #folder: FolderView | null = null;
  /** The folder was opened and nothing was asked of it yet. */
  #fresh = false;
  #selectedAt = Number.NEGATIVE_INFINITY;
  /** The server spoke of the open folder of its own accord, and nothing was listed since. */
  #heard = false;

  constructor(link: Link, options: ImapOptions) {
    this.#link = link;
    this.#options = options;
    this.#commands = new Commands(link, options);
    this.#hints = new Hints(this.#commands);
  }

  async open(path: string): Promise<FolderView> {
    if (!this.#mayStayOpen(path)) await this.#select(path);
    this.#heard = false;
    this.#fresh = true;
    return this.#opened();
  }

  async changes(cursor: string | null, until: string | null = null, fetching = false): Promise<Changes> {
    const { epoch } = this.#opened();
    const folder = await this.#current();
    const known = cursor === null ? { uidValidity: epoch, lastUid: 0 } : parseCursor(cursor);
    const end = until === null ? { uidValidity: epoch, lastUid: Infinity } : parseCursor(until);
    if (!known || !end) return { lost: true, reason: 'The stored cursor is not one of an IMAP folder' };
    for (const { uidValidity } of [known, end]) {
      if (uidValidity === folder.epoch) continue;
      return { lost: true, reason: `UIDVALIDITY changed from ${uidValidity} to ${folder.epoch}` };
    }
    this.#hints.forget();
    const uids = (await uidsAfter(this.#commands, known.lastUid)).filter((uid) => uid <= end.lastUid);
    const ahead = fetching ? this.#ahead : null;
    const pages = pagesOf(this.#commands, folder.epoch, uids, ahead, () => this.#check(folder));
    return { lost: false, pages, total: uids.length };
  }

  async currentCursor(): Promise<string> {
    const folder = await this.#unchanged();
    return formatCursor({ uidValidity: folder.epoch, lastUid: await newestUid(this.#commands) });
  }

  async *keys(): AsyncGenerator<string[]> {
    const folder = await this.#unchanged();
    for await (const uids of allUids(this.#commands, () => this.#check(folder))) {
      for (const chunk of chunksOf(uids, KEYS_PER_CHUNK)) yield chunk.map(String);
    }
  }

  async *list(keys: readonly string[]): AsyncGenerator<Listed[]> {
    const folder = this.#opened();
    for (const chunk of chunksOf(uidsOfKeys(keys).uids, LIMITS.batchMessages)) {
      this.#check(folder);
      yield await listUids(this.#commands, chunk);
    }
  }

  async *fetch(keys: readonly string[], maxBytes: number): AsyncGenerator<Fetched> {
    const folder = this.#opened();
    yield* fetchWhole(this.#commands, keys, maxBytes, this.#ahead, () => this.#check(folder));
  }

  async stream(key: string, maxBytes: number): Promise<Readable> {
    const folder = this.#opened();
    return streamMessage(this.#commands, key, maxBytes, () => this.#check(folder));
  }

  async *fingerprints(keys: readonly string[]): AsyncGenerator<Fingerprint> {
    const folder = this.#opened();
    yield* fingerprintsOf(this.#commands, keys, () => this.#check(folder));
  }

  async existing(keys: readonly string[]): Promise<Set<string>> {
    this.#opened();
    // A server may answer from what it last told us; with NOOP it tells what was deleted since.
    await this.#commands.noop();
    const present = await presentUids(this.#commands, uidsOfKeys(keys).uids);
    return new Set([...present].map(String));
  }

  async dispose(
    keys: readonly string[],
    what: Disposition,
    target: string | null,
  ): Promise<Map<string, Disposed>> {
    const folder = this.#opened();
    return disposeOf(this.#commands, folder, keys, what, target, () => this.#check(folder));
  }

  async wait(ms: number, signal: AbortSignal): Promise<'changed' | 'timeout'> {
    this.#opened();
    this.#fresh = false;
    const outcome = await this.#hints.wait(ms, signal);
    this.#heard = outcome === 'changed';
    return outcome;
  }

  async close(): Promise<void> {
    const over = fail('connection_lost', 'The session was closed');
    this.#link.part(over);
    try {
      if (!this.#link.ended)
        await this.#link.run('LOGOUT', this.#options.closeMs, (client) => client.logout());
    } catch {
      // Politeness failed; the end below does what matters.
    }
    this.#link.end(over);
  }

  /**
   * The open folder as it is now. A folder that was deleted and made again while it is open shows no sign of that:
   * the server goes on answering about the old one. Only selecting it again tells, so every listing does that but
   * the one that follows a hint: see {@link #mayStayOpen}.
   */
  async #current(): Promise<FolderView> {
    const folder = this.#opened();
    if (this.#fresh) this.#fresh = false;
    else await this.#select(folder.path);
    return this.#opened();
  }

  /**
   * Whether the folder can be listed as it is. A server may go through the whole of a large folder at each SELECT,
   * while a message that it has just announced is there to be asked for. Not for ever: only SELECT tells that the
   * folder was made anew, and a busy folder has a hint for every pass.
   */
  #mayStayOpen(path: string): boolean {
    const isSame = this.#folder?.path === path;
    return isSame && this.#heard && performance.now() - this.#selectedAt < this.#options.reselectMs;
  }

  async #select(path: string): Promise<void> {
    this.#ahead.forget();
    // A failed SELECT leaves no folder open on the server either.
    this.#folder = null;
    this.#folder = await this.#commands.select(path);
    this.#selectedAt = performance.now();
  }

  /** The same, where other UIDs than those of the opening would be taken for the same messages. */
  async #unchanged(): Promise<FolderView> {
    const before = this.#opened();
    const now = await this.#current();
    if (now.epoch === before.epoch) return now;
    this.#folder = null;
    const reason = `UIDVALIDITY of the folder changed from ${before.epoch} to ${now.epoch} while it was open`;
    throw fail('folder_changed', reason, { folder: before.path });
  }

  #opened(): FolderView {
    if (this.#link.ended) throw this.#link.ended;
    if (!this.#folder) throw fail('internal', 'No folder is open on this session');
    return this.#folder;
  }

  /** Fails when another folder, or another epoch of it, was opened since: the same UIDs mean other messages there. */
  #check(expected: FolderView): void {
    const now = this.#opened();
    if (now.path !== expected.path || now.epoch !== expected.epoch) {
      throw fail('internal', 'Another folder was opened in the middle of this listing', {
        folder: expected.path,
      });
    }
  }
}
