/** Commands that concern messages: FETCH, STORE, SEARCH, COPY, MOVE, EXPUNGE, APPEND. */

import { fixedContent, type StoredMessage } from '../mail-store.ts';
import { type Argument, argumentItems, argumentText, type Command } from './command-parser.ts';
import { folderName, named } from './commands-folder.ts';
import { bad, type Connection, no, ok, type Reply, type Selected } from './connection.ts';
import type { Phase } from './faults.ts';
import { answerFetch, type FetchItem } from './fetch-answer.ts';
import { parseBodyItem } from './message-sections.ts';
import { type Candidate, compileSearch } from './search.ts';
import { formatSequenceSet } from './sequence-set.ts';

const NOTHING_OPEN = bad('No folder is open');

export async function fetch(connection: Connection, command: Command): Promise<Reply> {
  const byUid = command.name.startsWith('UID');
  const prepared = await chosen(connection, command, 'fetch', byUid);
  if (!('candidates' in prepared)) return prepared;
  const items = parseItems(argumentItems(command.args[1]), byUid);
  if (!items) return bad('Unknown fetch item');
  const marks = items.some((item) => item.kind === 'body' && !item.body.peek);
  for (const candidate of prepared.candidates) {
    if (candidate.message.expunged) continue;
    if (marks && !prepared.selected.readOnly) candidate.message.flags.add('\\Seen');
    await answerFetch(connection, candidate, items);
    await connection.output.relieve();
  }
  return ok('FETCH completed');
}

export async function store(connection: Connection, command: Command): Promise<Reply> {
  const byUid = command.name.startsWith('UID');
  const prepared = await chosen(connection, command, 'store', byUid);
  if (!('candidates' in prepared)) return prepared;
  if (prepared.selected.readOnly) return no('[READ-ONLY] Folder was opened read-only');
  const operation = /^([+-]?)FLAGS(\.SILENT)?$/i.exec(argumentText(command.args[1]) ?? '');
  if (!operation) return bad('Unknown store item');
  const flags = command.args.slice(2).flatMap((argument) => argumentItems(argument));
  const names = flags.map((flag) => canonicalFlag(argumentText(flag) ?? ''));
  for (const { message, sequence } of prepared.candidates) {
    if (operation[1] === '') message.flags.clear();
    for (const name of names) {
      if (operation[1] === '-') message.flags.delete(name);
      else message.flags.add(name);
    }
    if (operation[2]) continue;
    const uid = byUid ? ` UID ${message.uid}` : '';
    connection.output.line(`* ${sequence} FETCH (FLAGS (${[...message.flags].join(' ')})${uid})`);
  }
  return ok('STORE completed');
}

export async function search(connection: Connection, command: Command): Promise<Reply> {
  const { selected } = connection;
  if (!selected) return NOTHING_OPEN;
  const struck = await connection.strike('search');
  if (struck) return struck;
  const ends = { sequence: selected.view.length, uid: selected.view.at(-1)?.uid ?? 0 };
  const test = compileSearch(command.args, ends);
  const found: number[] = [];
  for (const [index, message] of selected.view.entries()) {
    const sequence = index + 1;
    if (message.expunged || !test({ message, sequence })) continue;
    found.push(command.name.startsWith('UID') ? message.uid : sequence);
  }
  connection.output.line(['* SEARCH', ...found].join(' '));
  return ok('SEARCH completed');
}

export async function copy(connection: Connection, command: Command): Promise<Reply> {
  const byUid = command.name.startsWith('UID');
  const moving = command.name.endsWith('MOVE');
  if (moving && !connection.capabilities.has('MOVE')) return bad('Unknown command');
  const prepared = await chosen(connection, command, moving ? 'move' : 'copy', byUid);
  if (!('candidates' in prepared)) return prepared;
  if (moving && prepared.selected.readOnly) return no('[READ-ONLY] Folder was opened read-only');
  const target = named(connection, command, 1);
  if (!target) return no('[TRYCREATE] No such folder');
  const present = prepared.candidates.filter(({ message }) => !message.expunged);
  const copies = present.map(({ message: { content, internalDate, flags } }) =>
    target.add(content, { internalDate, flags }),
  );
  const code = copyUid(connection, target.uidValidity, present, copies);
  if (!moving) return ok(`${code}COPY completed`);
  if (code) connection.output.line(`* OK ${code}Moved`);
  prepared.selected.folder.remove(new Set(present.map(({ message }) => message)));
  return ok('MOVE completed');
}

