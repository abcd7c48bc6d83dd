import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import type { PenstockError } from '../../src/errors.ts';
import { findPackage } from '../../src/store/engine/binaries.ts';
import {
  connectionOfRunning,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
  stopLeftOver,
} from '../../src/store/engine/embedded-postgres.ts';
import { isAlive, parsePostmasterFile } from '../../src/store/engine/postmaster-file.ts';
import { serverArguments, serverMark } from '../../src/store/engine/settings.ts';
import { chooseUser, mayEnter, parsePasswd, runAs } from '../../src/store/engine/system-user.ts';
import { onCleanup } from '../support/cleanup.ts';
import { tempFolder } from '../support/folder.ts';
import { type Running, startProgram, startScript } from '../support/process.ts';

const HOLDER = 'test/support/engine-holder.ts';
const isRoot = process.getuid?.() === 0;

async function start(
  dataDir: string,
  options: Partial<EmbeddedPostgresOptions> = {},
): Promise<EmbeddedPostgres> {
  const engine = await startEmbeddedPostgres({ dataDir, ...options });
  onCleanup(() => engine.stop());
  return engine;
}

let used: Promise<string> | undefined;

/** A data directory as an earlier start left it. Making a database takes longer than most of these tests. */
async function usedFolder(): Promise<string> {
  used ??= (async () => {
    const dataDir = await tempFolder();
    await (await start(dataDir)).stop();
    return dataDir;
  })();
  const copy = await tempFolder();
  // Path and all: a name without the dot would be copied as a folder into the other.
  execFileSync('cp', ['-a', `${await used}/.`, copy]);
  // The lock has a name of its own for each directory.
  await rm(join(copy, 'lock-name'));
  return copy;
}

async function failure(work: Promise<unknown>): Promise<PenstockError> {
  return work.then(
    () => {
      throw new Error('It was expected to fail.');
    },
    (error: PenstockError) => error,
  );
}

