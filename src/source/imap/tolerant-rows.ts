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
      refused = refusalOf(error);
      if (!refused) throw suspecting(error as PenstockError, open);
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
function refusalOf(error: unknown): PenstockError | null {
  const { code, fields } = error as PenstockError;
  return code === 'server_protocol' && typeof fields?.status === 'string' ? (error as PenstockError) : null;
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
