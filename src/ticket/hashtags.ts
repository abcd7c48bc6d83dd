/**
 * Commands that agents write into mail. Halo has such hashtags but publishes no list (halo-domain.md 2.5), so
 * these are ours. Only agents may give them, only in the first lines of the newest part; what is unknown stays
 * text.
 */

export type HashtagCommand =
  | { kind: 'close' }
  | { kind: 'private' }
  | { kind: 'status' | 'priority' | 'assign' | 'team'; value: string }
  | { kind: 'time'; minutes: number };

export interface Hashtags {
  commands: HashtagCommand[];
  /** The text without the lines that were commands. */
  text: string;
}

/** Lines at the top of the newest part in which commands are looked for. */
const MAX_LINES = 10;
const VALUE_CHARS = 200;
const MAX_MINUTES = 24 * 60;

/**
 * Takes the commands from the top of a text. A line counts when it consists of commands only, several of them
 * if need be (`#close #time 15m`); the first line that is none ends the search. The caller makes sure that the
 * sender is an agent and that the mailbox allows hashtags.
 */
export function parseHashtags(newestText: string): Hashtags {
  const commands: HashtagCommand[] = [];
  let rest = 0;
  let at = 0;
  for (let line = 0; line < MAX_LINES && at < newestText.length; line++) {
    const stop = newestText.indexOf('\n', at);
    const end = stop < 0 ? newestText.length : stop + 1;
    const text = newestText.slice(at, Math.min(end, at + 2_000)).trim();
    at = end;
    if (text === '') continue;
    const found = parseLine(text);
    if (found === null) break;
    commands.push(...found);
    rest = end;
  }
  return { commands, text: newestText.slice(rest) };
}

/** The commands of a line; null when anything in it is no command. */
function parseLine(line: string): HashtagCommand[] | null {
  if (!line.startsWith('#')) return null;
  const commands: HashtagCommand[] = [];
  for (const part of splitCommands(line)) {
    const space = part.search(/\s/);
    const name = (space < 0 ? part : part.slice(0, space)).toLowerCase();
    const value = space < 0 ? '' : part.slice(space).trim();
    const command = toCommand(name, value);
    if (command === null) return null;
    commands.push(command);
  }
  return commands;
}

/** Splits before each `#` that begins a word; a `#` inside a value (`Room #4` has one) begins a command too. */
function splitCommands(line: string): string[] {
  const parts: string[] = [];
  let from = 1;
  for (let at = 1; at < line.length; at++) {
    const begins = line[at] === '#' && (line[at - 1] === ' ' || line[at - 1] === '\t');
    if (!begins) continue;
    parts.push(line.slice(from, at).trim());
    from = at + 1;
  }
  parts.push(line.slice(from).trim());
  return parts;
}

function toCommand(name: string, value: string): HashtagCommand | null {
  switch (name) {
    case 'close':
    case 'private':
      return value === '' ? { kind: name } : null;
    case 'status':
    case 'priority':
    case 'assign':
    case 'team':
      return value === '' || value.length > VALUE_CHARS ? null : { kind: name, value };
    case 'time': {
      const minutes = parseMinutes(value);
      return minutes === null ? null : { kind: 'time', minutes };
    }
    default:
      return null;
  }
}

/** `15m`, `2h`, `1h30m`, `90`: minutes when there is no unit. Null when it is no time, none, or over a day. */
function parseMinutes(text: string): number | null {
  const parts = /^(?:(\d{1,2})h)?(?:(\d{1,4})m?)?$/i.exec(text.replace(/\s+/g, ''));
  if (parts === null || (parts[1] === undefined && parts[2] === undefined)) return null;
  const minutes = Number(parts[1] ?? 0) * 60 + Number(parts[2] ?? 0);
  return minutes > 0 && minutes <= MAX_MINUTES ? minutes : null;
}
