/**
 * Repair after a lost cursor, one procedure for all kinds: pin the new epoch, list everything, give known
 * messages their new keys by content, take only what is left. Nothing is touched on the server until done. Each
 * page is safe to repeat, so a crash anywhere resumes and stays exact (failures section 7).
 */
import type { Listed, Page } from '../source/source.ts';
import { saveResync } from '../store/folders.ts';
import type { IntakeItem } from '../store/intake.ts';
import { requireLease } from '../store/leases.ts';
import { closeEpoch, knownKeys, type RebindCandidate, rebind, rebindCandidates } from '../store/ledger.ts';
import type { ResyncState } from '../store/states.ts';
import type { FolderSync } from './folder-sync.ts';

/** Notes that a repair is needed, with the epoch it is for. */
export async function startResync(sync: FolderSync, reason: string): Promise<void> {
  const { folder, view } = sync;
  const resync: ResyncState = { oldEpoch: folder.epoch ?? '', reason };
  await save(sync, resync, null);
  sync.context.events.emit('folder.resync', { mailbox: sync.held.mailbox.id, folder: folder.path, reason });
  folder.epoch = view.epoch;
}

/** Runs or resumes the repair, to its end. */
export async function runResync(sync: FolderSync): Promise<void> {
  const changes = await sync.session.changes(sync.folder.cursor);
  if (changes.lost) return await startResync(sync, changes.reason);
  const before = sync.added;
  const { oldEpoch } = sync.folder.resync!;
  await sync.takePages(changes, (page) => rebindPage(sync, page));
  const cursor = sync.folder.cursor ?? (await sync.session.currentCursor());
  const gone = await sync.context.db.transaction().execute(async (tx) => {
    await requireLease(tx, sync.held.mailbox.id, sync.held.leaseToken);
    const left = await closeEpoch(tx, sync.folder.id, oldEpoch);
    await saveResync(tx, sync.folder.id, { epoch: sync.view.epoch, resync: null, cursor });
    return left;
  });
  sync.folder.resync = null;
  sync.folder.cursor = cursor;
  sync.context.events.emit('folder.resynced', {
    mailbox: sync.held.mailbox.id,
    folder: sync.folder.path,
    matched: sync.rebound,
    added: sync.added - before,
    gone,
  });
}

/** Gives known messages of a page their new keys; returns the rest, fetched. */
async function rebindPage(sync: FolderSync, page: Page): Promise<IntakeItem[]> {
  const { db } = sync.context;
  const { folder, view } = sync;
  const known = await knownKeys(
    db,
    folder.id,
    view.epoch,
    page.items.map((item) => item.key),
  );
  const fresh = page.items.filter((item) => !known.has(item.key));
  if (fresh.length === 0) return [];
  const fingerprints = [];
  for await (const print of sync.session.fingerprints(fresh.map((item) => item.key)))
    fingerprints.push(print);
  const candidates = await rebindCandidates(
    db,
    folder.id,
    view.epoch,
    fingerprints.map((print) => print.headerSha256),
  );
  const { pairs, unsure } = pairUp(fingerprints, candidates);
  await rebindPairs(sync, pairs);
  const bound = new Set(pairs.map((pair) => pair.key));
  const items = await sync.fetch(fresh.filter((item) => !bound.has(item.key)));
  return await rebindByBytes(sync, items, unsure);
}

/**
 * Pairs new keys with known rows by header digest and size; each row is used once. `unsure` are the rows whose
 * header fits but whose size differs: sizes are claims, so these are compared by their bytes.
 */
export function pairUp(
  fingerprints: readonly { key: string; headerSha256: Buffer; size: number }[],
  candidates: readonly RebindCandidate[],
): { pairs: { candidate: RebindCandidate; key: string }[]; unsure: RebindCandidate[] } {
  const free = new Map<string, RebindCandidate[]>();
  const name = (header: Buffer, size: number): string => `${header.toString('hex')}:${size}`;
  for (const candidate of candidates) {
    const id = name(candidate.headerSha256, candidate.size);
    free.set(id, [...(free.get(id) ?? []), candidate]);
  }
  const pairs: { candidate: RebindCandidate; key: string }[] = [];
  for (const print of fingerprints) {
    const candidate = free.get(name(print.headerSha256, print.size))?.pop();
    if (candidate !== undefined) pairs.push({ candidate, key: print.key });
  }
  return { pairs, unsure: [...free.values()].flat() };
}

/** The last resort: the downloaded bytes equal those of a known row whose announced size differs. */
async function rebindByBytes(
  sync: FolderSync,
  items: IntakeItem[],
  unsure: RebindCandidate[],
): Promise<IntakeItem[]> {
  const rows = new Map(unsure.map((candidate) => [candidate.rawSha256?.toString('hex'), candidate]));
  const pairs: { candidate: RebindCandidate; key: string }[] = [];
  const rest = items.filter((item) => {
    if (item.result.state !== 'stored') return true;
    const id = item.result.raw.sha256.toString('hex');
    const candidate = rows.get(id);
    if (candidate === undefined) return true;
    rows.delete(id);
    pairs.push({ candidate, key: item.key });
    return false;
  });
  await rebindPairs(sync, pairs);
  return rest;
}

async function rebindPairs(
  sync: FolderSync,
  pairs: { candidate: RebindCandidate; key: Listed['key'] }[],
): Promise<void> {
  if (pairs.length === 0) return;
  await sync.context.db.transaction().execute(async (tx) => {
    await requireLease(tx, sync.held.mailbox.id, sync.held.leaseToken);
    await rebind(tx, sync.view.epoch, pairs);
  });
  sync.rebound += pairs.length;
}

async function save(sync: FolderSync, resync: ResyncState, cursor: string | null): Promise<void> {
  await sync.context.db.transaction().execute(async (tx) => {
    await requireLease(tx, sync.held.mailbox.id, sync.held.leaseToken);
    await saveResync(tx, sync.folder.id, { epoch: sync.view.epoch, resync, cursor });
  });
  sync.folder.resync = resync;
  sync.folder.cursor = cursor;
}
