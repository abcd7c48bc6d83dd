/** Splits a command into its arguments (RFC 9051 section 9). Malformed input is a {@link CommandSyntaxError}. */
import type { CommandPart } from './command-reader.ts';

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
const UID_COMMANDS = new Set(['FETCH', 'STORE', 'SEARCH', 'COPY', 'MOVE', 'EXPUNGE']);

export function parseCommand(parts: readonly CommandPart[]): Command {
  const args = parseArguments(parts);
  const tag = atomText(args.shift());
  if (tag === null) throw new CommandSyntaxError('Missing tag');
  let name = atomText(args.shift())?.toUpperCase();
  if (!name) throw new CommandSyntaxError('Missing command', tag);
  if (name === 'UID') {
    const second = atomText(args.shift())?.toUpperCase();
    if (!second || !UID_COMMANDS.has(second)) throw new CommandSyntaxError('Unknown UID command', tag);
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

function parseArguments(parts: readonly CommandPart[]): Argument[] {
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
        if (open.length > MAX_DEPTH) throw new CommandSyntaxError('Too deeply nested');
        open.push([]);
        at += 1;
      } else if (character === ')') {
        const items = open.pop() as Argument[];
        if (open.length === 0) throw new CommandSyntaxError('Unexpected )');
        add({ kind: 'list', items });
        at += 1;
      } else if (character === '"') {
        const [text, next] = readQuoted(part, at);
        add({ kind: 'string', bytes: Buffer.from(text, 'latin1') });
        at = next;
      } else {
        const next = endOfAtom(part, at);
        add({ kind: 'atom', text: part.slice(at, next) });
        at = next;
      }
    }
  }
  if (open.length !== 1) throw new CommandSyntaxError('Missing )');
  return open[0] as Argument[];
}

function readQuoted(text: string, start: number): [string, number] {
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at] as string;
    if (character === '"') return [value, at + 1];
    if (character === '\\') at += 1;
    value += text[at] ?? '';
  }
  throw new CommandSyntaxError('Missing "');
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
