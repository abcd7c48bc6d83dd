/** Marks, labels, archives or trashes messages. Safe to repeat; a message that somebody else moved is left alone. */
import { fail, PenstockError } from '../../errors.ts';
import type { Disposed, Disposition } from '../source.ts';
import type { GmailApi } from './api.ts';
import { ARCHIVE, findLabel, type Label } from './labels.ts';
import { allOf } from './parallel.ts';
import { presenceOf } from './presence.ts';

/** What is changed on one message. */
type Change = (id: string) => Promise<void>;

/** Errors of one message, or of the right to change any: neither ends the session. */
const NOT_OF_THE_SESSION: ReadonlySet<string> = new Set([
  'consent_needed',
  'server_protocol',
  'conflict',
  'folder_missing',
  'validation_failed',
]);

export async function disposeOf(
  api: GmailApi,
  folder: Label,
  keys: readonly string[],
  what: Disposition,
  target: string | null,
  signal: AbortSignal,
): Promise<Map<string, Disposed>> {
  const results = new Map<string, Disposed>();
  if (what === 'leave') return new Map(keys.map((key) => [key, 'done']));
  let change: Change;
  let candidates = [...keys];
  try {
    change = await changeFor(api, folder, what, target, signal);
    if (what !== 'seen') {
      // What left the folder was moved by us before, or by a person since: neither is to be undone.
      const { here } = await presenceOf(api, folder.id, keys, signal);
      candidates = keys.filter((key) => here.has(key));
    }
  } catch (error) {
    const own = ofMessage(error);
    if (own === null) throw error;
    return new Map(keys.map((key) => [key, own]));
  }
  for (const key of keys) results.set(key, 'gone');
  await allOf(candidates, api.options.concurrency, async (key) => {
    results.set(key, await tried(() => change(key)));
  });
  return results;
}

async function changeFor(
  api: GmailApi,
  folder: Label,
  what: Exclude<Disposition, 'leave'>,
  target: string | null,
  signal: AbortSignal,
): Promise<Change> {
  if (what === 'seen') return (id) => api.modify(id, [], ['UNREAD'], signal);
  // To the trash, from where a person can take it back for thirty days.
  if (what === 'delete') return (id) => api.trash(id, signal);
  if (target === null) throw fail('validation_failed', 'Moving needs a label to move to');
  const label = await targetLabel(api, target, signal);
  if (label === 'TRASH') return (id) => api.trash(id, signal);
  if (label === folder.id) return async () => undefined;
  return (id) => api.modify(id, label === null ? [] : [label], [folder.id], signal);
}

/** The id of the label to move to, made when it is not there. Null: only out of the folder, which archives. */
async function targetLabel(api: GmailApi, name: string, signal: AbortSignal): Promise<string | null> {
  const known = findLabel(await api.labels(signal), name);
  if (known !== null) return known.id;
  if (name.toLowerCase() === ARCHIVE) return null;
  // The name of the same use on IMAP (RFC 6154).
  if (name === '\\Trash') return 'TRASH';
  try {
    return await api.createLabel(name, signal);
  } catch (error) {
    if (!(error instanceof PenstockError) || error.code !== 'conflict') throw error;
    const made = findLabel(await api.labels(signal), name);
    if (made === null) throw error;
    return made.id;
  }
}

async function tried(change: () => Promise<void>): Promise<Disposed> {
  try {
    await change();
    return 'done';
  } catch (error) {
    if (error instanceof PenstockError && error.code === 'message_gone') return 'gone';
    const own = ofMessage(error);
    if (own === null) throw error;
    return own;
  }
}

function ofMessage(error: unknown): PenstockError | null {
  return error instanceof PenstockError && NOT_OF_THE_SESSION.has(error.code) ? error : null;
}
