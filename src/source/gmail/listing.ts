/** Lists a folder: all of it, or what came since a cursor. Only ids: sizes and dates cost a request a message. */
import { PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Changes, Listed, Page } from '../source.ts';
import type { GmailApi } from './api.ts';
import { arrivals } from './arrivals.ts';
import { formatCursor, type GmailCursor } from './cursor.ts';
import { excludedSets, includesSpamTrash } from './labels.ts';

/** Size and date are not known yet: `list` of the session gives them. */
const listed = (key: string): Listed => ({ key, size: 0, internalDate: null });

/** All messages of a folder, oldest first. */
export async function folderIds(api: GmailApi, folder: string, signal: AbortSignal): Promise<string[]> {
  const hidden = includesSpamTrash(folder);
  const all = await idsWith(api, [folder], hidden, signal);
  for (const { labels, unless } of excludedSets(folder)) {
    const excluded = await idsOrNone(api, labels, hidden, signal);
    if (excluded.size === 0) continue;
    const kept = unless === null ? null : await idsWith(api, [...labels, unless], hidden, signal);
    for (const id of excluded) if (!kept?.has(id)) all.delete(id);
  }
  return [...all].reverse();
}

/** Not every account has every label of Google's own; then no message has it. */
async function idsOrNone(
  api: GmailApi,
  labels: string[],
  includeSpamTrash: boolean,
  signal: AbortSignal,
): Promise<Set<string>> {
  try {
    return await idsWith(api, labels, includeSpamTrash, signal);
  } catch (error) {
    if (error instanceof PenstockError && error.code === 'folder_missing') return new Set();
    throw error;
  }
}

/** Newest first, as Gmail lists. */
async function idsWith(
  api: GmailApi,
  labels: string[],
  includeSpamTrash: boolean,
  signal: AbortSignal,
): Promise<Set<string>> {
  const ids = new Set<string>();
  for (let pageToken: string | null = null; ; ) {
    const page = await api.list(labels, includeSpamTrash, pageToken, signal);
    for (const id of page.ids) ids.add(id);
    if (page.nextPageToken === null) return ids;
    pageToken = page.nextPageToken;
  }
}

/** What came into a folder since a history id, in the order in which it came. */
export interface News {
  ids: Set<string>;
  historyId: string;
}

/** Null when history does not reach back so far. With `until`, without what came after that id. */
export async function newsSince(
  api: GmailApi,
  folder: string,
  since: string,
  until: string | null,
  signal: AbortSignal,
): Promise<News | null> {
  const ids = new Set<string>();
  let historyId = '';
  try {
    for (let pageToken: string | null = null; ; ) {
      const page = await api.history(since, folder, pageToken, signal);
      for (const id of arrivals(page.records, folder, until)) ids.add(id);
      // The first page's: what comes while pages are read may not be in them.
      if (historyId === '') ({ historyId } = page);
      if (page.nextPageToken === null) return { ids, historyId: until ?? historyId };
      pageToken = page.nextPageToken;
    }
  } catch (error) {
    if (error instanceof PenstockError && error.code === 'message_gone') return null;
    throw error;
  }
}

const LOST = { lost: true, reason: 'Gmail keeps no history that is so old' } as const;

/**
 * What the folder has that is not covered by `cursor`. `now` is what the mailbox was at before this call: what comes later
 * is left for the next listing. With `until`, nothing that came after it.
 */
export async function changesSince(
  api: GmailApi,
  folder: string,
  cursor: GmailCursor | null,
  until: GmailCursor | null,
  now: { account: string; historyId: string },
  signal: AbortSignal,
): Promise<Changes> {
  const rest = cursor?.rest ?? null;
  const since = rest === null ? (cursor?.historyId ?? null) : rest.since;
  const pinned = until?.historyId ?? (rest === null ? null : cursor!.historyId);
  const found =
    since === null
      ? await wholeFolder(api, folder, pinned, now.historyId, signal)
      : await newsSince(api, folder, since, pinned, signal);
  if (found === null) return LOST;
  const all = [...found.ids];
  // When that message has left meanwhile all are listed again, which does no harm.
  const ids = rest === null ? all : all.slice(all.indexOf(rest.after) + 1);
  const end = { account: now.account, historyId: found.historyId };
  const mustMoveOn = rest !== null || cursor?.historyId !== found.historyId;
  return { lost: false, total: ids.length, pages: pagesOf(ids, end, since, mustMoveOn) };
}

/** All that was in the folder at `pinned`, or that is in it now. Null when history does not reach back so far. */
async function wholeFolder(
  api: GmailApi,
  folder: string,
  pinned: string | null,
  now: string,
  signal: AbortSignal,
): Promise<News | null> {
  const ids = new Set(await folderIds(api, folder, signal));
  if (pinned === null) return { ids, historyId: now };
  const later = await newsSince(api, folder, pinned, null, signal);
  if (later === null) return null;
  // The listing from there on finds them.
  for (const id of later.ids) ids.delete(id);
  return { ids, historyId: pinned };
}

/**
 * Pages over `ids`. When there are none a cursor that moved on is given all the same: history is kept for a week or so,
 * and a quiet folder must not fall behind.
 */
async function* pagesOf(
  ids: readonly string[],
  end: { account: string; historyId: string },
  since: string | null,
  mustMoveOn: boolean,
): AsyncGenerator<Page> {
  if (ids.length === 0 && mustMoveOn) yield { items: [], cursor: formatCursor({ ...end, rest: null }) };
  for (let start = 0; start < ids.length; start += LIMITS.batchRequests) {
    const chunk = ids.slice(start, start + LIMITS.batchRequests);
    const isLast = start + LIMITS.batchRequests >= ids.length;
    const rest = isLast ? null : { since, after: chunk.at(-1)! };
    yield { items: chunk.map(listed), cursor: formatCursor({ ...end, rest }) };
  }
}
