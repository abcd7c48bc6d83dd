/** The connection to PostgreSQL: the only place that makes a pool, and the types of the tables. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import { fail } from '../errors.ts';
import type { Tables } from './tables.ts';

export type Database = Kysely<Tables>;
export type Tx = Transaction<Tables>;

export interface Connection {
  db: Database;
  pool: pg.Pool;
  /** Connection string for those who keep their own connection (LISTEN, the queue). */
  settings: pg.ClientConfig;
  /** Ends within a second or two: a statement that still runs is given up, and its transaction with it. */
  close(): Promise<void>;
}

const INT8 = 20;
/** How long statements may take to end when the pool is closed, and then for their connections to break. */
const CLOSE_MS = 250;

/**
 * bigint columns arrive as numbers: ids and counts stay far below 2^53, and a number is what JSON clients expect.
 */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary'
      ? Number
      : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
};

/**
 * Opens a pool. `url` is a postgres:// URL, or the settings of the embedded server. Errors of idle connections
 * go to `onError`; the pool replaces such connections by itself.
 */
export function openDatabase(
  target: string | pg.ClientConfig,
  options: { connections: number; onError(error: Error): void },
): Connection {
  const settings: pg.ClientConfig = {
    ...(typeof target === 'string' ? { connectionString: target } : target),
    application_name: 'penstock',
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
    // A statement that runs this long is lost; better an error than a worker that waits for ever.
    statement_timeout: 120_000,
    // A process that stands still in a transaction keeps its locks: others would wait for its mailboxes for ever.
    idle_in_transaction_session_timeout: 30_000,
    types,
  };
  const pool = new pg.Pool({ ...settings, max: options.connections, idleTimeoutMillis: 60_000 });
  let closing = false;
  // While it closes, connections that the server ends first are none.
  pool.on('error', (error) => {
    if (!closing) options.onError(error);
  });
  // The pool listens only while a connection is idle. One that breaks between two statements of a transaction
  // would end the process; the next statement says what happened.
  const clients = new Set<pg.PoolClient>();
  pool.on('connect', (client) => {
    client.on('error', () => undefined);
    clients.add(client);
  });
  pool.on('remove', (client) => clients.delete(client));
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const close = async (): Promise<void> => {
    closing = true;
    const closed = db.destroy();
    // The pool waits for whoever uses a connection, and that may be somebody who waits for a lock.
    if (await isDoneWithin(CLOSE_MS, closed)) return;
    for (const client of clients) void (client as pg.PoolClient & pg.Client).end();
    await isDoneWithin(CLOSE_MS, closed);
  };
  return { db, pool, settings, close };
}

async function isDoneWithin(ms: number, work: Promise<void>): Promise<boolean> {
  const over = new AbortController();
  const late = sleep(ms, false, { signal: over.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    over.abort();
  }
}

/** Waits until the database answers, or fails with `database_unavailable`. */
export async function waitForDatabase(pool: pg.Pool, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      await pool.query('select 1');
      return;
    } catch (error) {
      if (performance.now() > deadline) {
        throw fail(
          'database_unavailable',
          `PostgreSQL does not answer: ${(error as Error).message}`,
          {},
          error,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
