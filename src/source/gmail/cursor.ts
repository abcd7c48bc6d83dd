/** How far a folder was listed. Ids are opaque, and history ids are text: they do not fit into a number. */
import { objectIn } from '../cursor-text.ts';

export interface GmailCursor {
  /** Address of the account: history ids of another one would mean something else. */
  account: string;
  /** History up to here is known, but for what `rest` says. */
  historyId: string;
  /**
   * A listing that is under way: of the whole folder (`since` null) or of the history after `since`, always without what
   * came after `historyId`. It was taken up to and with the message `after`.
   */
  rest: { since: string | null; after: string } | null;
}

const HISTORY_ID = /^\d{1,32}$/;
const ID_CHARS = 200;

export function formatCursor({ account, historyId, rest }: GmailCursor): string {
  return JSON.stringify(rest === null ? { account, historyId } : { account, historyId, rest });
}

/** Null when it is no cursor of a Gmail folder. */
export function parseCursor(text: string): GmailCursor | null {
  const value = objectIn(text);
  if (value === null) return null;
  const {
    account,
    historyId,
    rest = null,
  } = value as { account?: unknown; historyId?: unknown; rest?: unknown };
  if (typeof account !== 'string' || !isHistoryId(historyId)) return null;
  if (rest === null) return { account, historyId, rest };
  if (typeof rest !== 'object') return null;
  const { since, after } = rest as { since?: unknown; after?: unknown };
  if (since !== null && !isHistoryId(since)) return null;
  if (typeof after !== 'string' || after.length > ID_CHARS) return null;
  return { account, historyId, rest: { since, after } };
}

function isHistoryId(value: unknown): value is string {
  return typeof value === 'string' && HISTORY_ID.test(value);
}
