/**
 * The cursor of an IMAP folder: every UID up to `lastUid` was listed while UIDVALIDITY was `uidValidity`.
 * UIDs only ever grow (RFC 9051 section 2.3.1.1), so no message can appear below it.
 */
import { objectIn } from '../cursor-text.ts';

export interface ImapCursor {
  /** As text: values of 0 and above 32 bits exist in the wild. */
  uidValidity: string;
  lastUid: number;
}

export function formatCursor({ uidValidity, lastUid }: ImapCursor): string {
  return JSON.stringify({ uidValidity, lastUid });
}

/** Null when the text is no cursor of this kind. */
export function parseCursor(text: string): ImapCursor | null {
  const value = objectIn(text);
  if (value === null) return null;
  const { uidValidity, lastUid } = value as Partial<Record<keyof ImapCursor, unknown>>;
  if (typeof uidValidity !== 'string' || typeof lastUid !== 'number') return null;
  return Number.isSafeInteger(lastUid) && lastUid >= 0 ? { uidValidity, lastUid } : null;
}
