/** What a Graph mailbox needs, and the times and sizes of its requests. */
import { fail } from '../../errors.ts';

/** How to reach a mailbox over Microsoft Graph. */
export interface GraphSettings {
  /** User principal name, address or object id of the mailbox: a user's own or a shared one. */
  mailbox: string;
  /** Host of Graph, with a port if it is not 443. National clouds have hosts of their own. */
  graphHost: string;
  /** PEM of an extra certificate authority, for networks whose proxy opens TLS; null for the system's own. */
  tlsCa: string | null;
  /** False accepts any certificate: only when asked for by name. */
  tlsVerify: boolean;
  /** Folders to watch: display names joined by `/`, or well-known names such as `inbox`. */
  folders: string[];
  /** Largest message to take. */
  maxMessageBytes: number;
}

/** Where access tokens come from. Whoever implements this caches them and renews them in time. */
export interface AccessTokens {
  /**
   * A token for the Graph host of the mailbox. `refused` is one that the server has just turned down: another one is
   * wanted then. Fails with an error of ours; `auth_failed` when a person must act.
   */
  get(refused?: string): Promise<string>;
}

/** Times in milliseconds. Tests inject short ones; the daemon uses the defaults. */
export interface GraphOptions {
  /** DNS, TCP and TLS. */
  connectMs: number;
  /** From the request to the first byte of the answer. Exchange takes long for the first page of a large folder. */
  answerMs: number;
  /** Silence in the middle of a body. */
  bodyIdleMs: number;
  /** A server slower than this over a whole body counts as stalled (bytes a second). */
  minBytesPerSecond: number;
  /** Requests at once. Exchange allows 4 for each application and mailbox. */
  concurrency: number;
  /**
   * Requests a minute in the long run, and so many on top when few were made before. Exchange allows 10,000 in 10
   * minutes for each application and mailbox: the two leave some of that to others of the same application.
   */
  requestsPerMinute: number;
  burst: number;
  /** The longest that one request waits in all because the server asks for it; above that the session ends. */
  patienceMs: number;
  /** The first wait after an answer that asks for patience without saying how much. */
  retryMs: number;
  /** How often an idle folder's cursor is stored anew: tokens of Graph age. */
  renewCursorMs: number;
}

export const DEFAULT_GRAPH_OPTIONS: GraphOptions = {
  connectMs: 30_000,
  answerMs: 100_000,
  bodyIdleMs: 60_000,
  minBytesPerSecond: 8 * 1024,
  concurrency: 3,
  requestsPerMinute: 900,
  burst: 500,
  patienceMs: 120_000,
  retryMs: 2_000,
  renewCursorMs: 60 * 60_000,
};

/** The version of Graph that everything here speaks. */
export const GRAPH_VERSION = 'v1.0';

/** Where requests and stored links may go, and nowhere else. Fails with `config_invalid` on what is no host. */
export function graphOrigin(graphHost: string): string {
  const url = URL.canParse(`https://${graphHost}`) ? new URL(`https://${graphHost}`) : null;
  if (url === null || url.href !== `${url.origin}/`) {
    throw fail('config_invalid', 'The Graph host is not a host name', { graphHost });
  }
  return url.origin;
}
