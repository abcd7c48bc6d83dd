/**
 * Where the embedded database lives. Normally in `engine/` of the data directory. As root the server runs as
 * another user, and when that user cannot enter (a clone below /root, say) it is a folder below /var/lib, which
 * a small file in the data directory points to from then on.
 *
 *     engine/pgdata        the database, owned by the server's user
 *     engine/native-18.4   the binaries, when those of the package cannot be used where they are
 *     engine/*.conf, server.log
 */
import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fail } from '../../errors.ts';
import { chooseUser, firstClosedFolder, runAs, type SystemUser } from './system-user.ts';

export interface Place {
  /** Holds everything of the engine; ours, and the server's user may enter it. */
  folder: string;
  /** PGDATA. Exists when the database has been made. */
  pgdata: string;
  user: SystemUser;
  /** True when the folder is outside the data directory. */
  outside: boolean;
}

const OUTSIDE = '/var/lib/penstock';

/**
 * Finds the place of the engine of this data directory, or makes one.
 * Fails with `engine_failed` when an existing database can no longer be entered, rather than start an empty one.
 */
export async function findPlace(dataDir: string): Promise<Place> {
  const home = await realpath(dataDir);
  const before = await locationNoted(home);
  const folder = before ?? join(home, 'engine');
  const owner = await ownerOf(join(folder, 'pgdata'));
  const user = await chooseUser(owner);

  if (before === undefined) await letEnter(home, user);
  const closed = await firstClosedFolder(before === undefined ? home : dirname(folder), user);
  if (closed === undefined) return makePlace(folder, user, before !== undefined);
  if (owner !== undefined || before !== undefined) {
    throw fail('engine_failed', `User ${user.name} runs the database and cannot enter ${closed}.`, {
      folder: closed,
      user: user.name,
    });
  }

  const name = basename(home).replace(/[^\w-]/g, '') || 'data';
  const outside = join(OUTSIDE, `${name}-${createHash('sha256').update(home).digest('hex').slice(0, 12)}`);
  await mkdir(OUTSIDE, { recursive: true, mode: 0o755 });
  if ((await ownerOf(join(outside, 'pgdata'))) !== undefined) {
    // Its data directory was removed by hand. Starting on it would bring back what somebody meant to be gone.
    throw fail('engine_failed', `${outside} holds an earlier database of ${home}; move it away first.`, {
      folder: outside,
    });
  }
  const place = await makePlace(outside, user, true);
  await writeFile(join(home, POINTER), `${outside}\n`);
  return place;
}

/** Where an engine of this data directory has its database, if there is one. Changes nothing. */
export async function pgdataOf(dataDir: string): Promise<string> {
  const home = await realpath(dataDir);
  return join((await locationNoted(home)) ?? join(home, 'engine'), 'pgdata');
}

const POINTER = 'engine-location';

async function locationNoted(home: string): Promise<string | undefined> {
  return (await readIfThere(join(home, POINTER)))?.trim();
}

async function makePlace(folder: string, user: SystemUser, outside: boolean): Promise<Place> {
  await mkdir(folder, { recursive: true });
  // Explicit, because the umask of the person who starts us may be strict.
  await chmod(folder, process.getuid?.() === 0 ? 0o711 : 0o700);
  return { folder, pgdata: join(folder, 'pgdata'), user, outside };
}

/** Lets the server's group pass through our own private data directory, without letting it list it. */
async function letEnter(home: string, user: SystemUser): Promise<void> {
  const { gid } = runAs(user);
  if (gid === undefined) return;
  const { mode, uid, gid: group } = await stat(home);
  const isPrivate = (mode & 0o011) === 0 && uid === 0 && group === process.getgid?.();
  if (!isPrivate) return;
  await chown(home, -1, gid);
  await chmod(home, (mode & 0o707) | 0o010);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function ownerOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).uid;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
