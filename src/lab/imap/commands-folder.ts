/** Commands that concern folders: LIST, STATUS, CREATE, DELETE, RENAME, SELECT, EXAMINE and their kin. */

import type { Folder, User } from '../mail-store.ts';
import { argumentItems, argumentText, type Command } from './command-parser.ts';
import { bad, type Connection, no, ok, type Reply } from './connection.ts';
import { decodeFolderName, encodeFolderName, matchesPattern, normalFolderName } from './folder-name.ts';

export const DELIMITER = '/';
const FLAGS = '\\Answered \\Flagged \\Deleted \\Seen \\Draft';

export async function list(connection: Connection, command: Command): Promise<Reply> {
  const struck = await connection.strike('list');
  if (struck) return struck;
  const args = [...command.args];
  // Selection options come first, in parentheses (RFC 5258); only SPECIAL-USE narrows anything here.
  const options = args[0]?.kind === 'list' ? argumentItems(args.shift()) : [];
  const onlySpecial = options.some((option) => argumentText(option)?.toUpperCase() === 'SPECIAL-USE');
  const reference = argumentText(args[0]);
  const pattern = argumentText(args[1]);
  if (reference === null || pattern === null) return bad('LIST needs a reference and a pattern');
  const answer = command.name === 'LSUB' ? 'LSUB' : 'LIST';
  if (pattern === '') {
    connection.output.line(`* ${answer} (\\Noselect) "${DELIMITER}" ""`);
    return ok(`${command.name} completed`);
  }
  const wanted = decodeFolderName(reference + pattern);
  for (const folder of folders(connection)) {
    const fits = matchesPattern(folder.path, wanted, DELIMITER) || isInbox(folder, wanted);
    if (!fits || (onlySpecial && !folder.specialUse)) continue;
    const attributes = folder.specialUse ? `\\HasNoChildren ${folder.specialUse}` : '\\HasNoChildren';
    connection.output.line(
      `* ${answer} (${attributes}) "${DELIMITER}" ${quote(encodeFolderName(folder.path))}`,
    );
  }
  return ok(`${command.name} completed`);
}

export async function status(connection: Connection, command: Command): Promise<Reply> {
  const struck = await connection.strike('status');
  if (struck) return struck;
  const folder = named(connection, command, 0);
  if (!folder) return no('[NONEXISTENT] No such folder');
  const values: string[] = [];
  for (const item of argumentItems(command.args[1])) {
    const name = (argumentText(item) ?? '').toUpperCase();
    const value = statusValue(folder, name);
    if (value === null) return bad(`Unknown status item ${name}`);
    values.push(`${name} ${value}`);
  }
  connection.output.line(`* STATUS ${quote(encodeFolderName(folder.path))} (${values.join(' ')})`);
  return ok('STATUS completed');
}

export async function create(connection: Connection, command: Command): Promise<Reply> {
  const struck = await connection.strike('create');
  if (struck) return struck;
  const path = folderName(command, 0);
  if (!path) return bad('CREATE needs a name');
  if (user(connection).folders.has(path)) return no('[ALREADYEXISTS] Folder exists');
  connection.store.createFolder(user(connection).name, path);
  return ok('CREATE completed');
}

export async function remove(connection: Connection, command: Command): Promise<Reply> {
  const path = folderName(command, 0);
  if (!path || path === 'INBOX') return no('Cannot delete this folder');
  const done = connection.store.deleteFolder(user(connection).name, path);
  return done ? ok('DELETE completed') : no('[NONEXISTENT] No such folder');
}

export async function rename(connection: Connection, command: Command): Promise<Reply> {
  const from = folderName(command, 0);
  const to = folderName(command, 1);
  if (!from || !to) return bad('RENAME needs two names');
  const done = connection.store.renameFolder(user(connection).name, from, to);
  return done ? ok('RENAME completed') : no('[NONEXISTENT] No such folder, or the new name is taken');
}

export async function select(connection: Connection, command: Command): Promise<Reply> {
  // A failed SELECT leaves no folder open (RFC 9051 section 6.3.2).
  connection.selected = null;
  const struck = await connection.strike('select');
  if (struck) return struck;
  const folder = named(connection, command, 0);
  if (!folder) return no('[NONEXISTENT] No such folder');
  const readOnly = command.name === 'EXAMINE';
  const { view } = connection.select(folder, readOnly);
  const { output } = connection;
  output.line(`* FLAGS (${FLAGS})`);
  output.line(`* OK [PERMANENTFLAGS (${readOnly ? '' : `${FLAGS} \\*`})] Flags`);
  output.line(`* ${view.length} EXISTS`);
  output.line('* 0 RECENT');
  output.line(`* OK [UIDVALIDITY ${folder.uidValidity}] UIDs valid`);
  output.line(`* OK [UIDNEXT ${folder.uidNext}] Next UID`);
  return ok(`[${readOnly ? 'READ-ONLY' : 'READ-WRITE'}] ${command.name} completed`);
}

/** The folder that an argument names, of the user who is logged in. */
export function named(connection: Connection, command: Command, index: number): Folder | undefined {
  const path = folderName(command, index);
  return path === null ? undefined : user(connection).folders.get(path);
}

export function folderName(command: Command, index: number): string | null {
  const text = argumentText(command.args[index]);
  return text === null ? null : normalFolderName(decodeFolderName(text));
}

function user(connection: Connection): User {
  // The session lets no folder command through before the login.
  return connection.user as User;
}

function folders(connection: Connection): Folder[] {
  return [...user(connection).folders.values()];
}

function isInbox(folder: Folder, wanted: string): boolean {
  return folder.path === 'INBOX' && wanted.toUpperCase() === 'INBOX';
}

function statusValue(folder: Folder, item: string): string | number | null {
  switch (item) {
    case 'MESSAGES':
      return folder.messages.length;
    case 'RECENT':
      return 0;
    case 'UIDNEXT':
      return folder.uidNext;
    case 'UIDVALIDITY':
      return folder.uidValidity;
    case 'UNSEEN':
      return folder.messages.filter((message) => !message.flags.has('\\Seen')).length;
    default:
      return null;
  }
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
