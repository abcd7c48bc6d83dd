/** A PostgreSQL server from the system's package, on TCP with a password, as docker-compose.yml has it. */
import { existsSync } from 'node:fs';
import { chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { chooseUser, runAs } from '../../src/store/engine/system-user.ts';
import { tempFolder } from './folder.ts';
import { freePort } from './port.ts';
import { type Running, startProgram } from './process.ts';

const PASSWORD = 'test-only';

export interface DebianPostgres {
  /** Of an empty database `penstock`. */
  url: string;
  port: number;
  /** Starts it again, on the same port with the same data. */
  start(): Promise<void>;
  /** Stops it orderly, whoever is connected. */
  stop(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
}

export async function startDebianPostgres(): Promise<DebianPostgres> {
  const bin = await findBinaries();
  const user = await chooseUser(undefined);
  const folder = await tempFolder('postgres');
  const data = join(folder, 'pgdata');
  const passwordFile = join(folder, 'password');
  await mkdir(data, { mode: 0o700 });
  await writeFile(passwordFile, PASSWORD, { mode: 0o600 });
  if (process.getuid?.() === 0) {
    await chown(data, user.uid, user.gid);
    await chown(passwordFile, user.uid, user.gid);
  }
  const init = startProgram(
    join(bin, 'initdb'),
    [
      '-D',
      data,
      '-U',
      'penstock',
      '-E',
      'UTF8',
      '--locale=C.UTF-8',
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
    ],
    { ...runAs(user), cwd: '/' },
  );
  if ((await init.ended).code !== 0) throw new Error(`initdb failed:\n${init.output}`);

  const port = await freePort();
  const url = `postgres://penstock:${PASSWORD}@127.0.0.1:${port}/penstock`;
  let server: Running;
  const start = async (): Promise<void> => {
    const settings = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', 'fsync=off'];
    const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
    server = startProgram(join(bin, 'postgres'), args, { ...runAs(user), cwd: '/' });
    await server.waitForLine(/ready to accept connections/);
  };
  await start();
  await command(url.replace(/penstock$/, 'postgres'), 'create database penstock');
  return {
    url,
    port,
    start,
    stop: async () => void (await server.stop('SIGINT')),
    kill: async () => {
      await server.kill();
      // Its children notice by themselves; until then a new server refuses to start.
      await sleep(500);
    },
  };
}

async function command(url: string, text: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(text);
  await client.end();
}

/** Debian keeps each version below /usr/lib/postgresql; elsewhere the programs are in PATH. */
async function findBinaries(): Promise<string> {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? await readdir(debian) : [];
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a)).map((v) => join(debian, v, 'bin'));
  for (const bin of [...newestFirst, ...(process.env.PATH ?? '').split(delimiter)]) {
    if (existsSync(join(bin, 'postgres')) && existsSync(join(bin, 'initdb'))) return bin;
  }
  throw new Error('PostgreSQL is not installed: run node bin/setup.mjs --test');
}
