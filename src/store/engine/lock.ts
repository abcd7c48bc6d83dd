/**
 * A lock on a data directory that dies with the process that holds it, however it ends: an abstract unix socket
 * (unix(7)), which the kernel removes with its owner and which leaves no file to go stale.
 */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../../errors.ts';

export interface DirectoryLock {
  release(): void;
}

/**
 * Takes the lock of a directory that exists. A holder that was just killed needs a moment to vanish, so this
 * waits up to `waitMs`, then fails with `data_directory_in_use` and, when it answers, the holder's process id.
 */
export async function lockDirectory(directory: string, waitMs = 2_000): Promise<DirectoryLock> {
  const name = await lockName(directory);
  const deadline = performance.now() + waitMs;
  for (;;) {
    const lock = await tryListen(name);
    if (lock) return lock;
    if (performance.now() > deadline) {
      const pid = (await askHolder(name))?.pid;
      const who = pid ? `process ${pid}` : 'another process';
      throw fail('data_directory_in_use', `The data directory ${directory} is used by ${who}.`, {
        directory,
        pid,
      });
    }
    await sleep(50);
  }
}

export interface Holder {
  /** Its process id, in digits. */
  pid?: string;
}

/** Who holds the lock of a directory. Changes nothing, and never stands in the way of a process that wants it. */
export async function holderOf(directory: string): Promise<Holder | undefined> {
  const file = join(directory, SECRET_FILE);
  return existsSync(file) ? askHolder(await nameFrom(directory, file)) : undefined;
}

const SECRET_FILE = 'lock-name';

async function lockName(directory: string): Promise<string> {
  const file = join(directory, SECRET_FILE);
  if (!existsSync(file)) {
    // Written aside and linked, so that nobody reads half of it and two starts agree on one.
    const draft = `${file}.${randomUUID()}`;
    await writeFile(draft, randomUUID(), { mode: 0o600 });
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await rm(draft);
  }
  return nameFrom(directory, file);
}

/**
 * The name has a secret part, kept in the directory, so that other users of the machine cannot occupy it; and
 * the directory's identity, so that a copy of the directory is another lock.
 */
async function nameFrom(directory: string, file: string): Promise<string> {
  const { dev, ino } = await stat(directory);
  const secret = await readFile(file, 'utf8');
  const digest = createHash('sha256').update(`${dev}:${ino}:${secret}`).digest('hex');
  return `\0penstock-${digest}`;
}

function tryListen(name: string): Promise<DirectoryLock | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(String(process.pid));
    });
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => {
      server.unref();
      resolve({ release: () => void server.close() });
    });
  });
}

/** Undefined when nobody holds the lock. A holder that is too busy to answer has no `pid`. */
function askHolder(name: string): Promise<Holder | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    let isHeld = false;
    const socket = connect(name, () => {
      isHeld = true;
    });
    socket.setTimeout(500, () => socket.destroy());
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      answer = (answer + text).slice(0, 20);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (!isHeld) resolve(undefined);
      else resolve(/^\d+$/.test(answer) ? { pid: answer } : {});
    });
  });
}
