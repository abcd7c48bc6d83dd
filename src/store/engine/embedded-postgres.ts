/**
 * The embedded database: a real PostgreSQL server of our own, on a private socket, kept in the data directory.
 * It outlives a process that is killed and is adopted by the next one.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asPenstockError, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { findPackage, type NativePackage, prepareBinaries } from './binaries.ts';
import { checkDatabase, makeDatabase, writeAccessFiles } from './init.ts';
import { type DirectoryLock, holderOf, lockDirectory } from './lock.ts';
import { findPlace, type Place, pgdataOf } from './place.ts';
import {
  findPostmaster,
  isAlive,
  type Postmaster,
  readPostmaster,
  removeSocketFolder,
} from './postmaster-file.ts';
import { type EngineLogger, Server, stopProcess } from './server.ts';
import { serverMark } from './settings.ts';
import {
  askServer,
  connectionTo,
  ensureDatabase,
  makeSocketFolder,
  type ServerConnection,
  urlOf,
} from './socket.ts';

export type { EngineLogger } from './server.ts';
export type { ServerConnection } from './socket.ts';

export interface EmbeddedPostgresOptions {
  /** Made when missing. The database goes into a folder below it, or as root where its user can enter. */
  dataDir: string;
  logger?: EngineLogger;
  /** Server settings on top of ours. */
  settings?: Record<string, string>;
  /** Called once when the server died and could not be started again; the process had better end. */
  onFailure?(error: PenstockError): void;
  /** Another copy of the binaries than the installed package. */
  source?: NativePackage;
}

export interface EmbeddedPostgres {
  /** For programs that take a URL, with the socket folder as `host` parameter. */
  url: string;
  connection: ServerConnection;
  /** True when the server was running already, left by a process that was killed. */
  adopted: boolean;
  /** Where the database and the server's log are. */
  folder: string;
  /** Disconnects every client and stops the server. Takes at most LIMITS.engineStopMs twice; calling twice is fine. */
  stop(): Promise<void>;
}

/** For those who do not want to hear. */
const SILENT: EngineLogger = { info() {}, warn() {} };

/**
 * Starts the database, makes it first when there is none. The database `penstock` exists afterwards; its schema is
 * the caller's business. Fails with `data_directory_in_use` or `engine_failed`.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir } = options;
  try {
    await mkdir(dirname(dataDir), { recursive: true });
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const lock = await lockDirectory(dataDir);
    try {
      return await startLocked(options, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  } catch (error) {
    throw asPenstockError(error, 'engine_failed');
  }
}

async function startLocked(options: EmbeddedPostgresOptions, lock: DirectoryLock): Promise<EmbeddedPostgres> {
  const { dataDir, logger = SILENT, settings = {}, onFailure = () => {} } = options;
  const source = options.source ?? (await findPackage());
  const place = await findPlace(dataDir);
  if (place.outside) {
    const fields = { folder: place.folder, user: place.user.name };
    logger.warn(fields, 'database is outside the data directory, which its user may not enter');
  }
  const mark = serverMark(source.version, settings);
  const left = await adoptable(place, mark, logger);
  const binaries = await prepareBinaries(source, place);
  if (!(await checkDatabase(place.pgdata, binaries.major))) {
    logger.info({ folder: place.folder, version: source.version }, 'database is being made');
    await makeDatabase(place, binaries);
  }
  const access = await writeAccessFiles(place);
  const socketFolder = left?.socketFolder ?? (await makeSocketFolder(place.user));
  const server = new Server({
    place,
    binaries,
    ...access,
    socketFolder,
    extra: settings,
    mark,
    logger,
    onFailure,
  });
  const stopServer = async (): Promise<void> => {
    await server.stop();
    await removeSocketFolder(socketFolder);
  };
  try {
    if (left) server.adopt(left);
    else await server.start();
    await ensureDatabase(socketFolder);
  } catch (error) {
    await stopServer();
    throw error;
  }
  const connection = connectionTo(socketFolder);
  let stopped: Promise<void> | undefined;
  return {
    url: urlOf(connection),
    connection,
    adopted: left !== undefined,
    folder: place.folder,
    stop: () => {
      stopped ??= stopServer().finally(() => lock.release());
      return stopped;
    },
  };
}

/**
 * How to reach the database of a Penstock that runs on this data directory; null when none does. One that is just
 * starting is given some time to have its database up.
 */
export async function connectionOfRunning(dataDir: string): Promise<ServerConnection | null> {
  const deadline = performance.now() + BORROW_WAIT_MS;
  while (existsSync(dataDir) && (await holderOf(dataDir))) {
    const postmaster = await readPostmaster(await pgdataOf(dataDir));
    if (postmaster?.socketFolder) {
      const answer = await askServer(postmaster.socketFolder);
      if (answer.state === 'ready') return connectionTo(postmaster.socketFolder);
    }
    if (performance.now() > deadline) return null;
    await sleep(100);
  }
  return null;
}

const BORROW_WAIT_MS = 10_000;

/**
 * Stops a server that a killed process left on this data directory; true when there was one.
 * Fails with `data_directory_in_use` when the process lives.
 */
export async function stopLeftOver(dataDir: string): Promise<boolean> {
  const lock = await lockDirectory(dataDir);
  try {
    const left = await findPostmaster((await findPlace(dataDir)).pgdata);
    if (!left) return false;
    if (left.alive) await stopProcess(left.pid);
    await removeSocketFolder(left.socketFolder);
    return left.alive;
  } finally {
    lock.release();
  }
}

/**
 * The server that a killed process left, when it is of this version and has these settings. Any other is stopped.
 * One that is starting or stopping is given time to be either.
 */
async function adoptable(place: Place, mark: string, logger: EngineLogger): Promise<Postmaster | undefined> {
  const deadline = performance.now() + LIMITS.engineStartMs;
  for (;;) {
    const left = await findPostmaster(place.pgdata);
    if (!left) return undefined;
    if (!left.alive) {
      await removeSocketFolder(left.socketFolder);
      return undefined;
    }
    const answer = left.socketFolder ? await askServer(left.socketFolder) : { state: 'busy' as const };
    if (answer.state === 'ready' && answer.mark === mark) {
      logger.info({ pid: left.pid }, 'database server of an earlier process adopted');
      return left;
    }
    if (answer.state === 'busy' && (await isAlive(left.pid)) && performance.now() < deadline) {
      await sleep(50);
      continue;
    }
    logger.info({ pid: left.pid }, 'database server of an earlier process is being stopped');
    await stopProcess(left.pid);
    await removeSocketFolder(left.socketFolder);
    return undefined;
  }
}
