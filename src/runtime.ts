/**
 * The engines under everything: database, keys, raw messages. The daemon owns them; a command of the command
 * line borrows those of a running daemon, or starts them for its own time.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Config } from './config/settings.ts';
import type { PenstockError } from './errors.ts';
import { type LoginEvent, MailSources } from './mailbox-source.ts';
import type { QueueTarget } from './queue/queue.ts';
import { RawStore } from './raw/raw-store.ts';
import { SignIns } from './sign-in.ts';
import { type Connection, type Database, openDatabase, waitForDatabase } from './store/database.ts';
import {
  connectionOfRunning,
  type EngineLogger,
  startEmbeddedPostgres,
} from './store/engine/embedded-postgres.ts';
import { type Keyring, loadKeyring } from './store/keyring.ts';
import { migrate } from './store/migrate.ts';
import { countSecrets } from './store/secrets.ts';

export interface Runtime {
  config: Config;
  dataDirectory: string;
  connection: Connection;
  db: Database;
  keys: Keyring;
  keyFile: string;
  raw: RawStore;
  /** Makes the sources of mailboxes; all access tokens of this process come from it. */
  sources: MailSources;
  /** Signs people in for mailboxes. */
  signIns: SignIns;
  /** True when the database is our own embedded one. */
  embedded: boolean;
  /** True when the engines belong to another process that is running. */
  borrowed: boolean;
  queueTarget: QueueTarget;
  instanceId: string;
  close(): Promise<void>;
}

export interface RuntimeOptions {
  /** May use the engines of a daemon that runs on the same data directory. */
  borrow: boolean;
  logger?: EngineLogger;
  onError(error: Error): void;
  /** Told of each access token that was got or refused, and of each credential that is used or refused. */
  onLogin?(event: LoginEvent): void;
  /** Told when the embedded database died for good: nothing works any more. */
  onFailure?(error: PenstockError): void;
}

/** How long a database may take to answer: one that starts beside the daemon, and one that a person waits for. */
const DATABASE_START_MS = 60_000;
const DATABASE_ANSWER_MS = 5_000;

/** Opens the engines. Fails with `data_directory_in_use`, `engine_failed`, `database_unavailable`, `key_missing`. */
export async function openRuntime(config: Config, options: RuntimeOptions): Promise<Runtime> {
  const dataDirectory = resolve(config.data);
  // Only the last folder is private: as root the database runs as another user, who must pass through the others.
  await mkdir(dirname(dataDirectory), { recursive: true });
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const engine = await findEngine(config, dataDirectory, options);
  const connection = openDatabase(engine.target, {
    connections: config.database.connections,
    onError: options.onError,
  });
  try {
    await waitForDatabase(connection.pool, options.borrow ? DATABASE_ANSWER_MS : DATABASE_START_MS);
    await migrate(connection.pool);
    const keyFile = resolve(config.secrets.keyFile ?? join(dataDirectory, 'secret.key'));
    const keys = await loadKeyring(keyFile, (await countSecrets(connection.db)) === 0);
    const raw = new RawStore(connection.db, dataDirectory);
    await raw.start();
    const { id } = await connection.db.selectFrom('instance').select('id').executeTakeFirstOrThrow();
    const { redisUrl } = config.queue;
    const sources = new MailSources(connection.db, keys, options.onLogin);
    return {
      config,
      dataDirectory,
      connection,
      db: connection.db,
      keys,
      keyFile,
      raw,
      sources,
      signIns: new SignIns({ db: connection.db, keys, sources, publicUrl: config.server.publicUrl }),
      embedded: engine.embedded,
      borrowed: engine.borrowed,
      queueTarget: redisUrl === null ? { postgres: connection.settings } : { redisUrl },
      instanceId: id,
      async close() {
        await connection.close();
        await engine.stop();
      },
    };
  } catch (error) {
    await connection.close().catch(() => undefined);
    await engine.stop();
    throw error;
  }
}

interface Engine {
  target: string | { host: string; port: number; user: string; database: string };
  embedded: boolean;
  borrowed: boolean;
  stop(): Promise<void>;
}

async function findEngine(config: Config, dataDirectory: string, options: RuntimeOptions): Promise<Engine> {
  const none = async (): Promise<void> => undefined;
  if (config.database.url !== null)
    return { target: config.database.url, embedded: false, borrowed: false, stop: none };
  const running = options.borrow ? await connectionOfRunning(dataDirectory) : null;
  if (running !== null) return { target: running, embedded: true, borrowed: true, stop: none };
  const engine = await startEmbeddedPostgres({
    dataDir: dataDirectory,
    logger: options.logger,
    onFailure: options.onFailure,
  });
  return { target: engine.connection, embedded: true, borrowed: false, stop: () => engine.stop() };
}
