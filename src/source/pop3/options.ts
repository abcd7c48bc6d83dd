/** Times and sizes of a POP3 session. Tests inject short ones; the daemon uses the defaults. Milliseconds and bytes. */
export interface Pop3Options {
  /** DNS, TCP and, with implicit TLS, the handshake. */
  connectMs: number;
  /** From the connection to the server's greeting. */
  greetingMs: number;
  /** One command of the login. Servers lock and read the whole mailbox before they answer PASS. */
  loginMs: number;
  /** One command without much data, and the silence inside an answer. */
  commandMs: number;
  /** QUIT after deletions: the server then removes them all. */
  quitMs: number;
  /** A server slower than this while it sends a long answer counts as stalled (bytes a second). */
  minBytesPerSecond: number;
  /** How long a polite QUIT may take when nothing depends on its answer. */
  closeMs: number;
  /** How much of a message that is too large is read only to get past it. Past this the connection is given up. */
  skipBytes: number;
  /** Commands under way at once, where the server has PIPELINING (RFC 2449 section 6.6). */
  window: number;
}

export const DEFAULT_POP3_OPTIONS: Pop3Options = {
  connectMs: 30_000,
  greetingMs: 15_000,
  loginMs: 60_000,
  commandMs: 120_000,
  quitMs: 10 * 60_000,
  minBytesPerSecond: 8 * 1024,
  closeMs: 3_000,
  skipBytes: 32 * 1024 * 1024,
  window: 20,
};
