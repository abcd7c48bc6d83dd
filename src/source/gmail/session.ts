/** A session with a Gmail mailbox: binds the parts of this folder to the interface of a source. */
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../../errors.ts';
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
import type { GmailApi } from './api.ts';
import { formatCursor, parseCursor } from './cursor.ts';
import { disposeOf } from './disposing.ts';
import { fetchWhole, fingerprintsOf, listFacts, streamMessage } from './fetching.ts';
import { findLabel, isMailOf, type Label } from './labels.ts';
import { changesSince, folderIds, newsSince } from './listing.ts';
import { presenceOf } from './presence.ts';

/** Keys handed out at a time by {@link Session.keys}. */
const KEYS_PER_CHUNK = 10_000;

export class GmailSession implements Session {
  readonly snapshot = false;
  readonly #api: GmailApi;
  readonly #end = new AbortController();
  #folder: Label | null = null;
  /** History up to here was listed, or looked at while waiting. */
  #seenUpTo: string | null = null;

  constructor(api: GmailApi) {
    this.#api = api;
  }

  async open(path: string): Promise<FolderView> {
    this.#check();
    this.#folder = null;
    const label = findLabel(await this.#api.labels(this.#signal), path);
    if (label === null) throw fail('folder_missing', `The mailbox has no label ${path}`, { folder: path });
    const count = await this.#api.labelCount(label.id, this.#signal);
    this.#folder = label;
    this.#seenUpTo = null;
    // Ids never change, so there is no epoch.
    return { path: label.name, epoch: '', count, writable: true };
  }

  async changes(cursor: string | null, until: string | null = null): Promise<Changes> {
    const { id } = this.#opened();
    const known = cursor === null ? null : parseCursor(cursor);
    const end = until === null ? null : parseCursor(until);
    if ((cursor !== null && known === null) || (until !== null && end === null)) {
      return { lost: true, reason: 'The stored cursor is not one of a Gmail folder' };
    }
    // Before anything is listed: what comes meanwhile is then found by the next listing.
    const now = await this.#now();
    for (const { account } of [known, end].filter((one) => one !== null)) {
      if (account === now.account) continue;
      return { lost: true, reason: `The account changed from ${account} to ${now.account}` };
    }
    const changes = await changesSince(this.#api, id, known, end, now, this.#signal);
    this.#seenUpTo = now.historyId;
    return changes;
  }

  async currentCursor(): Promise<string> {
    this.#opened();
    return formatCursor({ ...(await this.#now()), rest: null });
  }

  async *keys(): AsyncGenerator<string[]> {
    const ids = await folderIds(this.#api, this.#opened().id, this.#signal);
    for (let start = 0; start < ids.length; start += KEYS_PER_CHUNK)
      yield ids.slice(start, start + KEYS_PER_CHUNK);
  }

  async *list(keys: readonly string[]): AsyncGenerator<Listed[]> {
    const { id } = this.#opened();
    yield* listFacts(this.#api, keys, ({ labels }) => isMailOf(id, labels), this.#signal);
  }

  async *fetch(keys: readonly string[], maxBytes: number): AsyncGenerator<Fetched> {
    this.#opened();
    yield* fetchWhole(this.#api, keys, maxBytes, this.#signal);
  }

  async stream(key: string, maxBytes: number): Promise<Readable> {
    this.#opened();
    return await streamMessage(this.#api, key, maxBytes, this.#signal);
  }

  async *fingerprints(keys: readonly string[]): AsyncGenerator<Fingerprint> {
    this.#opened();
    yield* fingerprintsOf(this.#api, keys, this.#signal);
  }

  async existing(keys: readonly string[]): Promise<Set<string>> {
    const { here } = await presenceOf(this.#api, this.#opened().id, keys, this.#signal);
    return here;
  }

  async dispose(
    keys: readonly string[],
    what: Disposition,
    target: string | null,
  ): Promise<Map<string, Disposed>> {
    return await disposeOf(this.#api, this.#opened(), keys, what, target, this.#signal);
  }

  /** Nothing is pushed to a session, so it looks now and then, which costs two units. */
  async wait(ms: number, signal: AbortSignal): Promise<'changed' | 'timeout'> {
    const { id } = this.#opened();
    const until = performance.now() + ms;
    const stop = AbortSignal.any([signal, this.#signal]);
    this.#seenUpTo ??= (await this.#now()).historyId;
    for (;;) {
      const left = until - performance.now();
      await sleep(Math.max(0, Math.min(left, this.#api.options.hintMs)), undefined, { signal: stop }).catch(
        () => undefined,
      );
      this.#check();
      if (signal.aborted || performance.now() >= until) return 'timeout';
      const news = await newsSince(this.#api, id, this.#seenUpTo, null, this.#signal);
      if (news === null || news.ids.size > 0) return 'changed';
      this.#seenUpTo = news.historyId;
    }
  }

  async close(): Promise<void> {
    this.#end.abort(fail('connection_lost', 'The session was closed', { closed: true }));
  }

  async #now(): Promise<{ account: string; historyId: string }> {
    const { address, historyId } = await this.#api.profile(this.#signal);
    return { account: address, historyId };
  }

  get #signal(): AbortSignal {
    return this.#end.signal;
  }

  #check(): void {
    this.#signal.throwIfAborted();
  }

  #opened(): Label {
    this.#check();
    if (this.#folder === null) throw fail('internal', 'No folder is open on this session');
    return this.#folder;
  }
}
