/**
 * One pass over one folder: list what is new, make it durable, then bring the server up to date. While a batch
 * is being committed the next ones are already on their way from the server.
 */
import { fail } from '../errors.ts';
import { crashPoint } from '../lab/crash-point.ts';
import { LIMITS } from '../limits.ts';
import type { FolderView, Listed, Page, Session } from '../source/source.ts';
import { beginFolder, endFirstSync, ensureFolder, type Folder, markFolderListed } from '../store/folders.ts';
import { commitIntake, type IntakeItem } from '../store/intake.ts';
import { requireLease } from '../store/leases.ts';
import { knownKeys } from '../store/ledger.ts';
import { saveProgress } from '../store/mailboxes.ts';
import type { HeldMailbox, IntakeContext } from './context.ts';
import { notBefore, splitByBytes, type TakePolicy } from './decide.ts';
import { disposeDue } from './dispose.ts';
import { type FetchFailure, fetchListed } from './fetch.ts';
import type { FolderPass, Listing, PassOptions } from './folder-pass.ts';
import { takeLateArrivals } from './late-arrivals.ts';
import { retryFetches, takeCarefully } from './one-by-one.ts';
import { progressAt } from './progress.ts';
import { runResync, startResync } from './resync.ts';

const PROGRESS_EVERY_MS = 5_000;
/** During a long listing the server is brought up to date each time that so many messages have become safe. */
const DISPOSE_EVERY = 500;

/** A folder in the middle of a pass. */
export class FolderSync implements FolderPass {
  readonly context: IntakeContext;
  readonly held: HeldMailbox;
  readonly session: Session;
  readonly options: PassOptions;
  readonly policy: TakePolicy;
  readonly folder: Folder;
  readonly view: FolderView;
  added = 0;
  /** Known messages that got a new key. */
  rebound = 0;
  /** The last batch on its way into the queue: the next one is committed meanwhile. */
  #enqueuing: Promise<void> = Promise.resolve();

  private constructor(
    context: IntakeContext,
    held: HeldMailbox,
    session: Session,
    options: PassOptions,
    folder: Folder,
    view: FolderView,
  ) {
    this.context = context;
    this.held = held;
    this.session = session;
    this.options = options;
    this.folder = folder;
    this.view = view;
    const { settings } = held.mailbox;
    this.policy = { notBefore: notBefore(settings), maxMessageBytes: settings.maxMessageBytes };
  }

  /** Opens the folder and reads how far it was listed. */
  static async open(
    context: IntakeContext,
    held: HeldMailbox,
    session: Session,
    path: string,
    options: PassOptions,
  ): Promise<FolderSync> {
    const view = await session.open(path);
    // By the name that the server gives it: inbox and INBOX are one folder.
    const folder = await ensureFolder(context.db, held.mailbox.id, view.path);
    return new FolderSync(context, held, session, options, folder, view);
  }

  /** Runs the pass. Returns how many messages were added. */
  async run(): Promise<number> {
    await this.#bindEpoch();
    await this.#skipWhatWasThere();
    if (this.options.careful) await takeCarefully(this);
    let changes = await this.list();
    if (this.folder.resync !== null) {
      await runResync(this, changes);
      changes = await this.list();
    }
    await this.takePages(changes, async (page) => await this.fetch(await this.unknown(page.items)));
    await retryFetches(this);
    const late = this.folder.late_check_due;
    if (late) {
      // What is safe need not wait for the comparison; but a snapshot ends with its dispositions.
      if (!this.session.snapshot) await this.#disposeAll();
      await takeLateArrivals(this);
    }
    await this.#disposeAll();
    await this.#enqueuing;
    await markFolderListed(this.context.db, this.folder.id, late);
    return this.added;
  }

  /** Lists the folder from its cursor on. When that is void a repair begins, from the start of the folder. */
  async list(): Promise<Listing> {
    // What may have broken the session before is asked for by itself.
    const changes = await this.session.changes(this.folder.cursor, null, !this.options.careful);
    if (!changes.lost) return changes;
    // Keys of another epoch mean other messages: only a new pass may go on, with the folder as it is now.
    const { epoch } = await this.session.open(this.folder.path);
    if (epoch !== this.view.epoch) throw fail('folder_changed', changes.reason, { folder: this.folder.path });
    await startResync(this, changes.reason);
    const all = await this.session.changes(null);
    if (all.lost) throw fail('folder_changed', all.reason, { folder: this.folder.path });
    return all;
  }

