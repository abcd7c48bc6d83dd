/** One PostgreSQL server process: started or adopted, watched, started again when it dies, stopped. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Binaries } from './binaries.ts';
import { SERVER_ENVIRONMENT } from './init.ts';
import type { Place } from './place.ts';
import { findPostmaster, isAlive, type Postmaster } from './postmaster-file.ts';
import { serverArguments } from './settings.ts';
import { askServer, clearSocketFolder } from './socket.ts';
import { runAs } from './system-user.ts';

/** How the engine tells what it does. A pino logger is one. */
export interface EngineLogger {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
}

export interface ServerOptions {
  place: Place;
  binaries: Binaries;
  hbaFile: string;
  identFile: string;
  socketFolder: string;
  /** Settings on top of ours. */
  extra: Record<string, string>;
  mark: string;
  logger: EngineLogger;
  /** Called when the server died and could not be started again. */
  onFailure(error: PenstockError): void;
}

const POLL_MS = 20;
const WATCH_MS = 1_000;
const LOG_BYTES = 1024 * 1024;
/** Children of a killed server need a moment to notice; PostgreSQL refuses to start until they are gone. */
const STILL_IN_USE = /pre-existing shared memory block/;
const STILL_IN_USE_MS = 10_000;

export class Server {
  readonly #options: ServerOptions;
  #pid = 0;
  #stopping = false;
  #watch: NodeJS.Timeout | undefined;
  #recovery: Promise<void> = Promise.resolve();
  #deaths: number[] = [];

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Starts the server and waits until it answers. Fails with `engine_failed` and the server's last words. */
  async start(): Promise<void> {
    const giveUpAt = performance.now() + STILL_IN_USE_MS;
    for (;;) {
      const lastWords = await this.#startOnce();
      if (lastWords === undefined) break;
      if (!STILL_IN_USE.test(lastWords) || performance.now() > giveUpAt || this.#stopping) {
        throw fail('engine_failed', `PostgreSQL did not start: ${lastWords}`, { log: this.#logFile });
      }
      await sleep(200);
    }
    this.#startWatch();
  }

  /** Takes over a server that runs and answers. */
  adopt(postmaster: Postmaster): void {
    this.#pid = postmaster.pid;
    this.#startWatch();
  }

  /** Stops the server: orderly, then at once (which costs a recovery at the next start, and no data). */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#watch);
    await this.#recovery;
    await stopProcess(this.#pid);
  }

  get #logFile(): string {
    return join(this.#options.place.folder, 'server.log');
  }

  /** Undefined when the server runs; else why it ended. */
  async #startOnce(): Promise<string | undefined> {
    const { binaries, place, socketFolder, extra, mark } = this.#options;
    await clearSocketFolder(socketFolder);
    await findPostmaster(place.pgdata);
    const log = await openLog(this.#logFile);
    try {
      const from = (await log.stat()).size;
      const args = serverArguments({ ...this.#options, pgdata: place.pgdata }, extra, mark);
      const child = spawn(binaries.postgres, args, {
        ...runAs(place.user),
        cwd: '/',
        env: SERVER_ENVIRONMENT,
        stdio: ['ignore', log.fd, log.fd],
        // A session of its own: Ctrl-C in the terminal is for us, and we stop the server when all else is done.
        detached: true,
      });
      const spawned = await once(child, 'spawn').catch((error: Error) => error);
      if (spawned instanceof Error) return spawned.message;
      child.unref();
      this.#pid = child.pid ?? 0;
      if (await this.#answers()) return undefined;
      return await readTail(this.#logFile, from);
    } finally {
      await log.close();
    }
  }

  /** True when the server is ready, false when it has ended. Fails when it takes too long. */
  async #answers(): Promise<boolean> {
    const began = performance.now();
    for (;;) {
      const answer = await askServer(this.#options.socketFolder);
      if (answer.state === 'ready') return true;
      if (!(await isAlive(this.#pid))) return false;
      const limit = answer.state === 'busy' ? LIMITS.engineRecoveryMs : LIMITS.engineStartMs;
      if (performance.now() - began > limit || this.#stopping) {
        await stopProcess(this.#pid);
        const reason = answer.state === 'busy' ? 'it is still starting' : answer.reason;
        throw fail('engine_failed', `PostgreSQL did not become ready: ${reason}`, { log: this.#logFile });
      }
      await sleep(POLL_MS);
    }
  }

  #startWatch(): void {
    clearInterval(this.#watch);
    if (this.#stopping) return;
    let looking = false;
    this.#watch = setInterval(async () => {
      if (looking || this.#stopping) return;
      looking = true;
      if (!(await isAlive(this.#pid)) && !this.#stopping) {
        clearInterval(this.#watch);
        this.#recovery = this.#startAgain();
      }
      looking = false;
    }, WATCH_MS);
    this.#watch.unref();
  }

  /** Never rejects: a failure goes to `onFailure`. */
  async #startAgain(): Promise<void> {
    const now = performance.now();
    this.#deaths = this.#deaths.filter((at) => now - at < LIMITS.engineRestartWindowMs);
    this.#deaths.push(now);
    this.#options.logger.warn({ pid: this.#pid, deaths: this.#deaths.length }, 'database server died');
    try {
      if (this.#deaths.length > LIMITS.engineRestarts) {
        throw fail('engine_failed', 'PostgreSQL keeps dying; it is not started again.', {
          log: this.#logFile,
        });
      }
      await this.start();
      this.#options.logger.info({ pid: this.#pid }, 'database server started again');
    } catch (error) {
      if (!this.#stopping) this.#options.onFailure(error as PenstockError);
    }
  }
}

/**
 * Ends a server: SIGINT (disconnect clients, write everything, stop), then SIGQUIT (stop now, recover at the next
 * start), then SIGKILL. Not SIGTERM, which waits for clients to leave by themselves. See "Shutting Down the Server"
 * in PostgreSQL's manual.
 */
export async function stopProcess(pid: number): Promise<void> {
  for (const [signal, waitMs] of [
    ['SIGINT', LIMITS.engineStopMs],
    ['SIGQUIT', LIMITS.engineStopMs / 2],
    ['SIGKILL', LIMITS.engineStopMs / 2],
  ] as const) {
    if (!(await isAlive(pid))) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const deadline = performance.now() + waitMs;
    while (performance.now() < deadline) {
      if (!(await isAlive(pid))) return;
      await sleep(POLL_MS);
    }
  }
  throw fail('engine_failed', `PostgreSQL (process ${pid}) does not stop.`, { pid });
}

/** Opened for appending; the one before is kept when it has grown large. */
async function openLog(file: string): Promise<Awaited<ReturnType<typeof open>>> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_BYTES) await rename(file, `${file}.1`);
  return open(file, 'a', 0o600);
}

/** The last lines after `from`, where a server that ended says why. */
async function readTail(file: string, from: number): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const start = Math.max(from, size - 2_000);
    const { buffer } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    const text = buffer.toString('utf8').trim();
    return text.split('\n').slice(-4).join(' ') || 'it ended without a word';
  } finally {
    await handle.close();
  }
}
