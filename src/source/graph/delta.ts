/**
 * Lists a folder by Graph's delta queries: rounds of pages, each round beginning where the one before has ended. A round
 * may be empty, may have empty pages, and may repeat what it, or an earlier one, has listed.
 */
import { fail, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Changes, Listed, Page } from '../source.ts';
import type { GraphClient } from './client.ts';
import { formatCursor, type GraphCursor, isDeltaLink, isPinned } from './cursor.ts';
import { listedOf, MESSAGE_EXPAND, MESSAGE_SELECT } from './listed.ts';
import { graphOrigin } from './settings.ts';
import type { GraphMessage, GraphPage } from './types.ts';

/** Smaller and smaller pages for a server that fails on one message of a page. */
const PAGE_SIZES = [LIMITS.batchRequests, 20, 1];

interface DeltaPage {
  messages: GraphMessage[];
  link: string;
  /** The link leads to the next round, not to the next page. */
  last: boolean;
}

/** Where a listing begins that begins at the beginning. */
export function startOf(folder: string, pin: GraphCursor['pin'] = null): GraphCursor {
  return { folder, link: null, round: null, pin, at: new Date().toISOString() };
}

/**
 * Lists what came after `start`. With `until`, a cursor that has a pin, only what was there when it was made; the
 * cursor of the last page is then `until` itself. `count` is what the folder is said to hold.
 */
export async function changesSince(
  client: GraphClient,
  start: GraphCursor,
  until: GraphCursor | null,
  count: number,
): Promise<Changes> {
  try {
    const { at, page } = await openRound(client, start);
    const total = at.link === null ? Math.max(count, page.messages.length) : page.messages.length;
    return { lost: false, pages: pagesFrom(client, at, page, until), total };
  } catch (error) {
    const { code, message } = error as PenstockError;
    if (code !== 'folder_changed') throw error;
    return { lost: true, reason: message };
  }
}

/** The page at `cursor`. When that link has died, the round is begun anew; the ledger knows what comes again. */
async function openRound(
  client: GraphClient,
  cursor: GraphCursor,
): Promise<{ at: GraphCursor; page: DeltaPage }> {
  try {
    return { at: cursor, page: await readPage(client, cursor) };
  } catch (error) {
    if ((error as PenstockError).code !== 'folder_changed' || cursor.round === null) throw error;
    const at = { ...cursor, link: cursor.round.link, round: null };
    return { at, page: await readPage(client, at) };
  }
}

async function* pagesFrom(
  client: GraphClient,
  start: GraphCursor,
  first: DeltaPage,
  until: GraphCursor | null,
): AsyncGenerator<Page> {
  let repeated = new Set<string>();
  for (let at = start, page = first; ; page = await readPage(client, at)) {
    const all = uniqueItems(client, page.messages);
    const items = all.filter(({ item, message }) => {
      if (repeated.has(item.key)) return false;
      if (until?.pin) return isPinned(until.pin, item.key, message.receivedDateTime);
      return at.pin === null || !isPinned(at.pin, item.key, message.receivedDateTime);
    });
    repeated = new Set(all.map(({ item }) => item.key));
    const next = positionAfter(at, page);
    const cursor = page.last && until ? until : next;
    // An idle folder costs no transaction a round; now and then it does, because links age.
    const idle = items.length === 0 && page.last && at.round === null && at.link !== null;
    if (!idle || isOld(at, client.options.renewCursorMs)) {
      yield { items: items.map(({ item }) => item), cursor: formatCursor(cursor) };
    }
    if (page.last) return;
    if (next.link === at.link) throw fail('server_protocol', 'The next page is the same page again');
    at = next;
  }
}

function positionAfter(at: GraphCursor, { link, last }: DeltaPage): GraphCursor {
  const round = at.round ?? { link: at.link };
  const between = { ...at, link, at: new Date().toISOString() };
  return last ? { ...between, round: null, pin: null } : { ...between, round };
}

function isOld({ at }: GraphCursor, ms: number): boolean {
  // A clock that was set back must not keep the cursor for ever.
  return Math.abs(Date.now() - Date.parse(at)) >= ms;
}

/** What of a page is in the folder, each once. */
function uniqueItems(
  client: GraphClient,
  messages: readonly GraphMessage[],
): { item: Listed; message: GraphMessage }[] {
  const items = new Map<string, { item: Listed; message: GraphMessage }>();
  for (const message of messages) {
    const item = listedOf(message, client.settings.maxMessageBytes);
    if (item === null) continue;
    // Deleted here, or moved elsewhere: that is no reason to forget the message.
    if (message['@removed'] !== undefined) items.delete(item.key);
    else items.set(item.key, { item, message });
  }
  return [...items.values()];
}

async function readPage(client: GraphClient, { folder, link }: GraphCursor): Promise<DeltaPage> {
  if (link !== null) return await readLink(client, link);
  try {
    return await readLink(client, firstLink(client, folder, true));
  } catch (error) {
    if ((error as PenstockError).fields.status !== 400) throw error;
    // Sizes are a help and no need; a server that does not give them with a delta still lists.
    return await readLink(client, firstLink(client, folder, false));
  }
}

async function readLink(client: GraphClient, link: string, sizes = PAGE_SIZES): Promise<DeltaPage> {
  const [pageSize, ...smaller] = sizes;
  try {
    return deltaPage(client, await client.json(link, { what: 'list changes', pageSize }));
  } catch (error) {
    const { code, fields } = error as PenstockError;
    const failsOnContent = code === 'server_protocol' && Number(fields.status ?? 0) >= 500;
    if (!failsOnContent || smaller.length === 0) throw error;
    return await readLink(client, link, smaller);
  }
}

/** Parameters are for the first request only: the links carry them on. */
function firstLink(client: GraphClient, folder: string, withSizes: boolean): string {
  const path = client.mailbox(`/mailFolders/${encodeURIComponent(folder)}/messages/delta`);
  return `${path}?${MESSAGE_SELECT}${withSizes ? `&${MESSAGE_EXPAND}` : ''}`;
}

function deltaPage(client: GraphClient, answer: unknown): DeltaPage {
  const { value, ...links } = (answer ?? {}) as GraphPage<GraphMessage>;
  const delta = links['@odata.deltaLink'];
  const link = delta ?? links['@odata.nextLink'];
  if (!Array.isArray(value) || !isDeltaLink(link, graphOrigin(client.settings.graphHost))) {
    throw fail('server_protocol', 'The answer is no page of changes, or leads to another host');
  }
  return { messages: value, link, last: delta !== undefined };
}
