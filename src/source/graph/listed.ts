/** What Graph says about messages, without their bytes. */
import { fail, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Listed } from '../source.ts';
import type { GraphClient } from './client.ts';
import { idDigest, type Pin } from './cursor.ts';
import { inParallel } from './parallel.ts';
import type { GraphMessage, GraphPage } from './types.ts';

export const MESSAGE_SELECT = '$select=id,receivedDateTime';
/** PidTagMessageSize: Graph has no property of its own for the size of a message. */
const SIZE_ID = 'Integer 0x0E08';
export const MESSAGE_EXPAND = `$expand=singleValueExtendedProperties($filter=${encodeURIComponent(`id eq '${SIZE_ID}'`)})`;
/** The highest that Graph allows. */
const KEYS_PER_PAGE = 1_000;
/** Longer than a message is under way between the time that it is stamped with and the folder. */
const PIN_WINDOW_MS = 15 * 60_000;

/**
 * A message as it is listed; null for one without an id. Its size is what it takes in the store: attachments are
 * larger on the wire, texts smaller. So only a size of more than twice the limit proves that the message is too
 * large; others up to there count as just within it, and the bytes decide.
 */
export function listedOf(message: GraphMessage, maxMessageBytes: number): Listed | null {
  const { id, receivedDateTime } = message;
  if (id === undefined) return null;
  const property = message.singleValueExtendedProperties?.find(({ id: name }) =>
    /0x0?e08$/i.test(name ?? ''),
  );
  const stored = Number(property?.value ?? 0);
  const size = Number.isSafeInteger(stored) && stored > 0 ? stored : 0;
  const time = Date.parse(receivedDateTime ?? '');
  return {
    key: id,
    size: size > 2 * maxMessageBytes ? size : Math.min(size, maxMessageBytes),
    internalDate: Number.isNaN(time) ? null : new Date(time).toISOString(),
  };
}

/** Marks what is in the folder now, by one request whatever the folder holds. */
export async function pinNow(client: GraphClient, folder: string): Promise<Pin> {
  const { messages, more } = await messagesOf(client, folder, { order: 'desc' });
  const [first] = messages;
  if (first === undefined) return { before: null, known: [] };
  // A message may be stamped with a time to come; then our own clock bounds the window.
  const at = Math.min(timeOf(first), Date.now());
  const recent = messages.filter((message) => timeOf(message) >= at - PIN_WINDOW_MS);
  // More than one page in that time: the window ends where the page does.
  const isFull = more && recent.length === messages.length;
  const before = isFull ? timeOf(messages.at(-1) as GraphMessage) : at - PIN_WINDOW_MS;
  return { before: new Date(before).toISOString(), known: recent.map(({ id }) => idDigest(id)) };
}

/**
 * All keys of a folder, in the order of arrival. Each page begins at the time that the one before has ended with: an
 * offset would pass over messages whenever others are taken away meanwhile.
 */
export async function* allKeys(client: GraphClient, folder: string): AsyncGenerator<string[]> {
  let since: string | undefined;
  let skip = 0;
  let seen = new Set<string>();
  for (;;) {
    const { messages, more } = await messagesOf(client, folder, { order: 'asc', since, skip });
    const keys = messages.map(({ id }) => id).filter((id) => !seen.has(id));
    if (keys.length > 0) yield keys;
    if (!more || messages.length === 0) return;
    seen = new Set(messages.map(({ id }) => id));
    const last = messages.at(-1)?.receivedDateTime ?? since;
    // A page full of messages of one second: within it there is only the offset.
    skip = last === since ? skip + messages.length : 0;
    since = last;
  }
}

/** Sizes and dates of messages, in pieces. */
export async function* listKeys(client: GraphClient, keys: readonly string[]): AsyncGenerator<Listed[]> {
  let piece: Listed[] = [];
  const get = (key: string): Promise<GraphMessage | null> =>
    getMessage(client, key, `${MESSAGE_SELECT}&${MESSAGE_EXPAND}`);
  for await (const message of inParallel(keys, client.options.concurrency, get)) {
    const item = message && listedOf(message, client.settings.maxMessageBytes);
    if (item) piece.push(item);
    if (piece.length < LIMITS.batchRequests) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}

/** One message wherever it is in the mailbox, or null when it is nowhere. */
export async function getMessage(
  client: GraphClient,
  key: string,
  query: string,
): Promise<GraphMessage | null> {
  try {
    return (await client.json(`${messagePath(client, key)}?${query}`, {
      what: 'get message',
    })) as GraphMessage;
  } catch (error) {
    if ((error as PenstockError).code === 'message_gone') return null;
    throw error;
  }
}

/** Not by way of the folder: `$value` is refused there (405), and an immutable id needs none. */
export function messagePath(client: GraphClient, key: string): string {
  return client.mailbox(`/messages/${encodeURIComponent(key)}`);
}

/** One page, in the order of arrival or against it, and whether there is more. */
async function messagesOf(
  client: GraphClient,
  folder: string,
  { order, since, skip = 0 }: { order: 'asc' | 'desc'; since?: string | undefined; skip?: number },
): Promise<{ messages: (GraphMessage & { id: string })[]; more: boolean }> {
  const path = client.mailbox(`/mailFolders/${encodeURIComponent(folder)}/messages`);
  const filter = since === undefined ? '' : `&$filter=${encodeURIComponent(`receivedDateTime ge ${since}`)}`;
  const from = skip === 0 ? '' : `&$skip=${skip}`;
  const query = `${MESSAGE_SELECT}${filter}&$orderby=receivedDateTime%20${order}&$top=${KEYS_PER_PAGE}${from}`;
  const answer = await client.json(`${path}?${query}`, { what: 'list messages' });
  const { value, '@odata.nextLink': more } = (answer ?? {}) as GraphPage<GraphMessage>;
  if (!Array.isArray(value)) throw fail('server_protocol', 'The answer is no list of messages');
  const messages = value.filter(
    (message): message is GraphMessage & { id: string } => message.id !== undefined,
  );
  return { messages, more: more !== undefined };
}

function timeOf({ receivedDateTime }: GraphMessage): number {
  return Date.parse(receivedDateTime ?? '') || 0;
}
