/** Lists a folder: what came after a cursor, in pages, and all keys. Constant memory but for the UIDs. */
import { LIMITS } from '../../limits.ts';
import type { Listed, Page } from '../source.ts';
import type { Commands } from './commands.ts';
import { formatCursor } from './cursor.ts';
import { isBytesFrom } from './fetching.ts';
import { transferMs } from './options.ts';
import { presentUids } from './presence.ts';
import type { ReadAhead } from './read-ahead.ts';
import { tolerantRows } from './tolerant-rows.ts';
import { chunksOf } from './uid-set.ts';

/** Width of the first UID range of {@link allUids}, and the number of hits below which the next one is wider. */
const FIRST_RANGE = 100_000;
const FEW_HITS = 10_000;

/**
 * UIDs above `last`, ascending. `n:*` always matches the newest message, even when its UID is below n (RFC 9051
 * section 6.4.8), so the answer is filtered: else every poll would find the last message again.
 */
export async function uidsAfter(commands: Commands, last: number): Promise<number[]> {
  const found = await commands.search({ uid: `${last + 1}:*` });
  return found.filter((uid) => uid > last);
}

/** The newest UID of the folder; 0 when it is empty. Not UIDNEXT, which some servers get wrong. */
export async function newestUid(commands: Commands): Promise<number> {
  const found = await commands.search({ uid: '*' });
  return found.at(-1) ?? 0;
}

/** All UIDs, a range at a time. Ranges grow while they find little, so that huge gaps cost few commands. */
export async function* allUids(commands: Commands, checkFolder: () => void): AsyncGenerator<number[]> {
  const newest = await newestUid(commands);
  let width = FIRST_RANGE;
  for (let start = 1; start <= newest; ) {
    checkFolder();
    const end = Math.min(start + width - 1, newest);
    const found = (await commands.search({ uid: `${start}:${end}` })).filter(
      (uid) => uid >= start && uid <= end,
    );
    if (found.length > 0) yield found;
    if (found.length < FEW_HITS) width *= 2;
    start = end + 1;
  }
}

/**
 * Pages over `uids` with sizes and dates. Each page is one command; between pages the session is free. With `ahead` the
 * bytes of small messages may come with them.
 */
export async function* pagesOf(
  commands: Commands,
  uidValidity: string,
  uids: readonly number[],
  ahead: ReadAhead | null,
  checkFolder: () => void,
): AsyncGenerator<Page> {
  for (const chunk of chunksOf(uids, LIMITS.batchMessages)) {
    checkFolder();
    const items = await listUids(commands, chunk, ahead?.begin(chunk.length) === true ? ahead : null);
    yield { items, cursor: formatCursor({ uidValidity, lastUid: chunk.at(-1) as number }) };
  }
}

const hasBytes = isBytesFrom(0, false);

/** Sizes and dates of up to a page of messages. Those that are gone are left out. */
export async function listUids(
  commands: Commands,
  uids: readonly number[],
  ahead: ReadAhead | null = null,
): Promise<Listed[]> {
  const listed = new Map<number, Listed>();
  const bytes = ahead === null ? 0 : LIMITS.readAheadBytes + 1;
  const query = { uid: true, size: true, internalDate: true };
  const whole = { ...query, source: { start: 0, maxLength: bytes } };
  const rowMs = transferMs(commands.options, bytes);
  for await (const { uid, row } of tolerantRows(commands, uids, ahead === null ? query : whole, rowMs)) {
    if (!row || row.size === undefined) continue;
    if (ahead !== null && hasBytes(row)) ahead.keep(uid, row.source!);
    listed.set(uid, { key: String(uid), size: row.size, internalDate: isoDate(row.internalDate) });
  }
  const silent = uids.filter((uid) => !listed.has(uid));
  if (silent.length > 0) {
    // No answer is no proof of absence: a message that is still there is listed with what is known, which is
    // nothing, so that its fetch fails by name and it is not passed over.
    for (const uid of await presentUids(commands, silent)) {
      listed.set(uid, { key: String(uid), size: 0, internalDate: null });
    }
  }
  return uids.flatMap((uid) => listed.get(uid) ?? []);
}

function isoDate(value: Date | string | undefined): string | null {
  const date = value instanceof Date ? value : new Date(value ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
