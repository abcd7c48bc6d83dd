/**
 * How far a folder was listed. History ids are 64 bits (text here: they do not fit into a number), ids of messages are
 * hexadecimal of up to 64 bits.
 */
export interface GmailCursor {
  /** History up to here is known, but for what `rest` says. */
  historyId: string;
  /**
   * A listing that is under way: of the whole folder (`since` null) or of the history after `since`, always without what
   * came after `historyId`. Messages up to the id `after` are done.
   */
  rest: { since: string | null; after: string } | null;
}

const DIGITS = /^\d{1,20}$/;
const MESSAGE_ID = /^[0-9a-f]{1,32}$/;

export function formatCursor({ historyId, rest }: GmailCursor): string {
  return JSON.stringify(rest === null ? { historyId } : { historyId, rest });
}

/** Null when it is no cursor of a Gmail folder. */
export function parseCursor(text: string): GmailCursor | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { historyId, rest = null } = value as { historyId?: unknown; rest?: unknown };
  if (!isHistoryId(historyId)) return null;
  if (rest === null) return { historyId, rest };
  if (typeof rest !== 'object') return null;
  const { since, after } = rest as { since?: unknown; after?: unknown };
  if (since !== null && !isHistoryId(since)) return null;
  if (typeof after !== 'string' || !MESSAGE_ID.test(after)) return null;
  return { historyId, rest: { since, after } };
}

function isHistoryId(value: unknown): value is string {
  return typeof value === 'string' && DIGITS.test(value);
}

/** By value: longer is larger, since ids have no leading zeros. */
export function compareIds(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : Number(a > b);
}
