/**
 * Messages taken one at a time, each attempt counted before it is made: whatever a message does to the session or
 * to this process, it runs out of attempts, and the others get through.
 */
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Listed, Page } from '../source/source.ts';
import type { IntakeItem } from '../store/intake.ts';
import { dueFetches, noteFetchAttempt } from '../store/ledger.ts';
import { fetchRetrySeconds } from './fetch.ts';
import type { FolderPass } from './folder-pass.ts';
import { rebindFetched, rebindNeverFetched } from './resync.ts';

const BATCH = 50;
/** What was on its way when the last session or process ended: one page in work, one ahead, one to spare. */
const CAREFUL_PAGES = 3;

/** Takes the pages that come next one message at a time; the pages after them cannot have been the reason. */
export async function takeCarefully(sync: FolderPass): Promise<void> {
  const changes = await sync.list();
  const pages = first(changes.pages, CAREFUL_PAGES);
  await sync.takePages({ ...changes, pages }, async ({ items }) => postpone(await sync.unknown(items)));
  await retryFetches(sync);
}

/** Rows that say: not tried yet, to be fetched at once, alone. */
export function postpone(items: readonly Listed[]): IntakeItem[] {
  return items.map((item) => ({
    ...item,
    result: { state: 'pending', reason: 'taken one at a time', attempts: 0, retryInSeconds: 0 },
  }));
}

/** Fetches what waits for another attempt and is due. */
export async function retryFetches(sync: FolderPass): Promise<void> {
  for (;;) {
    const due = await dueFetches(sync.context.db, sync.folder.id, sync.view.epoch, BATCH);
    if (due.length === 0) return;
    for (const { id, key, size, internal_date, fetch_attempts: attempts } of due) {
      sync.options.signal.throwIfAborted();
      const listed = { key, size, internalDate: internal_date?.toISOString() ?? null };
      if (attempts >= LIMITS.fetchAttempts) await giveUp(sync, listed, attempts);
      else {
        await noteFetchAttempt(sync.context.db, id, fetchRetrySeconds(attempts));
        const fresh = await rebindFetched(sync, await sync.fetch([listed], attempts));
        await sync.commit(sync.folder.resync === null ? fresh : await rebindNeverFetched(sync, fresh), null);
      }
      sync.options.onProgress();
    }
  }
}

async function giveUp(sync: FolderPass, listed: Listed, attempts: number): Promise<void> {
  const reason = 'the session broke at each attempt to fetch it';
  await sync.commit([{ ...listed, result: { state: 'fetch_failed', reason } }], null);
  sync.fetchFailed({ key: listed.key, error: fail('fetch_failed', reason), attempts, final: true });
}

async function* first(pages: AsyncIterable<Page>, count: number): AsyncGenerator<Page> {
  let left = count;
  for await (const page of pages) {
    yield page;
    left -= 1;
    if (left === 0) return;
  }
}
