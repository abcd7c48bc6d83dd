/**
 * How far a folder was listed. Graph's own position is a link with a token in it, which names neither the folder nor
 * what was skipped; both are kept beside it. Opaque to everybody else. A stored cursor is looked at with suspicion: it
 * may be of another folder, of another kind of source, or of another host that must never see a token.
 */
import { createHash } from 'node:crypto';
import { objectIn } from '../cursor-text.ts';
import { GRAPH_VERSION } from './settings.ts';

/** What was in a folder at one moment, without listing it: see {@link isPinned}. */
export interface Pin {
  /** Received before this: was there. Null: nothing was there. */
  before: string | null;
  /** Digests of the ids of what was there and was received since. */
  known: string[];
}

export interface GraphCursor {
  /** Id of the folder. Folders keep theirs for life. */
  folder: string;
  /** Graph's link to what comes next; null = from the start. */
  link: string | null;
  /** In the middle of a round: where it began, because links to pages die sooner. Null between two rounds. */
  round: { link: string | null } | null;
  /** What a round from now on passes over; null = nothing. */
  pin: Pin | null;
  /** When the link was made (ISO), by this machine's clock. */
  at: string;
}

export function formatCursor(cursor: GraphCursor): string {
  return JSON.stringify(cursor);
}

/** Null when the text is no cursor of this folder whose links lead to `origin`. */
export function parseCursor(text: string, folder: string, origin: string): GraphCursor | null {
  const value = objectIn(text);
  if (value === null) return null;
  const { link, round, pin, at, folder: of } = value as Record<keyof GraphCursor, unknown>;
  if (of !== folder || typeof at !== 'string') return null;
  if (!isNullOr(link, (given) => isDeltaLink(given, origin))) return null;
  if (!isNullOr(round, (given) => isRound(given, origin))) return null;
  if (!isNullOr(pin, isPin)) return null;
  return { folder, link, round, pin, at } as GraphCursor;
}

/** Whether this is a link to a listing of changes on this host. Also for links in answers, before they are stored. */
export function isDeltaLink(link: unknown, origin: string): link is string {
  if (typeof link !== 'string' || !URL.canParse(link)) return false;
  const url = new URL(link);
  const { username, password, pathname } = url;
  const bare = username === '' && password === '';
  return (
    bare && url.origin === origin && pathname.startsWith(`/${GRAPH_VERSION}/`) && /[/.]delta\b/.test(pathname)
  );
}

/**
 * Whether a message was in the folder when the pin was made. Around that moment the ids decide, before it the date:
 * only mail that is moved in with an older date, while the first listing is still going on, passes for old.
 */
export function isPinned({ before, known }: Pin, id: string, receivedDateTime: string | undefined): boolean {
  if (before === null) return false;
  if (receivedDateTime !== undefined && Date.parse(receivedDateTime) < Date.parse(before)) return true;
  return known.includes(idDigest(id));
}

/** Short, because hundreds of ids may be in one cursor. */
export function idDigest(id: string): string {
  return createHash('sha256').update(id).digest('base64url').slice(0, 12);
}

function isRound(value: unknown, origin: string): boolean {
  const { link } = (value ?? {}) as { link?: unknown };
  return isNullOr(link, (given) => isDeltaLink(given, origin));
}

function isPin(value: unknown): value is Pin {
  if (typeof value !== 'object' || value === null) return false;
  const { before, known } = value as Record<keyof Pin, unknown>;
  return isNullOr(before, (given) => typeof given === 'string') && Array.isArray(known);
}

function isNullOr(value: unknown, check: (given: unknown) => boolean): boolean {
  return value === null || check(value);
}
