/** Whether messages are still there. Everything that ends in "gone" rests on this. */
import { LIMITS } from '../../limits.ts';
import type { Commands } from './commands.ts';
import { tolerantRows } from './tolerant-rows.ts';
import { chunksOf, uidSet } from './uid-set.ts';

/**
 * Those of `uids` that are in the folder, by SEARCH and then, for those that SEARCH left out, by FETCH. A message
 * counts as gone only when both leave it out: a throttled server answers either with OK and nothing else.
 */
export async function presentUids(commands: Commands, uids: readonly number[]): Promise<Set<number>> {
  const present = await searchedUids(commands, uids);
  const doubtful = uids.filter((uid) => !present.has(uid));
  for (const chunk of chunksOf(doubtful, LIMITS.batchMessages)) {
    const query = { uid: true, flags: true };
    for await (const { uid, row, error } of tolerantRows(
      commands,
      chunk,
      query,
      commands.options.commandMs,
    )) {
      if (row || error) present.add(uid);
    }
  }
  return present;
}

/** Those of `uids` that SEARCH finds. Enough where a wrong "not there" does no harm. */
export async function searchedUids(commands: Commands, uids: readonly number[]): Promise<Set<number>> {
  return matchingUids(commands, uids, {});
}

/** Those of `uids` that SEARCH finds with \Seen. */
export async function seenUids(commands: Commands, uids: readonly number[]): Promise<Set<number>> {
  return matchingUids(commands, uids, { seen: true });
}

async function matchingUids(
  commands: Commands,
  uids: readonly number[],
  also: { seen?: boolean },
): Promise<Set<number>> {
  const asked = new Set(uids);
  const matching = new Set<number>();
  for (const chunk of chunksOf(uids, LIMITS.uidsPerCommand)) {
    for (const uid of await commands.search({ uid: uidSet(chunk), ...also })) {
      if (asked.has(uid)) matching.add(uid);
    }
  }
  return matching;
}
