/** Which user of the machine the database server runs as, and what that user may enter. */
import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { fail } from '../../errors.ts';

export interface SystemUser {
  name: string;
  uid: number;
  gid: number;
}

/** PostgreSQL refuses to run as root; the first of these that the machine has is used instead. */
const CANDIDATES = ['penstock', 'postgres', 'nobody'];

/**
 * The user to run the server as: ourselves, or as root the owner of the existing database, else a candidate.
 * PostgreSQL needs a user with an entry in the password database. Fails with `engine_failed`.
 */
export async function chooseUser(databaseOwner: number | undefined): Promise<SystemUser> {
  const uid = process.getuid?.() ?? -1;
  if (uid !== 0) return ourselves();
  const users = parsePasswd(await readFile('/etc/passwd', 'utf8'));
  if (databaseOwner !== undefined) {
    const owner = users.find((user) => user.uid === databaseOwner && user.uid !== 0);
    if (owner) return owner;
    throw fail(
      'engine_failed',
      `The owner of the database (user ${databaseOwner}) is no user of this machine.`,
    );
  }
  for (const name of CANDIDATES) {
    const user = users.find((each) => each.name === name && each.uid !== 0);
    if (user) return user;
  }
  throw fail('engine_failed', `As root the database needs one of the users ${CANDIDATES.join(', ')}.`);
}

function ourselves(): SystemUser {
  try {
    const { username, uid, gid } = userInfo();
    return { name: username, uid, gid };
  } catch (error) {
    const uid = process.getuid?.();
    throw fail(
      'engine_failed',
      `User ${uid} has no entry in /etc/passwd, which the embedded database needs; set DATABASE_URL instead.`,
      { uid },
      error,
    );
  }
}

/** Reads passwd(5): name:password:uid:gid:comment:home:shell. */
export function parsePasswd(text: string): SystemUser[] {
  const users: SystemUser[] = [];
  for (const line of text.split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name && /^\d+$/.test(uid ?? '') && /^\d+$/.test(gid ?? '')) {
      users.push({ name, uid: Number(uid), gid: Number(gid) });
    }
  }
  return users;
}

/** The `uid` and `gid` to start a program with. Only root can choose, and only root needs to. */
export function runAs(user: SystemUser): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: user.uid, gid: user.gid } : {};
}

/** The first folder on the way down to `path`, itself included, that the user may not enter. */
export async function firstClosedFolder(path: string, user: SystemUser): Promise<string | undefined> {
  const way: string[] = [];
  for (let each = path; ; each = dirname(each)) {
    way.unshift(each);
    if (each === dirname(each)) break;
  }
  for (const folder of way) {
    if (!mayEnter(await stat(folder), user)) return folder;
  }
  return undefined;
}

/** Whether permission bits let the user search a folder (path_resolution(7)). */
export function mayEnter(folder: { mode: number; uid: number; gid: number }, user: SystemUser): boolean {
  if (user.uid === 0) return true;
  if (folder.uid === user.uid) return (folder.mode & 0o100) !== 0;
  if (folder.gid === user.gid) return (folder.mode & 0o010) !== 0;
  return (folder.mode & 0o001) !== 0;
}
