/** What postmaster.pid says, and whether that server still lives. */
import { constants } from 'node:fs';
import { open, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../../errors.ts';

/** A server of our database. */
export interface Postmaster {
  pid: number;
  /** Empty while the server is still starting. */
  socketFolder: string;
}

/**
 * The server that runs on this database directory, or the last one that did. Undefined when it was stopped in
 * order. Call it only under the directory's lock.
 *
 * The file of a dead server stays, for PostgreSQL to see whether child processes of it still live. But its process
 * id may be somebody else's by now (in a container it often is), or a zombie's that nobody waits for, and PostgreSQL
 * takes both for a live server. So it is replaced by an id that cannot be.
 */
export async function findPostmaster(pgdata: string): Promise<(Postmaster & { alive: boolean }) | undefined> {
  const file = join(pgdata, FILE);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const found = text === undefined ? undefined : parsePostmasterFile(text);
  // An empty file is what a crash at the very moment of its creation leaves.
  if (text?.trim() === '') await rm(file, { force: true });
  if (text === undefined || found === undefined) return undefined;
  const alive = await isServerOf(found.pid, pgdata);
  if (!alive) await replaceProcessId(file, text);
  return { ...found, alive };
}

/** What the file says, true or not. For those who do not hold the lock: it changes nothing. */
export async function readPostmaster(pgdata: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(pgdata, FILE), 'utf8').catch(() => '');
  return parsePostmasterFile(text);
}

const FILE = 'postmaster.pid';
/** How long a killed server may take to go: it gives back its memory first. */
const DYING_MS = 5_000;
const DYING_LOOKS = 50;

/** Above the highest process id of 64-bit Linux (2^22). */
const NO_PROCESS = 2 ** 22 + 1;

async function replaceProcessId(file: string, text: string): Promise<void> {
  // The folder belongs to the server's user and we may be root: never follow a link that is planted there.
  const handle = await open(file, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    await handle.truncate();
    await handle.write(text.replace(/^.*/, String(NO_PROCESS)), 0);
  } finally {
    await handle.close();
  }
}

/** Lines: process id, data directory, start time, port, socket directory, address, shared memory, status. */
export function parsePostmasterFile(text: string): Postmaster | undefined {
  const lines = text.split('\n');
  const pid = Number(lines[0]?.trim());
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  return { pid, socketFolder: lines[4]?.trim() ?? '' };
}

/**
 * A server's working directory is its database. Where the kernel does not show that (root in a container may not
 * look), the command line decides. In doubt this fails: taking a live server for a dead one destroys data.
 */
async function isServerOf(pid: number, pgdata: string): Promise<boolean> {
  if (!(await isAlive(pid))) return false;
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(pgdata));
  } catch {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
    if (command?.split('\0').includes(pgdata)) return true;
    if (command && !command.includes('postgres')) return false;
    // A process that is just dying has neither any more, and is gone in a moment.
    for (let look = 0; look < DYING_LOOKS; look += 1) {
      if (!(await isAlive(pid))) return false;
      await sleep(DYING_MS / DYING_LOOKS);
    }
    throw fail(
      'engine_failed',
      `Process ${pid} may be a database server on ${pgdata}. Stop it, or if it is something else, remove postmaster.pid there.`,
      { pid, folder: pgdata },
    );
  }
}

/** A zombie counts as gone: it holds nothing any more and waits for its parent to look. */
export async function isAlive(pid: number): Promise<boolean> {
  // Zero and below would mean our own process group.
  if (pid <= 1) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: somebody else's, which the server of this database never is.
    return (error as NodeJS.ErrnoException).code === 'EPERM' && process.getuid?.() === 0;
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}

export const SOCKET_FOLDER_PREFIX = 'penstock-db-';

/** Removes a socket folder of ours, and nothing else that a damaged file may name. */
export async function removeSocketFolder(folder: string): Promise<void> {
  if (!basename(folder).startsWith(SOCKET_FOLDER_PREFIX) || dirname(folder) === '.') return;
  await rm(folder, { recursive: true, force: true });
}