  /** Those that the ledger does not have yet, with their sizes and dates. */
  async unknown(items: readonly Listed[]): Promise<Listed[]> {
    const keys = items.map((item) => item.key);
    const known = await knownKeys(this.context.db, this.folder.id, this.view.epoch, keys);
    return await this.#complete(items.filter((item) => !known.has(item.key)));
  }

  /** Asks for what a listing could not tell. Those that are gone stay as they are: their fetch will say so. */
  async #complete(items: Listed[]): Promise<Listed[]> {
    const bare = items.filter((item) => item.size === 0).map((item) => item.key);
    if (bare.length === 0) return items;
    const complete = new Map<string, Listed>();
    for await (const piece of this.session.list(bare)) {
      for (const item of piece) complete.set(item.key, item);
      this.options.onProgress();
    }
    return items.map((item) => complete.get(item.key) ?? item);
  }

  /**
   * The first opening pins the epoch, and what is there when only later mail is wanted; another epoch later means that
   * all keys are void (RFC 9051 2.3.1.1).
   */
  async #bindEpoch(): Promise<void> {
    const { folder, view } = this;
    if (folder.epoch === null) {
      const onlyLater = this.held.mailbox.settings.firstSync === 'now';
      const firstCursor = onlyLater ? await this.session.currentCursor() : null;
      await this.context.db.transaction().execute(async (tx) => {
        await requireLease(tx, this.held.mailbox.id, this.held.leaseToken);
        await beginFolder(tx, folder.id, view.epoch, firstCursor);
      });
      folder.epoch = view.epoch;
      folder.first_cursor = firstCursor;
    } else if (folder.epoch !== view.epoch) {
      await startResync(this, `the server renumbered the folder (${folder.epoch} became ${view.epoch})`);
    }
  }

  /** A first sync from now on still accounts for what was there: as skipped, without fetching it. */
  async #skipWhatWasThere(): Promise<void> {
    const { folder } = this;
    if (this.held.mailbox.settings.firstSync !== 'now' || folder.first_cursor === null) return;
    // A repair that is under way tells old from new by itself.
    if (folder.resync !== null) return;
    const changes = await this.session.changes(folder.cursor, folder.first_cursor);
    // The main listing meets the same loss, and repairs it.
    if (changes.lost) return;
    await this.takePages(changes, async (page) =>
      page.items.map((item) => ({
        ...item,
        result: { state: 'skipped' as const, reason: 'was there before the first sync' },
      })),
    );
    folder.first_cursor = null;
    await this.context.db.transaction().execute(async (tx) => {
      await requireLease(tx, this.held.mailbox.id, this.held.leaseToken);
      await endFirstSync(tx, folder.id);
    });
  }

  /** Goes through a listing: fetch of one page and commit of the one before run side by side. */
  async takePages(changes: Listing, take: (page: Page) => Promise<IntakeItem[]>): Promise<void> {
    const started = performance.now();
    let done = 0;
    let undisposed = 0;
    let reported = started;
    let committing: Promise<void> = Promise.resolve();
    let before = committing;
    if (changes.total > LIMITS.batchMessages)
      await saveProgress(this.context.db, this.held.mailbox.id, 0, changes.total);
    try {
      for await (const page of changes.pages) {
        await this.#waitForRoom();
        const runs = splitByBytes(page.items, LIMITS.batchBytes);
        if (runs.length === 0) runs.push([]);
        for (const [index, items] of runs.entries()) {
          this.options.signal.throwIfAborted();
          const ready = await take({ items, cursor: page.cursor });
          const cursor = index === runs.length - 1 ? page.cursor : null;
          // One batch may wait while another is committed, so that a slow moment on one side does not stop the other.
          await before;
          before = committing;
          committing = committing.then(() => this.commit(ready, cursor));
          // Awaited above or below; this only keeps a failure from being called unhandled meanwhile.
          committing.catch(() => undefined);
          // After the batch is on its way: what was fetched is safe even when the server breaks off here.
          undisposed += items.length;
          if (!this.session.snapshot && undisposed >= DISPOSE_EVERY) {
            await disposeDueIfAllowed(this);
            undisposed = 0;
          }
          this.options.onProgress();
        }
        done += page.items.length;
        if (changes.total > LIMITS.batchMessages && performance.now() - reported >= PROGRESS_EVERY_MS) {
          reported = performance.now();
          await this.#reportProgress(done, changes.total, reported - started);
        }
      }
      await committing;
    } catch (error) {
      await committing.catch(() => undefined);
      throw error;
    }
    if (changes.total > LIMITS.batchMessages)
      await this.#reportProgress(done, done, performance.now() - started);
  }

  /** Commits items, then enqueues what is new. `cursor` moves the folder on with them. */
  async commit(items: IntakeItem[], cursor: string | null): Promise<void> {
    if (items.length === 0 && cursor === null) return;
    const { context, held, folder, view } = this;
    const { mailbox, leaseToken } = held;
    const started = performance.now();
    const durable = await this.#settle(items);
    crashPoint('before-commit');
    const result = await commitIntake(context.db, {
      mailboxId: mailbox.id,
      leaseToken,
      folder: { id: folder.id, path: folder.path },
      epoch: view.epoch,
      source: mailbox.kind,
      dropCopies: mailbox.settings.dedup === 'content',
      dispose: mailbox.settings.after !== 'leave',
      items: durable,
      cursor,
    });
    crashPoint('after-commit');
    if (cursor !== null) folder.cursor = cursor;
    if (result.stored.length > 0) {
      await this.#enqueuing;
      this.#enqueuing = context.enqueue(mailbox.kind, mailbox.id, result.stored);
    }
    this.added += result.stored.length;
    if (items.length === 0) return;
    const count = (state: string): number => items.filter((item) => item.result.state === state).length;
    context.events.emit('batch.stored', {
      mailbox: mailbox.id,
      stored: result.stored.length,
      duplicates: result.duplicates.length,
      skipped: count('skipped'),
      oversized: count('oversized'),
      bytes: items.reduce(
        (sum, item) => sum + (item.result.state === 'stored' ? item.result.raw.size : 0),
        0,
      ),
      milliseconds: Math.round(performance.now() - started),
    });
  }

  /** Many small messages become one file before their rows are committed. */
  async #settle(items: IntakeItem[]): Promise<IntakeItem[]> {
    const raws = items.flatMap(({ result }) => (result.state === 'stored' ? [result.raw] : []));
    const settled = (await this.context.raw.settle(raws)).values();
    return items.map((item) =>
      item.result.state === 'stored'
        ? { ...item, result: { state: 'stored', raw: settled.next().value! } }
        : item,
    );
  }

  /** Bytes for listed messages, or the reason why there are none. */
  async fetch(items: readonly Listed[], attempts = 0): Promise<IntakeItem[]> {
    return await fetchListed(this.session, this.context.raw, items, {
      policy: this.policy,
      attempts,
      onFailure: (failure) => this.fetchFailed(failure),
      onProgress: () => this.options.onProgress(),
    });
  }

  /** Last in a pass: a snapshot ends with its dispositions, and what is then left waits for the next one. */
  async #disposeAll(): Promise<void> {
    while ((await disposeDueIfAllowed(this)) > 0) {
      this.options.onProgress();
      if (this.session.snapshot) return;
    }
  }

  async #waitForRoom(): Promise<void> {
    let told = false;
    for (;;) {
      const reason = await this.context.pressure();
      if (reason === null) return;
      if (!told) this.context.events.emit('mailbox.paused', { mailbox: this.held.mailbox.id, reason });
      told = true;
      this.options.onProgress();
      await new Promise((resolve) => setTimeout(resolve, 500));
      this.options.signal.throwIfAborted();
    }
  }

  async #reportProgress(done: number, total: number, elapsedMs: number): Promise<void> {
    const mailbox = this.held.mailbox.id;
    await saveProgress(this.context.db, mailbox, done, total);
    this.context.events.emit('mailbox.progress', { mailbox, ...progressAt(done, total, elapsedMs) });
  }

  fetchFailed({ key, error, attempts, final }: FetchFailure): void {
    this.context.events.emit('message.fetch_failed', {
      mailbox: this.held.mailbox.id,
      key,
      code: error.code,
      message: error.message,
      attempts,
      final,
    });
  }
}

/** Nothing is moved or deleted while keys are being rebound: they might not mean what we think. */
async function disposeDueIfAllowed(sync: FolderSync): Promise<number> {
  if (sync.folder.resync !== null) return 0;
  const { context, held, session, folder, view, options } = sync;
  return await disposeDue(context, held, session, { id: folder.id, epoch: view.epoch }, options.careful);
}
