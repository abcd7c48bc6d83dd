/** The private folder of the server's socket, and talking to the server through it. */
import { chown, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { fail } from '../../errors.ts';
import { SOCKET_FOLDER_PREFIX } from './postmaster-file.ts';
import { NAME, PORT, SOCKET_FOLDER_BYTES } from './settings.ts';
import { firstClosedFolder, runAs, type SystemUser } from './system-user.ts';

/** Makes a folder that only the server's user (and root) may enter. It is short, unlike a data directory. */
export async function makeSocketFolder(user: SystemUser): Promise<string> {
  for (const parent of [tmpdir(), '/tmp', '/run']) {
    const bytes = Buffer.byteLength(join(parent, `${SOCKET_FOLDER_PREFIX}XXXXXX`));
    if (bytes > SOCKET_FOLDER_BYTES || /["\\\n]/.test(parent)) continue;
    try {
      if (await firstClosedFolder(await realpath(parent), user)) continue;
      const folder = await mkdtemp(join(parent, SOCKET_FOLDER_PREFIX));
      const { uid, gid } = runAs(user);
      if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid);
      return folder;
    } catch {
      // Missing, read-only or full: the next one may do.
    }
  }
  throw fail('engine_failed', 'There is no temporary folder with a short path for the database socket.');
}

/** Removes the socket of a server that is gone, so that the next one can use the folder. */
export async function clearSocketFolder(folder: string): Promise<void> {
  await rm(join(folder, `.s.PGSQL.${PORT}`), { force: true });
  await rm(join(folder, `.s.PGSQL.${PORT}.lock`), { force: true });
}

/** Complete, so that pg looks for nothing in PGOPTIONS, PGSSLMODE and the like, which mean another server. */
export interface ServerConnection {
  host: string;
  port: number;
  user: string;
  database: string;
  ssl: false;
  options: string;
}

export function connectionTo(socketFolder: string, database = NAME): ServerConnection {
  return {
    host: socketFolder,
    port: PORT,
    user: NAME,
    database,
    ssl: false,
    // Anything will do: an empty value would count as missing.
    options: '-c client_min_messages=warning',
  };
}

/** The same as a URL that pg understands: a socket has no place in the host part. */
export function urlOf(connection: ServerConnection): string {
  const { host, port, user, database, options } = connection;
  const url = new URL(`postgres://${user}@localhost:${port}/${database}`);
  url.search = `?host=${encodeURIComponent(host)}&ssl=0&options=${encodeURIComponent(options)}`;
  return url.href;
}

export type Answer =
  | { state: 'ready'; mark: string | null }
  /** It listens, and says that it is starting, recovering or shutting down. */
  | { state: 'busy' }
  | { state: 'silent'; reason: string };

const CANNOT_CONNECT_NOW = '57P03';

/** Asks a server how it is. */
export async function askServer(socketFolder: string): Promise<Answer> {
  try {
    const rows = await queryServer<{ mark: string | null }>(
      connectionTo(socketFolder, 'postgres'),
      "select current_setting('penstock.mark', true) as mark",
    );
    return { state: 'ready', mark: rows[0]?.mark ?? null };
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    return code === CANNOT_CONNECT_NOW ? { state: 'busy' } : { state: 'silent', reason: message };
  }
}

/** Creates our database when it is not there: a start may have been interrupted right before. */
export async function ensureDatabase(socketFolder: string): Promise<void> {
  const connection = connectionTo(socketFolder, 'postgres');
  const rows = await queryServer(connection, `select from pg_database where datname = '${NAME}'`);
  if (rows.length === 0) await queryServer(connection, `create database ${NAME}`);
}

async function queryServer<Row extends object>(connection: ServerConnection, text: string): Promise<Row[]> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 5_000, query_timeout: 60_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
