/** How to reach a Gmail mailbox, and the times and limits of its session. */
import type { AccessTokens } from '../oauth/access-tokens.ts';

export interface GmailSettings {
  /** Address of the mailbox. */
  user: string;
  tokens: AccessTokens;
  /** Labels to watch by name, such as INBOX; the first one is listened to. */
  folders: string[];
  /** Largest message to take. */
  maxMessageBytes: number;
  /** `https://gmail.googleapis.com/`, or where a lab is. */
  rootUrl: string;
  /** PEM of an extra certificate authority, or null. */
  tlsCa: string | null;
}

export const GMAIL_ROOT_URL = 'https://gmail.googleapis.com/';

/** Milliseconds unless the name says otherwise. Tests inject short ones; the daemon uses the defaults. */
export interface GmailOptions {
  /** One request without much data. */
  requestMs: number;
  /** A server slower than this while it sends a message counts as stalled (bytes a second). */
  minBytesPerSecond: number;
  /** Requests at once. */
  concurrency: number;
  /** Between two looks for news while nothing else happens. */
  hintMs: number;
  /** The first wait before a request is repeated; twice as long for each further one. */
  retryMs: number;
  retries: number;
  /** A server that asks to wait longer than this ends the session. */
  patienceMs: number;
  /** Quota units for one user of one project, below what Google allows: 6,000 for projects since May 2026. */
  unitsPerMinute: number;
}

export const DEFAULT_GMAIL_OPTIONS: GmailOptions = {
  requestMs: 60_000,
  minBytesPerSecond: 8 * 1024,
  concurrency: 8,
  hintMs: 30_000,
  retryMs: 1_000,
  retries: 3,
  patienceMs: 5_000,
  unitsPerMinute: 5_000,
};
