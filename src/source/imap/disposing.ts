/**
 * Carries out what becomes of messages on the server. imapflow's answers alone prove little (a MOVE of messages
 * that are not there "succeeds"), so every result is checked against the folder before it is reported.
 */
import { fail, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Disposed, Disposition, FolderView } from '../source.ts';
import type { Commands } from './commands.ts';
import { presentUids, searchedUids, seenUids } from './presence.ts';
import { chunksOf, uidsOfKeys } from './uid-set.ts';

type Results = Map<string, Disposed>;

/** Disposes of messages of the open folder, one command a batch. Fails as a whole only with the connection. */
export async function disposeOf(
  commands: Commands,
  open: FolderView,
  keys: readonly string[],
  what: Disposition,
  folder: string | null,
  checkFolder: () => void,
): Promise<Results> {
  const results: Results = new Map();
  const { uids, invalid } = uidsOfKeys(keys);
  for (const key of invalid) results.set(key, 'gone');
  if (what === 'leave') {
    for (const uid of uids) results.set(String(uid), 'done');
    return results;
  }
  const target = what === 'move' ? await targetOf(commands, folder) : folder;
  const refused = refusal(commands, open, what, target);
  for (const chunk of chunksOf(uids, LIMITS.uidsPerCommand)) {
    checkFolder();
    if (refused) mark(results, chunk, refused);
    else await disposeChunk(commands, results, chunk, what, target);
  }
  return results;
}

/** A target such as `\Trash` is the folder with that use, whatever the server calls it; else one named so. */
async function targetOf(commands: Commands, folder: string | null): Promise<string | null> {
  if (!folder?.startsWith('\\')) return folder;
  return (await commands.folderOfUse(folder)) ?? folder.slice(1);
}

/** Why this disposition cannot work here at all; null when it can. */
function refusal(
  commands: Commands,
  open: FolderView,
  what: Disposition,
  folder: string | null,
): PenstockError | null {
  if (!open.writable)
    return fail('unsupported', 'The server lets nobody change this folder', { folder: open.path });
  if (what === 'move') {
    if (!folder) return fail('config_invalid', 'A move needs a target folder');
    // A move within a folder gives every message a new UID, and the next poll would take them all for new.
    if (folder === open.path)
      return fail('config_invalid', 'The target folder is the folder itself', { folder });
    if (!commands.has('MOVE') && !commands.has('UIDPLUS')) {
      return fail(
        'unsupported',
        'The server can neither move messages (MOVE) nor delete single ones (UIDPLUS)',
      );
    }
  }
  if (what === 'delete' && !commands.has('UIDPLUS')) {
    const why =
      'The server cannot delete single messages (no UIDPLUS); a plain EXPUNGE would delete those of others';
    return fail('unsupported', why);
  }
  return null;
}

async function disposeChunk(
  commands: Commands,
  results: Results,
  uids: readonly number[],
  what: Disposition,
  folder: string | null,
): Promise<void> {
  try {
    if (what === 'seen') await markSeen(commands, results, uids);
    else if (what === 'move') await move(commands, results, uids, folder as string);
    else await remove(commands, results, uids);
  } catch (error) {
    // A refusal by the server concerns these messages; anything else the whole call.
    if (commands.link.ended || (error as PenstockError).code === 'internal') throw error;
    mark(results, uids, error as PenstockError, { keepOld: true });
  }
}

async function markSeen(commands: Commands, results: Results, uids: readonly number[]): Promise<void> {
  await commands.addFlag(uids, '\\Seen');
  const seen = await seenUids(commands, uids);
  mark(results, [...seen], 'done');
  const rest = uids.filter((uid) => !seen.has(uid));
  await markAbsent(
    commands,
    results,
    rest,
    'gone',
    fail('server_protocol', 'The server did not keep \\Seen'),
  );
}

async function move(
  commands: Commands,
  results: Results,
  uids: readonly number[],
  folder: string,
): Promise<void> {
  // Before, because afterwards a message that is not here may have been moved by us or taken by somebody else.
  const present = await stillPresent(commands, results, uids);
  if (present.length === 0) return;
  if (!(await commands.folderExists(folder))) await createTarget(commands, folder);
  if (!commands.has('MOVE')) {
    await commands.copy(present, folder);
    await commands.deleteForGood(present);
  }
  const moved = commands.has('MOVE') ? await commands.move(present, folder) : null;
  const proved = present.filter((uid) => moved?.has(uid));
  mark(results, proved, 'done');
  const open = present.filter((uid) => !moved?.has(uid));
  // With a list of what was moved, what is neither on it nor here was taken by somebody in between.
  const absent: Disposed = moved ? 'gone' : 'done';
  await markAbsent(
    commands,
    results,
    open,
    absent,
    fail('server_protocol', 'The server did not move the message'),
  );
}

async function remove(commands: Commands, results: Results, uids: readonly number[]): Promise<void> {
  const present = await stillPresent(commands, results, uids);
  if (present.length === 0) return;
  await commands.deleteForGood(present);
  await markAbsent(
    commands,
    results,
    present,
    'done',
    fail('server_protocol', 'The server did not delete the message'),
  );
}

async function createTarget(commands: Commands, folder: string): Promise<void> {
  try {
    await commands.create(folder);
  } catch (error) {
    if (commands.link.ended) throw error;
    const why = `The folder "${folder}" is missing and could not be created: ${(error as PenstockError).message}`;
    throw fail('folder_missing', why, { folder }, error);
  }
}

/** Those of `uids` that are here; the others get `gone`. */
async function stillPresent(
  commands: Commands,
  results: Results,
  uids: readonly number[],
): Promise<number[]> {
  const here = await presentUids(commands, uids);
  mark(
    results,
    uids.filter((uid) => !here.has(uid)),
    'gone',
  );
  return uids.filter((uid) => here.has(uid));
}

/** Those of `uids` that are no longer here get `absent`, the others `present`. */
async function markAbsent(
  commands: Commands,
  results: Results,
  uids: readonly number[],
  absent: Disposed,
  present: PenstockError,
): Promise<void> {
  if (uids.length === 0) return;
  const still = await searchedUids(commands, uids);
  for (const uid of uids) results.set(String(uid), still.has(uid) ? present : absent);
}

function mark(results: Results, uids: readonly number[], result: Disposed, { keepOld = false } = {}): void {
  for (const uid of uids) {
    const key = String(uid);
    if (!keepOld || !results.has(key)) results.set(key, result);
  }
}
