/** Splits a command into its arguments (RFC 9051 section 9). Malformed input is a {@link CommandSyntaxError}. */
import type { CommandPart } from '../wire/command-reader.ts';

export type Argument =
  | { kind: 'atom'; text: string }
  | { kind: 'string'; bytes: Buffer }
  | { kind: 'list'; items: Argument[] };

export interface Command {
  tag: string;
  /** In capitals; `UID FETCH` and the like as one name. */
  name: string;
  args: Argument[];
}

export class CommandSyntaxError extends Error {
  readonly tag: string;

  constructor(message: string, tag = '*') {
    super(message);
    this.tag = tag;
  }
}

const MAX_DEPTH = 20;
const TAG = /^[A-Za-z0-9.\-_]{1,50}$/;
const UID_COMMANDS = new Set(['FETCH', 'STORE', 'SEARCH', 'COPY', 'MOVE', 'EXPUNGE']);

export function parseCommand(parts: readonly CommandPart[]): Command {
  const [first = ''] = parts;
  const tag = Buffer.isBuffer(first) ? '' : (first.split(' ', 1)[0] as string);
  if (!TAG.test(tag)) throw new CommandSyntaxError('Missing tag');
  // From here on the client can be told which of its commands was wrong.
  const broken = (message: string): CommandSyntaxError => new CommandSyntaxError(message, tag);
  const args = parseArguments(parts, broken).slice(1);
  let name = atomText(args.shift())?.toUpperCase();
  if (!name) throw broken('Missing command');
  if (name === 'UID') {
    const second = atomText(args.shift())?.toUpperCase();
    if (!second || !UID_COMMANDS.has(second)) throw broken('Unknown UID command');
    name = `UID ${second}`;
  }
  return { tag, name, args };
}

/** The text of an atom or string argument, or null for a list or nothing. */
export function argumentText(argument: Argument | undefined): string | null {
  if (!argument || argument.kind === 'list') return null;
  return argument.kind === 'atom' ? argument.text : argument.bytes.toString('utf8');
}

/** The items of a list, or the argument alone: FETCH and STORE take both forms. */
export function argumentItems(argument: Argument | undefined): Argument[] {
  if (!argument) return [];
  return argument.kind === 'list' ? argument.items : [argument];
}

function atomText(argument: Argument | undefined): string | null {
  return argument?.kind === 'atom' ? argument.text : null;
}

function parseArguments(
  parts: readonly CommandPart[],
  broken: (message: string) => CommandSyntaxError,
): Argument[] {
  const open: Argument[][] = [[]];
  const add = (argument: Argument): void => {
    (open.at(-1) as Argument[]).push(argument);
  };
  for (const part of parts) {
    if (Buffer.isBuffer(part)) {
      add({ kind: 'string', bytes: part });
      continue;
    }
    let at = 0;
    while (at < part.length) {
      const character = part[at] as string;
      if (character === ' ') at += 1;
      else if (character === '(') {
        if (open.length > MAX_DEPTH) throw broken('Too deeply nested');
        open.push([]);
        at += 1;
      } else if (character === ')') {
        const items = open.pop() as Argument[];
        if (open.length === 0) throw broken('Unexpected )');
        add({ kind: 'list', items });
        at += 1;
      } else if (character === '"') {
        const quoted = readQuoted(part, at);
        if (!quoted) throw broken('Missing "');
        add({ kind: 'string', bytes: Buffer.from(quoted[0], 'latin1') });
        at = quoted[1];
      } else {
        const next = endOfAtom(part, at);
        add({ kind: 'atom', text: part.slice(at, next) });
        at = next;
      }
    }
  }
  if (open.length !== 1) throw broken('Missing )');
  return open[0] as Argument[];
}

/** The string and where it ends; null when it does not. */
function readQuoted(text: string, start: number): [string, number] | null {
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at] as string;
    if (character === '"') return [value, at + 1];
    if (character === '\\') at += 1;
    value += text[at] ?? '';
  }
  return null;
}

/** An atom ends at a space or parenthesis, but not inside the brackets of `BODY[HEADER.FIELDS (TO)]`. */
function endOfAtom(text: string, start: number): number {
  let inBrackets = false;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at] as string;
    if (character === '[') inBrackets = true;
    else if (character === ']') inBrackets = false;
    else if (!inBrackets && (character === ' ' || character === '(' || character === ')')) return at;
  }
  return text.length;
}
