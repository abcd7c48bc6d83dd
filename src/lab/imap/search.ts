/** SEARCH (RFC 9051 section 6.4.4): the keys that clients use, without charsets other than UTF-8. */

import type { StoredMessage } from '../mail-store.ts';
import { type Argument, argumentText, CommandSyntaxError } from './command-parser.ts';
import { endOfHeader } from './message-sections.ts';
import { inRanges, parseSequenceSet } from './sequence-set.ts';

/** What a search runs on: a message and its number in the view. */
export interface Candidate {
  message: StoredMessage;
  sequence: number;
}

export type SearchTest = (candidate: Candidate) => boolean;

/** The largest numbers of the view, for `*` in sets. */
export interface ViewEnds {
  sequence: number;
  uid: number;
}

const FLAG_KEYS = new Map<string, [flag: string, present: boolean]>([
  ['ANSWERED', ['\\Answered', true]],
  ['DELETED', ['\\Deleted', true]],
  ['DRAFT', ['\\Draft', true]],
  ['FLAGGED', ['\\Flagged', true]],
  ['SEEN', ['\\Seen', true]],
  ['UNANSWERED', ['\\Answered', false]],
  ['UNDELETED', ['\\Deleted', false]],
  ['UNDRAFT', ['\\Draft', false]],
  ['UNFLAGGED', ['\\Flagged', false]],
  ['UNSEEN', ['\\Seen', false]],
]);
const FIELD_KEYS = new Set(['FROM', 'TO', 'CC', 'BCC', 'SUBJECT']);
const DAY_MS = 24 * 60 * 60 * 1000;

/** Compiles the arguments of a SEARCH. Throws {@link CommandSyntaxError} for unknown keys. */
export function compileSearch(args: readonly Argument[], ends: ViewEnds): SearchTest {
  const queue = [...args];
  if (argumentText(queue[0])?.toUpperCase() === 'CHARSET') queue.splice(0, 2);
  if (queue.length === 0) throw new CommandSyntaxError('Missing search key');
  const tests: SearchTest[] = [];
  while (queue.length > 0) tests.push(compileKey(queue, ends, 0));
  return (candidate) => tests.every((test) => test(candidate));
}

function compileKey(queue: Argument[], ends: ViewEnds, depth: number): SearchTest {
  if (depth > 20) throw new CommandSyntaxError('Search too deeply nested');
  const argument = queue.shift();
  if (!argument) throw new CommandSyntaxError('Missing search key');
  if (argument.kind === 'list') {
    const inner = [...argument.items];
    const tests: SearchTest[] = [];
    while (inner.length > 0) tests.push(compileKey(inner, ends, depth + 1));
    return (candidate) => tests.every((test) => test(candidate));
  }
  const key = (argumentText(argument) ?? '').toUpperCase();
  const flag = FLAG_KEYS.get(key);
  if (flag) return ({ message }) => message.flags.has(flag[0]) === flag[1];
  if (FIELD_KEYS.has(key)) return headerContains(key, next(queue));
  switch (key) {
    case 'ALL':
      return () => true;
    case 'OLD':
      return () => true;
    case 'NEW':
    case 'RECENT':
      return () => false;
    case 'UID': {
      const ranges = parseSequenceSet(next(queue), ends.uid);
      if (!ranges) throw new CommandSyntaxError('Bad UID set');
      return ({ message }) => inRanges(ranges, message.uid);
    }
    case 'HEADER':
      return headerContains(next(queue), next(queue));
    case 'TEXT':
    case 'BODY': {
      const text = next(queue).toLowerCase();
      return ({ message }) => message.content.bytes().toString('utf8').toLowerCase().includes(text);
    }
    case 'KEYWORD':
    case 'UNKEYWORD': {
      const keyword = next(queue);
      return ({ message }) => message.flags.has(keyword) === (key === 'KEYWORD');
    }
    case 'LARGER':
    case 'SMALLER': {
      const size = Number(next(queue));
      return ({ message: { content } }) => (key === 'LARGER' ? content.size > size : content.size < size);
    }
    case 'SINCE':
    case 'BEFORE':
    case 'ON': {
      const day = Date.parse(`${next(queue)} UTC`);
      if (Number.isNaN(day)) throw new CommandSyntaxError('Bad date');
      return ({ message }) => onDay(key, message.internalDate.getTime(), day);
    }
    case 'NOT': {
      const test = compileKey(queue, ends, depth + 1);
      return (candidate) => !test(candidate);
    }
    case 'OR': {
      const left = compileKey(queue, ends, depth + 1);
      const right = compileKey(queue, ends, depth + 1);
      return (candidate) => left(candidate) || right(candidate);
    }
    default: {
      const ranges = parseSequenceSet(key, ends.sequence);
      if (!ranges) throw new CommandSyntaxError(`Unknown search key ${key}`);
      return ({ sequence }) => inRanges(ranges, sequence);
    }
  }
}

function next(queue: Argument[]): string {
  const text = argumentText(queue.shift());
  if (text === null) throw new CommandSyntaxError('Missing search argument');
  return text;
}

function onDay(key: string, time: number, day: number): boolean {
  if (key === 'SINCE') return time >= day;
  if (key === 'BEFORE') return time < day;
  return time >= day && time < day + DAY_MS;
}

function headerContains(name: string, value: string): SearchTest {
  const field = `${name.toLowerCase()}:`;
  const wanted = value.toLowerCase();
  return ({ message }) => {
    const bytes = message.content.bytes();
    const header = bytes.toString('utf8', 0, endOfHeader(bytes)).toLowerCase();
    // Folded lines belong to the field above them.
    const lines = header.replace(/\r?\n[ \t]/g, ' ').split(/\r?\n/);
    return lines.some((line) => line.startsWith(field) && line.slice(field.length).includes(wanted));
  };
}