async function ask<Row extends object>(url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

async function serverPid(engine: { folder: string }): Promise<number> {
  const text = await readFile(join(engine.folder, 'pgdata', 'postmaster.pid'), 'utf8');
  return parsePostmasterFile(text)?.pid ?? 0;
}

/** Another process that holds the engine, and its URL. */
async function startHolder(dataDir: string): Promise<{ holder: Running; url: string; pid: number }> {
  // Settings of a PostgreSQL client around us must reach neither initdb nor the server.
  const env = {
    PGPORT: '1',
    PGDATA: '/nowhere',
    PGUSER: 'nobody',
    PGOPTIONS: '-c wrong=1',
    PGSSLMODE: 'require',
  };
  const holder = startScript(HOLDER, [dataDir], { env });
  const url = (await holder.waitForLine(/^ready (.*)/))[1] ?? '';
  return { holder, url, pid: await serverPid({ folder: join(dataDir, 'engine') }) };
}

describe('embedded database', () => {
  it('starts, keeps rows over a restart, and leaves nothing behind when stopped', async () => {
    const dataDir = join(await tempFolder(), 'data');
    const first = await start(dataDir);
    expect(first.adopted).toBe(false);
    await ask(first.url, 'create table kept (word text)');
    await ask(first.url, 'insert into kept values ($1)', ['bréve ✉']);
    const pid = await serverPid(first);
    await first.stop();
    await first.stop();
    expect(await isAlive(pid)).toBe(false);
    expect(existsSync(first.connection.host)).toBe(false);

    const second = await start(dataDir);
    expect(second.adopted).toBe(false);
    expect(await ask(second.url, 'select word from kept')).toEqual([{ word: 'bréve ✉' }]);
  });

  it('is durable, private and the same on every machine', async () => {
    const engine = await start(await usedFolder());
    const [settings] = await ask(
      engine.url,
      `select current_setting('fsync') fsync, current_setting('full_page_writes') full_page_writes,
        current_setting('synchronous_commit') synchronous_commit, current_setting('data_checksums') checksums,
        current_setting('listen_addresses') addresses, current_setting('server_encoding') encoding,
        current_setting('timezone') timezone, lower('ÀΣ') lowered, 'a' < 'B' as by_language,
        (select datctype from pg_database where datname = current_database()) letters`,
    );
    expect(settings).toEqual({
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      checksums: 'on',
      addresses: '',
      encoding: 'UTF8',
      timezone: 'UTC',
      lowered: 'àσ',
      by_language: false,
      letters: 'C.UTF-8',
    });
    expect((await stat(engine.connection.host)).mode & 0o077).toBe(0);
    expect((await stat(join(engine.folder, 'pgdata'))).mode & 0o077).toBe(0);
    // The process group of a terminal's Ctrl-C is not the server's.
    const status = await readFile(`/proc/${await serverPid(engine)}/stat`, 'latin1');
    const group = Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[2]);
    expect(group).toBe(await serverPid(engine));
  });

  it('lets in nobody but the user who runs Penstock', async () => {
    const engine = await start(await usedFolder());
    const error = await failure(ask(engine.url.replace('penstock@', 'postgres@'), 'select 1'));
    expect(error.message).toContain('pg_hba.conf');
  });

  it('is stopped while clients are connected', async () => {
    const engine = await start(await usedFolder());
    const client = new pg.Client(engine.url);
    const lost = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    const pid = await serverPid(engine);
    await engine.stop();
    expect(await isAlive(pid)).toBe(false);
    expect(String(await lost)).toMatch(/terminating connection|terminated/);
    await client.end().catch(() => undefined);
    // SIGQUIT would have left a recovery for the next start.
    const log = await readFile(join(engine.folder, 'server.log'), 'utf8');
    expect(log).toContain('received fast shutdown request');
    expect(log).not.toContain('immediate shutdown');
  });

  it('is adopted with its rows after the process that started it was killed', async () => {
    const dataDir = await usedFolder();
    const { holder, url, pid } = await startHolder(dataDir);
    await ask(url, 'create table kept as select 1 as n');
    await holder.kill();
    expect(await isAlive(pid)).toBe(true);

    const engine = await start(dataDir);
    expect(engine.adopted).toBe(true);
    expect(engine.url).toBe(url);
    expect(await serverPid(engine)).toBe(pid);
    expect(await ask(engine.url, 'select n from kept')).toEqual([{ n: 1 }]);
    await engine.stop();
    expect(await isAlive(pid)).toBe(false);
    expect(existsSync(engine.connection.host)).toBe(false);
  });

  it('loses no committed row when both processes are killed', async () => {
    const dataDir = await usedFolder();
    const { holder, url, pid } = await startHolder(dataDir);
    await ask(url, 'create table kept as select 1 as n');
    await holder.kill();
    process.kill(pid, 'SIGKILL');

    const engine = await start(dataDir);
    expect(engine.adopted).toBe(false);
    expect(await ask(engine.url, 'select n from kept')).toEqual([{ n: 1 }]);
    expect(existsSync(new URL(url).searchParams.get('host') ?? '')).toBe(false);
  });

  it('is replaced, not adopted, when it was started with other settings', async () => {
    const dataDir = await usedFolder();
    const { holder, pid } = await startHolder(dataDir);
    await holder.kill();
    const engine = await start(dataDir, { settings: { max_connections: '50' } });
    expect(engine.adopted).toBe(false);
    expect(await isAlive(pid)).toBe(false);
    expect(await ask(engine.url, 'show max_connections')).toEqual([{ max_connections: '50' }]);
  });

  it('can be stopped without being used, when it was left over', async () => {
    const dataDir = await usedFolder();
    const { holder, pid } = await startHolder(dataDir);
    expect((await failure(stopLeftOver(dataDir))).code).toBe('data_directory_in_use');
    await holder.kill();
    expect(await stopLeftOver(dataDir)).toBe(true);
    expect(await isAlive(pid)).toBe(false);
    expect(await stopLeftOver(dataDir)).toBe(false);
  });

  it('refuses a second process, and names the first', async () => {
    const dataDir = await usedFolder();
    const { holder } = await startHolder(dataDir);
    const error = await failure(startEmbeddedPostgres({ dataDir }));
    expect(error.code).toBe('data_directory_in_use');
    expect(error.fields.pid).toBe(String(holder.pid));
  });

  it('can be reached by another process while the first runs, and only then', async () => {
    const dataDir = await tempFolder();
    expect(await connectionOfRunning(join(dataDir, 'missing'))).toBeNull();
    expect(await connectionOfRunning(dataDir)).toBeNull();
    expect(await readdir(dataDir)).toEqual([]);
    const ran = await usedFolder();
    const { holder, pid } = await startHolder(ran);
    const connection = await connectionOfRunning(ran);
    const client = new pg.Client(connection ?? {});
    await client.connect();
    expect((await client.query('select current_database() as name')).rows).toEqual([{ name: 'penstock' }]);
    await client.end();
    await holder.kill();
    // The server is still there, but nobody's.
    expect(await isAlive(pid)).toBe(true);
    expect(await connectionOfRunning(ran)).toBeNull();
  });

  it('has one winner when two start at once on a new directory', async () => {
    const dataDir = await tempFolder();
    const both = [1, 2].map(() => startScript(HOLDER, [dataDir]));
    const lines = await Promise.all(both.map((each) => each.waitForLine(/^(ready|failed \w+)/)));
    expect(lines.map((line) => line[1]).sort()).toEqual(['failed data_directory_in_use', 'ready']);
  });

  it('starts although postmaster.pid names a process that is somebody else', async () => {
    const dataDir = await usedFolder();
    const first = await start(dataDir);
    await ask(first.url, 'create table kept as select 1 as n');
    const file = join(first.folder, 'pgdata', 'postmaster.pid');
    const text = await readFile(file, 'utf8');
    process.kill(await serverPid(first), 'SIGKILL');
    await first.stop();

    // The same user as the server: PostgreSQL itself would take this process for a live server.
    const user = await chooseUser((await stat(join(first.folder, 'pgdata'))).uid);
    const stranger = startProgram('sleep', ['1000'], { ...runAs(user), cwd: '/' });
    await writeFile(file, text.replace(/^\d+/, String(stranger.pid)));

    const second = await start(dataDir);
    expect(second.adopted).toBe(false);
    expect(await ask(second.url, 'select n from kept')).toEqual([{ n: 1 }]);
    expect(stranger.hasEnded).toBe(false);
  });

  it('is started again under the same address when the server is killed', async () => {
    const logged: string[] = [];
    const logger = { info: () => {}, warn: (_fields: object, text: string) => void logged.push(text) };
    const engine = await start(await usedFolder(), { logger });
    await ask(engine.url, 'create table kept as select 1 as n');
    const pid = await serverPid(engine);
    process.kill(pid, 'SIGKILL');
    await expect
      .poll(() => ask(engine.url, 'select n from kept').catch(() => 'down'), {
        timeout: 20_000,
        interval: 100,
      })
      .toEqual([{ n: 1 }]);
    expect(await serverPid(engine)).not.toBe(pid);
    expect(logged).toEqual(['database server died']);
  });

  it('says so once when the server died and cannot be started again', async () => {
    const failures: PenstockError[] = [];
    const engine = await start(await usedFolder(), { onFailure: (error) => void failures.push(error) });
    const pid = await serverPid(engine);
    const pgdata = join(engine.folder, 'pgdata');
    await rename(join(pgdata, 'global'), join(pgdata, 'global.away'));
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => failures.length, { timeout: 20_000 }).toBe(1);
    expect(failures[0]?.code).toBe('engine_failed');
    expect(failures[0]?.message).toMatch(/global/);
    await engine.stop();
  });

  it('makes the links that npm leaves out with --ignore-scripts', async () => {
    const folder = await tempFolder();
    const { native, version } = await findPackage();
    const bare = join(folder, 'package', 'native');
    await cp(native, bare, { recursive: true, verbatimSymlinks: true });
    for (const entry of await readdir(join(bare, 'lib'), { withFileTypes: true })) {
      if (entry.isSymbolicLink()) await rm(join(bare, 'lib', entry.name));
    }
    // And as a strict umask unpacks it.
    await chmod(bare, 0o700);
    const source = { native: bare, version };
    const dataDir = await usedFolder();
    const engine = await start(dataDir, { source });
    expect(await ask(engine.url, 'select 1 as n')).toEqual([{ n: 1 }]);
    expect(await readdir(engine.folder)).toContain(`native-${version}`);
    await engine.stop();
    // The copy is used again, and the package was not touched.
    const again = await start(dataDir, { source });
    expect(await ask(again.url, 'select 1 as n')).toEqual([{ n: 1 }]);
    expect((await readdir(join(bare, 'lib'), { withFileTypes: true })).some((e) => e.isSymbolicLink())).toBe(
      false,
    );
  });

  it('copies its programs out of a path that initdb would hand to a shell', async () => {
    const folder = await tempFolder();
    const { native, version } = await findPackage();
    const odd = join(folder, '$(touch harm)', 'native');
    await mkdir(dirname(odd));
    await symlink(native, odd);
    const engine = await start(join(folder, 'data'), { source: { native: odd, version } });
    expect(await ask(engine.url, 'select 1 as n')).toEqual([{ n: 1 }]);
    expect((await lstat(join(engine.folder, `native-${version}`))).isDirectory()).toBe(true);

    const error = await failure(
      startEmbeddedPostgres({ dataDir: join(folder, 'a "b"'), source: { native: odd, version } }),
    );
    expect(error.code).toBe('engine_failed');
    expect(error.message).toContain('initdb');
  });

  it.each([
    ['spaces and letters beyond ASCII', 'Données de Zoë, déjà vu ✉'],
    ['a path longer than a socket may have', join('d'.repeat(100), 'e'.repeat(100), 'data')],
  ])('lives below %s', async (_what, name) => {
    const dataDir = join(await tempFolder(), name);
    onCleanup(() => stopLeftOver(dataDir));
    const engine = await start(dataDir);
    expect(await ask(engine.url, 'select 1 as n')).toEqual([{ n: 1 }]);
    await engine.stop();
  });

  it('starts over when making the database was interrupted', async () => {
    const dataDir = await tempFolder();
    await mkdir(join(dataDir, 'engine', 'pgdata.draft', 'base'), { recursive: true });
    await writeFile(join(dataDir, 'engine', 'pgdata.draft', 'PG_VERSION'), '18\n');
    const engine = await start(dataDir);
    expect(await ask(engine.url, 'select 1 as n')).toEqual([{ n: 1 }]);
  });

  it('refuses the files of another major version, and says what to do', async () => {
    const dataDir = await usedFolder();
    const version = join(dataDir, 'engine', 'pgdata', 'PG_VERSION');
    await writeFile(version, '16\n');
    const error = await failure(startEmbeddedPostgres({ dataDir }));
    expect(error.code).toBe('engine_failed');
    expect(error.message).toContain('PostgreSQL 16');
    expect(error.message).toContain('DATABASE_URL');
    // The lock is free again.
    await writeFile(version, '18\n');
    await start(dataDir);
  });

  it('says what the server said when it does not start', async () => {
    const error = await failure(
      startEmbeddedPostgres({ dataDir: await usedFolder(), settings: { shared_buffers: 'lots' } }),
    );
    expect(error.code).toBe('engine_failed');
    expect(error.message).toContain('shared_buffers');
  });

  it('moves outside, and stays there, when its user cannot enter the data directory', async () => {
    const closed = await tempFolder();
    const dataDir = join(closed, 'data');
    await chmod(closed, 0o700);
    const warned: object[] = [];
    const logger = { info: () => {}, warn: (fields: object) => void warned.push(fields) };
    const engine = await start(dataDir, { logger });
    await ask(engine.url, 'create table kept as select 1 as n');
    await engine.stop();
    if (!isRoot) {
      // Whoever starts it as themselves can enter their own folder.
      expect(engine.folder).toBe(join(dataDir, 'engine'));
      return;
    }
    onCleanup(() => rm(engine.folder, { recursive: true }));
    expect(engine.folder).toMatch(/^\/var\/lib\/penstock\/data-/);
    expect(warned).toEqual([{ folder: engine.folder, user: expect.any(String) }]);

    // Opening the folder later does not start an empty database beside it.
    await chmod(closed, 0o711);
    const again = await start(dataDir);
    expect(again.folder).toBe(engine.folder);
    expect(await ask(again.url, 'select n from kept')).toEqual([{ n: 1 }]);
    await again.stop();

    // A new directory of the same name does not take over the database of the one that was removed.
    await rm(dataDir, { recursive: true });
    await chmod(closed, 0o700);
    const error = await failure(startEmbeddedPostgres({ dataDir }));
    expect(error.message).toContain(basename(engine.folder));
  });

  it('leaves the owner and group bits of a shared data directory alone', async () => {
    const dataDir = await usedFolder();
    await chmod(dataDir, 0o755);
    await start(dataDir);
    expect((await stat(dataDir)).mode & 0o777).toBe(0o755);
    if (!isRoot) return;
    // Private to root: the server's group may pass, not list.
    const own = await usedFolder();
    await chmod(own, 0o700);
    await chown(own, 0, 0);
    const engine = await start(own);
    expect(engine.folder).toBe(join(own, 'engine'));
    expect((await stat(own)).mode & 0o777).toBe(0o710);
  });
});

