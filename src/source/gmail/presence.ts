/** Which messages are in a folder. A request a message is dear, so the newest ones are looked up in a list first. */
import type { GmailApi } from './api.ts';
import { factsOf } from './fetching.ts';
import { includesSpamTrash, isMailOf } from './labels.ts';
import { allOf } from './parallel.ts';

/** Below this many, asking for each costs less than a page of a list and a doubt. */
const FEW = 3;
/** What was just taken is new; what is not in so many pages is asked for by itself. */
const PAGES = 2;

export interface Presence {
  /** In the folder, as its mail. */
  here: Set<string>;
  /** Somewhere in the mailbox, but not in the folder. */
  elsewhere: Set<string>;
}

export async function presenceOf(
  api: GmailApi,
  folder: string,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<Presence> {
  const here = keys.length > FEW ? await newestOf(api, folder, new Set(keys), signal) : new Set<string>();
  const elsewhere = new Set<string>();
  const open = keys.filter((key) => !here.has(key));
  const facts = await allOf(open, api.options.concurrency, (key) => factsOf(api, key, signal));
  for (const one of facts) {
    if (one === null) continue;
    if (isMailOf(folder, one.labels)) here.add(one.id);
    else elsewhere.add(one.id);
  }
  return { here, elsewhere };
}

/** Those of `wanted` that are among the newest messages of the folder. */
async function newestOf(
  api: GmailApi,
  folder: string,
  wanted: Set<string>,
  signal: AbortSignal,
): Promise<Set<string>> {
  const found = new Set<string>();
  let pageToken: string | null = null;
  for (let pages = 0; pages < PAGES && found.size < wanted.size; pages += 1) {
    const page = await api.list([folder], includesSpamTrash(folder), pageToken, signal);
    for (const id of page.ids) if (wanted.has(id)) found.add(id);
    if (page.nextPageToken === null) break;
    pageToken = page.nextPageToken;
  }
  return found;
}
