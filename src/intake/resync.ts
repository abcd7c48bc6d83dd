/**
 * Repair after a lost cursor, one procedure for all kinds: pin the new epoch, list everything, give known
 * messages their new keys by content, take only what is left. Nothing is touched on the server until done. Each
 * page is safe to repeat, so a crash anywhere resumes and stays exact (failures section 7).
 */
import type { Listed, Page } from '../source/source.ts';
import { saveResync } from '../store/folders.ts';
import type { IntakeItem } from '../store/intake.ts';
import { requireLease } from '../store/leases.ts';
import {
  type BareState,
  type BareWish,
  bareCandidates,
  closeEpochs,
  type RebindCandidate,
  rebind,
  rebindCandidates,
  setEpochAside,
} from '../store/rebind.ts';
import type { FolderPass, Listing } from './folder-pass.ts';

interface Pair {
  candidate: { id: number; epoch: string; key: string };
  key: string;
}

/** Notes that a repair is needed, with the epoch it is for. */
export async function startResync(sync: FolderPass, reason: string): Promise<void> {
  const { folder, view, held } = sync;
  const oldEpochs = new Set(folder.resync?.oldEpochs);
  await sync.context.db.transaction().execute(async (tx) => {
    await requireLease(tx, held.mailbox.id, held.leaseToken);
    if (folder.epoch !== null && folder.epoch !== view.epoch) {
      oldEpochs.add(folder.epoch);
      const aside = await setEpochAside(tx, folder.id, view.epoch);
      if (oldEpochs.delete(view.epoch) && aside !== null) oldEpochs.add(aside);
    }
    const resync = { oldEpochs: [...oldEpochs], reason };
    await saveResync(tx, folder.id, { epoch: view.epoch, resync, cursor: null });
    folder.resync = resync;
  });
  folder.cursor = null;
  folder.epoch = view.epoch;
  sync.context.events.emit('folder.resync', { mailbox: held.mailbox.id, folder: folder.path, reason });
}

/** Runs or resumes the repair, to its end. */
export async function runResync(sync: FolderPass, changes: Listing): Promise<void> {
  const { folder, view } = sync;
  const { mailbox, leaseToken } = sync.held;
  await sync.takePages(changes, (page) => takePage(sync, page));
  const removes = mailbox.settings.after === 'move' || mailbox.settings.after === 'delete';
  const gone = await sync.context.db.transaction().execute(async (tx) => {
    await requireLease(tx, mailbox.id, leaseToken);
    const left = await closeEpochs(tx, folder.id, view.epoch, folder.resync?.oldEpochs ?? [], removes);
    // A folder that was empty has no cursor yet. One made now would pass over what came since the listing.
    await saveResync(tx, folder.id, { epoch: view.epoch, resync: null, cursor: folder.cursor });
    return left;
  });
  folder.resync = null;
  folder.first_cursor = null;
  sync.context.events.emit('folder.resynced', {
    mailbox: mailbox.id,
    folder: folder.path,
    matched: sync.rebound,
    added: sync.added,
    gone,
  });
}

/** Gives known messages of a page their new keys; returns the rest, fetched. */
async function takePage(sync: FolderPass, page: Page): Promise<IntakeItem[]> {
  const { folder, view } = sync;
  const fresh = await sync.unknown(page.items);
  const fingerprints = [];
  for await (const print of sync.session.fingerprints(fresh.map((item) => item.key)))
    fingerprints.push(print);
  const candidates = await rebindCandidates(
    sync.context.db,
    folder.id,
    view.epoch,
    fingerprints.map((print) => print.headerSha256),
  );
  const left = await rebindPairs(sync, fresh, pairUp(fingerprints, candidates));
  const unmatched = await rebindNeverFetched(sync, left);
  const old = unmatched.filter((item) => wasThereBefore(sync, item));
  const items = await sync.fetch(unmatched.filter((item) => !old.includes(item)));
  const skipped = old.map((item) => ({
    ...item,
    result: { state: 'skipped' as const, reason: 'was there before the first sync' },
  }));
  return [...skipped, ...(await rebindFetched(sync, items))];
}

/**
 * Messages that were passed over for their date or their size are passed over again, and those whose fetch failed
 * keep their attempts. Only for what content did not match: many messages of one second may have one size.
 */
