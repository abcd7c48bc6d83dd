/**
 * Compares the whole folder with the ledger now and then: replicated servers show some messages late, below the
 * cursor, where no listing looks again.
 */
import { LIMITS } from '../limits.ts';
import { knownKeys } from '../store/ledger.ts';
import { compareFolder } from './compare.ts';
import { splitByBytes } from './decide.ts';
import type { FolderPass } from './folder-pass.ts';
import { postpone, retryFetches } from './one-by-one.ts';

/** Takes what the ledger lacks, and tells what could not be accounted for. */
export async function takeLateArrivals(sync: FolderPass): Promise<void> {
  const { context, session, folder, view, options } = sync;
  const { listed, missing } = await compareFolder(context.db, session, folder.id, view.epoch);
  for await (const items of session.list(missing)) {
    for (const run of splitByBytes(items, LIMITS.batchBytes)) {
      options.signal.throwIfAborted();
      await sync.commit(options.careful ? postpone(run) : await sync.fetch(run), null);
      options.onProgress();
    }
  }
  if (options.careful) await retryFetches(sync);
  const known = await knownKeys(context.db, folder.id, view.epoch, missing);
  const open = missing.filter((key) => !known.has(key));
  const unaccounted = open.length === 0 ? 0 : (await session.existing(open)).size;
  context.events.emit('audit.finished', {
    mailbox: sync.held.mailbox.id,
    folder: folder.path,
    listed,
    accounted: listed - unaccounted,
    unaccounted,
  });
}
