/** Makes the database directory, whole or not at all. */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { syncFolder } from '../../sync-folder.ts';
import type { Binaries } from './binaries.ts';
import type { Place } from './place.ts';
import { HBA_TEXT, identText, initArguments } from './settings.ts';
import { runAs } from './system-user.ts';

const run = promisify(execFile);

/** What the server's programs see: nothing of ours (PGPORT and the like would change their settings). */
export const SERVER_ENVIRONMENT = {
  PATH: process.env.PATH ?? '/usr/bin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
  // A batch of mail is one parameter of a megabyte or more. By itself glibc gives such memory back to the system after
  // each statement, and the next one pays for every page again: a fifth of what the server did (mallopt(3)).
  MALLOC_MMAP_THRESHOLD_: String(8 * 1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(16 * 1024 * 1024),
};

/**
 * Fails with `engine_failed` when the directory belongs to another major version of PostgreSQL, whose files this
 * one cannot read. Returns false when there is no database yet.
 */
export async function checkDatabase(pgdata: string, major: number): Promise<boolean> {
  let text: string;
  try {
    text = await readFile(join(pgdata, 'PG_VERSION'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw fail('engine_failed', `The database in ${pgdata} cannot be read.`, { folder: pgdata }, error);
  }
  const found = Number.parseInt(text, 10);
  if (found === major) return true;
  throw fail(
    'engine_failed',
    `The database in ${pgdata} was made by PostgreSQL ${found} and this Penstock brings ${major}. ` +
      `Export it with the Penstock that made it, or serve it with PostgreSQL ${found} and set DATABASE_URL.`,
    { folder: pgdata, found, wanted: major },
  );
}

/** Runs initdb in a folder aside and renames it when it is complete and on disk. Fails with `engine_failed`. */
export async function makeDatabase(place: Place, binaries: Binaries): Promise<void> {
  const draft = `${place.pgdata}.draft`;
  await rm(draft, { recursive: true, force: true });
  // An empty folder may stand where the database goes; anything else makes the rename below fail.
  await mkdir(draft, { mode: 0o700 });
  const { uid, gid } = runAs(place.user);
  if (uid !== undefined && gid !== undefined) await chown(draft, uid, gid);
  try {
    await run(binaries.initdb, initArguments(draft), {
      ...runAs(place.user),
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      timeout: LIMITS.engineInitMs,
      killSignal: 'SIGKILL',
    });
    await rename(draft, place.pgdata);
    await syncFolder(place.folder);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const reason = stderr?.trim().split('\n').slice(-3).join(' ') || message;
    throw fail('engine_failed', `The database could not be made in ${place.folder}: ${reason}`, {}, error);
  }
}

/** Writes who may connect. Outside the database directory, which the server's user could rearrange under root. */
export async function writeAccessFiles(place: Place): Promise<{ hbaFile: string; identFile: string }> {
  const hbaFile = join(place.folder, 'pg_hba.conf');
  const identFile = join(place.folder, 'pg_ident.conf');
  const caller = process.getuid?.() === 0 ? 'root' : place.user.name;
  for (const [file, text] of [
    [hbaFile, HBA_TEXT],
    [identFile, identText(caller)],
  ] as const) {
    await writeFile(file, text);
    await chmod(file, 0o644);
  }
  return { hbaFile, identFile };
}