export async function rebindNeverFetched<T extends Listed>(
  sync: FolderPass,
  items: readonly T[],
): Promise<T[]> {
  const states: BareState[] = ['skipped', 'oversized', 'pending', 'fetch_failed'];
  const left = await rebindByDate(sync, items, states, true);
  // Sizes are claims, and may be others after the change; what was skipped was skipped for its date.
  return await rebindByDate(sync, left, ['skipped'], false);
}

/**
 * The bytes of a message equal those of a known row: the server now gives it another size, or changed its header, or
 * could not give its header before.
 */
export async function rebindFetched(sync: FolderPass, items: IntakeItem[]): Promise<IntakeItem[]> {
  const raws = items.flatMap((item) => (item.result.state === 'stored' ? [item.result.raw] : []));
  const candidates = await rebindCandidates(
    sync.context.db,
    sync.folder.id,
    sync.view.epoch,
    raws.map((raw) => raw.headerSha256),
  );
  const free = Map.groupBy(candidates, (candidate) => candidate.rawSha256?.toString('hex'));
  const pairs: Pair[] = [];
  for (const { key, result } of items) {
    if (result.state !== 'stored') continue;
    const candidate = free.get(result.raw.sha256.toString('hex'))?.pop();
    if (candidate !== undefined) pairs.push({ candidate, key });
  }
  return await rebindPairs(sync, items, pairs);
}

/** Pairs new keys with known rows by header digest and size; each row is used once. */
export function pairUp(
  fingerprints: readonly { key: string; headerSha256: Buffer; size: number }[],
  candidates: readonly RebindCandidate[],
): Pair[] {
  const name = (row: { headerSha256: Buffer; size: number }): string =>
    `${row.headerSha256.toString('hex')}:${row.size}`;
  const free = Map.groupBy(candidates, name);
  const pairs: Pair[] = [];
  for (const print of fingerprints) {
    const candidate = free.get(name(print))?.pop();
    if (candidate !== undefined) pairs.push({ candidate, key: print.key });
  }
  return pairs;
}

/** Binds rows without content to messages that were received at the same instant. Returns the items left. */
async function rebindByDate<T extends Listed>(
  sync: FolderPass,
  items: readonly T[],
  states: readonly BareState[],
  bySize: boolean,
): Promise<T[]> {
  const name = (internalDate: string, size: number): string => `${internalDate}:${bySize ? size : ''}`;
  const wishes = new Map<string, BareWish>();
  for (const { internalDate, size } of items) {
    if (internalDate === null) continue;
    const id = name(internalDate, size);
    const wish = wishes.get(id) ?? { internalDate, size: bySize ? size : null, count: 0 };
    wishes.set(id, { ...wish, count: wish.count + 1 });
  }
  const { db } = sync.context;
  const found = await bareCandidates(db, sync.folder.id, sync.view.epoch, states, [...wishes.values()]);
  const free = Map.groupBy(found, (row) => name(row.internalDate.toISOString(), row.size));
  const pairs: Pair[] = [];
  for (const { key, internalDate, size } of items) {
    const candidate = internalDate === null ? undefined : free.get(name(internalDate, size))?.pop();
    if (candidate !== undefined) pairs.push({ candidate, key });
  }
  return await rebindPairs(sync, items, pairs);
}

/** Writes the new keys; returns the items that got none. */
async function rebindPairs<T extends { key: string }>(
  sync: FolderPass,
  items: readonly T[],
  pairs: Pair[],
): Promise<T[]> {
  if (pairs.length === 0) return [...items];
  await sync.context.db.transaction().execute(async (tx) => {
    await requireLease(tx, sync.held.mailbox.id, sync.held.leaseToken);
    await rebind(tx, sync.folder.id, sync.view.epoch, pairs);
  });
  sync.rebound += pairs.length;
  const bound = new Set(pairs.map((pair) => pair.key));
  return items.filter((item) => !bound.has(item.key));
}

/**
 * The keys were lost before a first sync from now on had passed over all that was there. The date is then all there
 * is to tell old from new: mail that came before the mailbox was set up is old.
 */
function wasThereBefore({ held, folder }: FolderPass, { internalDate }: Listed): boolean {
  const { settings, createdAt } = held.mailbox;
  if (settings.firstSync !== 'now' || folder.first_cursor === null || internalDate === null) return false;
  return Date.parse(internalDate) < createdAt.getTime();
}
