/** One run of requests to Graph about a mailbox, as the intake sees it: a connection with an open folder. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
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
import type { GraphClient } from './client.ts';
import { formatCursor, type GraphCursor, parseCursor } from './cursor.ts';
import { changesSince, startOf } from './delta.ts';
import { disposeOf } from './disposing.ts';
import { fetchWhole, fingerprintsOf, streamMessage } from './fetching.ts';
import { type FoundFolder, findFolder } from './folders.ts';
import { allKeys, getMessage, listKeys, pinNow } from './listed.ts';
import { inParallel } from './parallel.ts';
import { graphOrigin } from './settings.ts';
import type { GraphFolder } from './types.ts';

/**
 * Asks for the root of the mailbox: whether the token is good, and whether there is a mailbox that it may read. Returns
 * what tells this mailbox from another one that gets its address later: ids of the one mean nothing in the other.
 */
export async function mailboxEpoch(client: GraphClient): Promise<string> {
  const path = `${client.mailbox('/mailFolders/msgfolderroot')}?$select=id`;
  const { id } = ((await client.json(path, { what: 'find the mailbox' })) ?? {}) as GraphFolder;
  if (id === undefined) throw fail('server_protocol', 'The root folder of the mailbox has no id');
  return createHash('sha256').update(id).digest('hex').slice(0, 16);
}

export class GraphSession implements Session {
  readonly snapshot = false;
  readonly #client: GraphClient;
  #epoch: string;
  #folder: FoundFolder | null = null;
  /** Ids of the folders that were opened, by path. */
  readonly #ids = new Map<string, string>();

  constructor(client: GraphClient, epoch: string) {
    this.#client = client;
    this.#epoch = epoch;
  }

  async open(path: string): Promise<FolderView> {
    this.#live();
    this.#folder = null;
    const folder = await findFolder(this.#client, path);
    // Another folder under the same name: it may well be another mailbox under the same address.
    if ((this.#ids.get(folder.path) ?? folder.id) !== folder.id)
      this.#epoch = await mailboxEpoch(this.#client);
    this.#ids.set(folder.path, folder.id);
    this.#folder = folder;
    // Whether anything may be changed shows when it is tried.
    return { path: folder.path, epoch: this.#epoch, count: folder.count, writable: true };
  }

  async changes(cursor: string | null, until: string | null = null): Promise<Changes> {
    const folder = this.#opened();
    const known = cursor === null ? startOf(folder.id) : this.#parse(cursor, folder);
    const end = until === null ? null : this.#parse(until, folder);
    const reason = 'The stored cursor is not one of this folder on this host';
    if (known === null || (until !== null && !end?.pin)) return { lost: true, reason };
    return await changesSince(this.#client, known, end, folder.count);
  }

  async currentCursor(): Promise<string> {
    const folder = this.#opened();
    return formatCursor(startOf(folder.id, await pinNow(this.#client, folder.id)));
  }

  keys(): AsyncIterable<string[]> {
    return allKeys(this.#client, this.#opened().id);
  }

  list(keys: readonly string[]): AsyncIterable<Listed[]> {
    this.#opened();
    return listKeys(this.#client, keys);
  }

  fetch(keys: readonly string[], maxBytes: number): AsyncIterable<Fetched> {
    this.#opened();
    return fetchWhole(this.#client, keys, maxBytes);
  }

  async stream(key: string, maxBytes: number): Promise<Readable> {
    this.#opened();
    return await streamMessage(this.#client, key, maxBytes);
  }

  fingerprints(keys: readonly string[]): AsyncIterable<Fingerprint> {
    this.#opened();
    return fingerprintsOf(this.#client, keys);
  }

  async existing(keys: readonly string[]): Promise<Set<string>> {
    const folder = this.#opened();
    const isHere = async (key: string): Promise<string | null> => {
      const message = await getMessage(this.#client, key, '$select=id,parentFolderId');
      return message?.parentFolderId === folder.id ? key : null;
    };
    const here = new Set<string>();
    for await (const key of inParallel(keys, this.#client.options.concurrency, isHere))
      if (key) here.add(key);
    return here;
  }

  async dispose(
    keys: readonly string[],
    what: Disposition,
    target: string | null,
  ): Promise<Map<string, Disposed>> {
    return await disposeOf(this.#client, this.#opened(), keys, what, target);
  }

  /** Graph tells news to a web address only: a notification wakes the poller, which ends this wait. */
  async wait(ms: number, signal: AbortSignal): Promise<'timeout'> {
    this.#opened();
    const { ended } = this.#client;
    const { promise, resolve } = Promise.withResolvers<void>();
    const over = AbortSignal.any([signal, ended]);
    if (over.aborted) resolve();
    over.addEventListener('abort', () => resolve(), { once: true });
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
    this.#live();
    return 'timeout';
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  #parse(text: string, folder: FoundFolder): GraphCursor | null {
    return parseCursor(text, folder.id, graphOrigin(this.#client.settings.graphHost));
  }

  #live(): void {
    this.#client.ended.throwIfAborted();
  }

  #opened(): FoundFolder {
    this.#live();
    if (!this.#folder) throw fail('internal', 'No folder is open on this session');
    return this.#folder;
  }
}