describe('its parts', () => {
  it('quote the socket folder, which is an item of a list', () => {
    const files = { pgdata: '/d', hbaFile: '/h', identFile: '/i', socketFolder: '/tmp/a, b' };
    expect(serverArguments(files, {}, 'm')).toContain('unix_socket_directories="/tmp/a, b"');
  });

  it('let extra settings win over ours, and not over the paths', () => {
    const files = { pgdata: '/d', hbaFile: '/h', identFile: '/i', socketFolder: '/s' };
    const args = serverArguments(files, { jit: 'on', hba_file: '/else' }, 'm');
    expect(args).toContain('jit=on');
    expect(args).not.toContain('jit=off');
    expect(args).toContain('hba_file=/h');
  });

  it('know a server of other settings or another version', () => {
    expect(serverMark('18.4', { a: '1', b: '2' })).toBe(serverMark('18.4', { b: '2', a: '1' }));
    expect(serverMark('18.4', { a: '1' })).not.toBe(serverMark('18.4', { a: '2' }));
    expect(serverMark('18.4', {})).not.toBe(serverMark('18.5', {}));
  });

  it.each([
    ['123\n/d\n1700000000\n5432\n/tmp/s\n\n 1 2\nready   \n', { pid: 123, socketFolder: '/tmp/s' }],
    ['123\n/d\n', { pid: 123, socketFolder: '' }],
    ['-1\n/d\n', undefined],
    ['0\n', undefined],
    ['not a number', undefined],
    ['', undefined],
  ])('read postmaster.pid %j', (text, expected) => {
    expect(parsePostmasterFile(text)).toEqual(expected);
  });

  it('read users and skip damaged lines', () => {
    const text = 'root:x:0:0:root:/root:/bin/sh\n\nbroken\nnobody:x:65534:65534::/:/none\nodd:x:a:b::/:\n';
    expect(parsePasswd(text)).toEqual([
      { name: 'root', uid: 0, gid: 0 },
      { name: 'nobody', uid: 65534, gid: 65534 },
    ]);
  });

  it.each([
    [{ mode: 0o711, uid: 0, gid: 0 }, true],
    [{ mode: 0o700, uid: 0, gid: 0 }, false],
    [{ mode: 0o710, uid: 0, gid: 7 }, true],
    [{ mode: 0o701, uid: 0, gid: 7 }, false],
    [{ mode: 0o077, uid: 5, gid: 7 }, false],
    [{ mode: 0o100, uid: 5, gid: 0 }, true],
  ])('see whether user 5 of group 7 may enter %j', (folder, expected) => {
    expect(mayEnter(folder, { name: 'x', uid: 5, gid: 7 })).toBe(expected);
  });

  it('never take process 0 or below for a server', async () => {
    // kill(0) is the whole process group of the caller.
    expect(await isAlive(0)).toBe(false);
    expect(await isAlive(-1)).toBe(false);
    expect(await isAlive(process.pid)).toBe(true);
  });
});
