/** Lists a folder: all of it, or what came since a cursor. Only ids: sizes and dates cost a request a message. */
import { PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Changes, Listed, Page } from '../source.ts';
import type { GmailApi } from './api.ts';
import { arrivals } from './arrivals.ts';
import { compareIds, formatCursor, type GmailCursor } from './cursor.ts';
import { excludedSets, includesSpamTrash } from './labels.ts';

/** Size and date are not known yet: `list` of the session gives them. */
const listed = (key: string): Listed => ({ key, size: 0, internalDate: null });

/** All messages of a folder, ascending by id. */
export async function folderIds(api: GmailApi, folder: string, signal: AbortSignal): Promise<string[]> {
  const all = await idsWith(api, [folder], includesSpamTrash(folder), signal);
  for (const { labels, unless } of excludedSets(folder)) {
    const excluded = await idsWith(api, labels, false, signal);
    const kept =
      unless === null || excluded.size === 0 ? null : await idsWith(api, [...labels, unless], false, signal);
    for (const id of excluded) if (!kept?.has(id)) all.delete(id);
  }
  return [...all].sort(compareIds);
}

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

/** What came into a folder since a history id. Null when history does not reach back so far. */
export interface News {
  ids: Set<string>;
  historyId: string;
}

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
 * What the folder has that is not covered by `cursor`. `now` is the history id of the mailbox, got before this call:
 * what comes later is left for the next listing. With `until`, nothing that came after it.
 */
export async function changesSince(
  api: GmailApi,
  folder: string,
  cursor: GmailCursor | null,
  until: GmailCursor | null,
  now: string,
  signal: AbortSignal,
): Promise<Changes> {
  const rest = cursor?.rest ?? null;
  const since = rest === null ? (cursor?.historyId ?? null) : rest.since;
  const isUnderWay = cursor !== null && rest !== null;
  const pinned = until?.historyId ?? (isUnderWay ? cursor.historyId : null);
  let ids: string[];
  let historyId: string;
  if (since === null) {
    historyId = pinned ?? now;
    ids = await folderIds(api, folder, signal);
    if (pinned !== null) {
      // Came after what is asked for: the listing from there on finds them.
      const later = await newsSince(api, folder, pinned, null, signal);
      if (later === null) return LOST;
      ids = ids.filter((id) => !later.ids.has(id));
    }
  } else {
    const news = await newsSince(api, folder, since, pinned, signal);
    if (news === null) return LOST;
    ({ historyId } = news);
    ids = [...news.ids].sort(compareIds);
  }
  if (rest !== null) ids = ids.filter((id) => compareIds(id, rest.after) > 0);
  const isNew = cursor === null || isUnderWay || cursor.historyId !== historyId;
  return {
    lost: false,
    total: ids.length,
    pages: pagesOf(ids, { historyId, since }, isNew),
  };
}

/**
 * Pages over `ids`. When there are none a cursor that moved on is given all the same: history is kept for a week or so,
 * and a quiet folder must not fall behind.
 */
async function* pagesOf(
  ids: readonly string[],
  { historyId, since }: { historyId: string; since: string | null },
  mustMoveOn: boolean,
): AsyncGenerator<Page> {
  if (ids.length === 0 && mustMoveOn) yield { items: [], cursor: formatCursor({ historyId, rest: null }) };
  for (let start = 0; start < ids.length; start += LIMITS.batchMessages) {
    const chunk = ids.slice(start, start + LIMITS.batchMessages);
    const isLast = start + LIMITS.batchMessages >= ids.length;
    const rest = isLast ? null : { since, after: chunk.at(-1)! };
    yield { items: chunk.map(listed), cursor: formatCursor({ historyId, rest }) };
  }
}
