/** Times of an IMAP session, in milliseconds. Tests inject short ones; the daemon uses the defaults. */
export interface ImapOptions {
  /** DNS, TCP and, with implicit TLS, the handshake. */
  connectMs: number;
  /** From the connection to the server's greeting. */
  greetingMs: number;
  /** From the greeting to the end of the login. */
  loginMs: number;
  /** One command without much data. Exchange takes long for a MOVE of 200 messages. */
  commandMs: number;
  /** A server slower than this while it sends a message counts as stalled (bytes a second). */
  minBytesPerSecond: number;
  /** IDLE is begun anew after this time. RFC 2177 asks for less than 29 minutes; NAT routers forget sooner. */
  maxIdleMs: number;
  /** How often a server without IDLE is asked for news. */
  noopMs: number;
  /** A folder whose server announces mail is selected anew at the latest after this time. */
  reselectMs: number;
  /** How long {@link Session.close} waits for the answer to LOGOUT. */
  closeMs: number;
  /** Bytes of one partial fetch of a streamed message. */
  chunkBytes: number;
}

export const DEFAULT_IMAP_OPTIONS: ImapOptions = {
  connectMs: 30_000,
  greetingMs: 15_000,
  loginMs: 60_000,
  commandMs: 120_000,
  minBytesPerSecond: 8 * 1024,
  maxIdleMs: 10 * 60_000,
  noopMs: 30_000,
  reselectMs: 3 * 60_000,
  closeMs: 3_000,
  chunkBytes: 1024 * 1024,
};

/** The longest that IDLE may last (RFC 2177 section 3). */
export const IDLE_CEILING_MS = 25 * 60_000;

/** How long a call may take that transfers up to `bytes`. */
export function transferMs(options: ImapOptions, bytes: number): number {
  return options.commandMs + Math.ceil((bytes / options.minBytesPerSecond) * 1000);
}
