/**
 * FETCH that survives single bad messages. Some servers refuse a whole command with NO or BAD because of one
 * message that they cannot read; then the set is halved until that message stands alone.
 */
import type { FetchMessageObject, FetchQueryObject } from 'imapflow';
import { fail, type PenstockError } from '../../errors.ts';
import type { Commands } from './commands.ts';

/** A message with its answer, or without one: `error` when the server refused it, neither when it said nothing. */
export interface TolerantRow {
  uid: number;
  row: FetchMessageObject | null;
  error: PenstockError | null;
}

/** One answer for every UID asked for, in any order. Fails only when the connection does. */
export async function* tolerantRows(
  commands: Commands,
  uids: readonly number[],
  query: FetchQueryObject,
  rowMs: number,
  accept: (row: FetchMessageObject) => boolean = () => true,
): AsyncGenerator<TolerantRow> {
  /** Whether the server answers about other messages while it says that it is busy; null when not yet tried. */
  let others: boolean | null = null;
  const waiting: number[][] = uids.length > 0 ? [[...uids]] : [];
  for (let set = waiting.pop(); set; set = waiting.pop()) {
    const open = new Set(set);
    let refused: PenstockError | null = null;
    try {
      for await (const row of commands.rows(set, query, rowMs)) {
        if (!open.has(row.uid) || !accept(row)) continue;
        open.delete(row.uid);
        yield { uid: row.uid, row, error: null };
      }
    } catch (error) {
      refused = refusalOf(error as PenstockError);
      if (!refused) throw suspecting(error as PenstockError, open);
      if (refused.code === 'server_busy') {
        others ??= await othersAnswer(commands, uids, rowMs);
        if (!others) throw refused;
      }
    }
    const left = set.filter((uid) => open.has(uid));
    if (refused && left.length > 1) {
      const middle = left.length >>> 1;
      waiting.push(left.slice(middle), left.slice(0, middle));
      continue;
    }
    for (const uid of left) yield { uid, row: null, error: refused };
  }
}

/** The error when the server merely refused the command; null when the connection is at stake. */
function refusalOf(error: PenstockError): PenstockError | null {
  const refused = typeof error.fields?.status === 'string' && error.code !== 'stalled';
  return refused ? error : null;
}

/**
 * Some servers say "unavailable, try later" for ever about one message that they cannot read, which would stop the
 * whole folder. So the first and the last message are asked for alone: a server that is really busy refuses both.
 */
async function othersAnswer(commands: Commands, uids: readonly number[], rowMs: number): Promise<boolean> {
  if (uids.length < 2) return false;
  for (const uid of [uids[0] as number, uids.at(-1) as number]) {
    try {
      if (await commands.row(uid, { uid: true, flags: true }, rowMs)) return true;
    } catch (error) {
      if (!refusalOf(error as PenstockError)) throw error;
    }
  }
  return false;
}

/**
 * Servers answer in ascending order, so when one answer broke the connection the first message without an answer
 * is the likely cause. The caller can then fetch that one alone.
 */
function suspecting(error: PenstockError, open: ReadonlySet<number>): PenstockError {
  const [suspect] = open;
  if (error.code !== 'server_protocol' || suspect === undefined) return error;
  return fail(error.code, error.message, { ...error.fields, suspectKey: String(suspect) }, error.cause);
}
