/** Whether a listed message is taken. Pure: the same listing and settings give the same answer. */
import type { Listed } from '../source/source.ts';

export interface TakePolicy {
  /** Mail the server received before this instant is skipped; null = no limit. */
  notBefore: string | null;
  maxMessageBytes: number;
}

export type Decision = { take: true } | { take: false; state: 'skipped' | 'oversized'; reason: string };

/**
 * The date counts only for the cut-off, never for what is new: senders and servers lie about dates. A message
 * without a server date is taken.
 */
export function decide(listed: Listed, policy: TakePolicy): Decision {
  if (policy.notBefore !== null && listed.internalDate !== null) {
    if (Date.parse(listed.internalDate) < Date.parse(policy.notBefore)) {
      return { take: false, state: 'skipped', reason: `received before ${policy.notBefore}` };
    }
  }
  if (listed.size > policy.maxMessageBytes) {
    const reason = `${listed.size} bytes, above the limit of ${policy.maxMessageBytes}`;
    return { take: false, state: 'oversized', reason };
  }
  return { take: true };
}

/** The later of the two dates that can bound what is taken. */
export function notBefore(settings: {
  firstSync: string;
  firstSyncSince: string | null;
  dateCutoff: string | null;
}): string | null {
  const dates = [settings.dateCutoff, settings.firstSync === 'since' ? settings.firstSyncSince : null];
  const given = dates.filter((date) => date !== null);
  if (given.length === 0) return null;
  return given.reduce((a, b) => (Date.parse(a) > Date.parse(b) ? a : b));
}

/** Cuts a listing into runs whose announced sizes stay below `bytes`; a larger message is a run of its own. */
export function splitByBytes(items: readonly Listed[], bytes: number): Listed[][] {
  const runs: Listed[][] = [];
  let sum = 0;
  for (const item of items) {
    const last = runs.at(-1);
    if (last === undefined || sum + item.size > bytes) {
      runs.push([item]);
      sum = item.size;
    } else {
      last.push(item);
      sum += item.size;
    }
  }
  return runs;
}