export async function expunge(connection: Connection, command: Command): Promise<Reply> {
  const { selected } = connection;
  if (!selected) return NOTHING_OPEN;
  const byUid = command.name.startsWith('UID');
  if (byUid && !connection.capabilities.has('UIDPLUS')) return bad('Unknown command');
  const struck = await connection.strike('expunge');
  if (struck) return struck;
  if (selected.readOnly) return no('[READ-ONLY] Folder was opened read-only');
  const candidates = byUid ? connection.resolve(argumentText(command.args[0]) ?? '', true) : null;
  if (byUid && !candidates) return bad('Bad UID set');
  const among = candidates ? candidates.map(({ message }) => message) : selected.view;
  expungeDeleted(selected, among);
  return ok('EXPUNGE completed');
}

/** Removes those of `among` that are marked \Deleted. Also what CLOSE does (RFC 9051 section 6.4.1). */
export function expungeDeleted(selected: Selected, among: readonly StoredMessage[]): void {
  selected.folder.remove(
    new Set(among.filter((message) => message.flags.has('\\Deleted') && !message.expunged)),
  );
}

export async function append(connection: Connection, command: Command): Promise<Reply> {
  const struck = await connection.strike('append');
  if (struck) return struck;
  const folder = named(connection, command, 0);
  if (!folder)
    return no(folderName(command, 0) === null ? 'APPEND needs a folder' : '[TRYCREATE] No such folder');
  const literal = command.args.at(-1);
  if (literal?.kind !== 'string') return bad('APPEND needs a message');
  const options = command.args.slice(1, -1);
  const flags = options.filter((option) => option.kind === 'list').flatMap((option) => argumentItems(option));
  const date = options.find((option) => option.kind === 'string');
  const internalDate = date
    ? new Date((argumentText(date) ?? '').replaceAll('-', ' ').replace(/ (\d{4})$/, ' +$1'))
    : null;
  const message = folder.add(fixedContent(literal.bytes), {
    flags: flags.map((flag) => canonicalFlag(argumentText(flag) ?? '')),
    ...(internalDate && !Number.isNaN(internalDate.getTime()) ? { internalDate } : {}),
  });
  const code = connection.capabilities.has('UIDPLUS')
    ? `[APPENDUID ${folder.uidValidity} ${message.uid}] `
    : '';
  return ok(`${code}APPEND completed`);
}

/** What FETCH, STORE, COPY and MOVE have in common: an open folder, the fault of the phase, the messages. */
async function chosen(
  connection: Connection,
  command: Command,
  phase: Phase,
  byUid: boolean,
): Promise<{ selected: Selected; candidates: Candidate[] } | Reply> {
  const { selected } = connection;
  if (!selected) return NOTHING_OPEN;
  const candidates = connection.resolve(argumentText(command.args[0]) ?? '', byUid);
  const uids = new Set(candidates?.map(({ message }) => message.uid));
  const struck = await connection.strike(phase, (uid) => uids.has(uid));
  if (struck) return struck;
  if (!candidates) return bad(byUid ? 'Bad UID set' : 'No such message');
  return { selected, candidates };
}

function parseItems(args: readonly Argument[], byUid: boolean): FetchItem[] | null {
  const items: FetchItem[] = byUid ? [{ kind: 'uid' }] : [];
  for (const argument of args) {
    const text = argumentText(argument) ?? '';
    const name = text.toUpperCase();
    if (name === 'UID') {
      if (!byUid) items.push({ kind: 'uid' });
    } else if (name === 'FLAGS') items.push({ kind: 'flags' });
    else if (name === 'INTERNALDATE') items.push({ kind: 'internaldate' });
    else if (name === 'RFC822.SIZE') items.push({ kind: 'size' });
    else {
      const body = parseBodyItem(text);
      if (!body) return null;
      items.push({ kind: 'body', body });
    }
  }
  return items;
}

/** System flags are the same in any spelling; this is the one that everything here compares with. */
function canonicalFlag(flag: string): string {
  if (!flag.startsWith('\\')) return flag;
  return `\\${flag.charAt(1).toUpperCase()}${flag.slice(2).toLowerCase()}`;
}

function copyUid(
  connection: Connection,
  uidValidity: string,
  from: readonly Candidate[],
  to: readonly StoredMessage[],
): string {
  if (!connection.capabilities.has('UIDPLUS') || from.length === 0) return '';
  const source = formatSequenceSet(from.map(({ message }) => message.uid));
  return `[COPYUID ${uidValidity} ${source} ${formatSequenceSet(to.map(({ uid }) => uid))}] `;
}
