/**
 * One PostgreSQL server for a whole test run, the embedded one, with a migrated template database. It starts when
 * the first test asks for it, so that tests of pure code need no database and no second.
 */
import { chmod, mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/engine/embedded-postgres.ts';
import { migrate } from '../../src/store/migrate.ts';
import { removeFolder } from './folder-removal.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The socket on which test files ask for the server's URL. */
    databaseServer: string;
  }
}

export const TEMPLATE = 'penstock_template';

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-run-'));
  await chmod(folder, 0o711);
  let starting: Promise<EmbeddedPostgres> | undefined;

  const door = createServer((socket) => {
    socket.on('error', () => {});
    starting ??= startServer(join(folder, 'data'));
    starting.then(
      (server) => socket.end(JSON.stringify({ url: server.url })),
      (error: Error) => socket.end(JSON.stringify({ error: error.stack })),
    );
  });
  const path = join(folder, 'door');
  await new Promise<void>((resolve) => door.listen(path, resolve));
  project.provide('databaseServer', path);

  return async () => {
    door.close();
    await (await starting?.catch(() => undefined))?.stop();
    await removeFolder(folder);
  };
}

async function startServer(dataDir: string): Promise<EmbeddedPostgres> {
  // Nothing in it is worth a wait for the disk; tests of durability start their own.
  const settings = { fsync: 'off', full_page_writes: 'off', max_connections: '300' };
  const server = await startEmbeddedPostgres({ dataDir, settings });
  const admin = new pg.Client(server.connection);
  await admin.connect();
  await admin.query(`create database ${TEMPLATE}`);
  const pool = new pg.Pool({ ...server.connection, database: TEMPLATE, max: 1 });
  await migrate(pool);
  await pool.end();
  await admin.query(`alter database ${TEMPLATE} with is_template true allow_connections false`);
  await admin.end();
  return server;
}
