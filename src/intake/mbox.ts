/**
 * The mbox format (RFC 4155 and the older customs it describes), read in chunks of any size: a file of many
 * gigabytes, or a single line of one, costs no more memory than a chunk. Pure; files are opened elsewhere.
 */

/**
 * How lines of a message that begin with `From ` were protected when the file was written. `mboxrd` puts one `>`
 * before `From `, `>From ` and so on, which can be undone exactly. `mboxo` puts one before `From ` only.
 */
export type MboxQuoting = 'mboxrd' | 'mboxo' | 'none';

/** One message in the file: where its bytes are, without separator and the empty line that ends it. */
export interface MboxMessage {
  /** Offset of the first byte, and of the byte after the last. */
  start: number;
  end: number;
  /** Bytes of the message once its quoting is undone. */
  size: number;
  /** When it was delivered, by its separator, which RFC 4155 writes in UTC. */
  receivedAt: Date | null;
}

const LF = 0x0a;
const CR = 0x0d;
const GREATER = 0x3e;
const CAPITAL_F = 0x46;
const FROM = Buffer.from('From ');
/** How much of a line is looked at: enough for a separator, which has an address and a date. */
const PREFIX = 512;
/** Lines that were quoted more often are left alone. */
const MAX_QUOTES = 64;
/** What is needed to see whether a line is quoted. */
const QUOTE_PREFIX = MAX_QUOTES + FROM.length;

const WEEKDAYS = new Set(['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']);
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

interface OpenMessage {
  start: number;
  receivedAt: Date | null;
  /** Characters that undoing the quoting removes. */
  removed: number;
}

/** Finds the messages of an mbox file. Give it all bytes in order, then call `end`. */
export class MboxScanner {
  readonly #quoting: MboxQuoting;
  #open: OpenMessage | null = null;
  /** Beginning of the line that the last chunk ended in, and how long it is so far. */
  #prefix: Buffer = Buffer.alloc(0);
  #lineLength = 0;
  #lineStart = 0;
  /** Bytes of the line before when it was empty, else 0. */
  #blankLength = 0;
  /** A separator without an empty line before it; it is one when a header field follows. */
  #candidate: { lineStart: number; lineEnd: number; receivedAt: Date } | null = null;

  constructor(quoting: MboxQuoting = 'mboxrd') {
    this.#quoting = quoting;
  }

  /** Takes the next bytes and returns the messages that are complete now. */
  push(chunk: Buffer): MboxMessage[] {
    const found: MboxMessage[] = [];
    let position = 0;
    while (position < chunk.length) {
      const lineEnd = chunk.indexOf(LF, position);
      const stop = lineEnd === -1 ? chunk.length : lineEnd + 1;
      if (this.#lineLength === 0) this.#prefix = chunk.subarray(position, Math.min(stop, position + PREFIX));
      else if (this.#prefix.length < PREFIX) {
        const more = chunk.subarray(position, Math.min(stop, position + PREFIX - this.#prefix.length));
        this.#prefix = Buffer.concat([this.#prefix, more]);
      }
      this.#lineLength += stop - position;
      position = stop;
      if (lineEnd === -1) break;
      this.#line(found);
    }
    // The chunk is not ours to keep.
    if (this.#lineLength > 0) this.#prefix = Buffer.from(this.#prefix);
    return found;
  }

  /** The end of the file: returns the last message. */
  end(): MboxMessage[] {
    const found: MboxMessage[] = [];
    if (this.#lineLength > 0) this.#line(found);
    this.#close(this.#lineStart, found);
    return found;
  }

  #line(found: MboxMessage[]): void {
    const prefix = this.#prefix;
    const start = this.#lineStart;
    const end = start + this.#lineLength;
    const isBlank = prefix[0] === LF || (prefix[0] === CR && prefix[1] === LF);
    const afterBlank = start === 0 || this.#blankLength > 0;
    this.#confirmCandidate(prefix, found);
    if (prefix[0] === CAPITAL_F) this.#separator(prefix, start, end, afterBlank, found);
    else if (this.#open && isQuotedFrom(prefix, this.#quoting)) this.#open.removed += 1;
    this.#blankLength = isBlank ? this.#lineLength : 0;
    this.#lineStart = end;
    this.#lineLength = 0;
  }

  #separator(prefix: Buffer, start: number, end: number, afterBlank: boolean, found: MboxMessage[]): void {
    const receivedAt = separatorDate(prefix);
    if (receivedAt === null) return;
    if (afterBlank) {
      this.#close(start, found);
      this.#open = { start: end, receivedAt, removed: 0 };
    } else {
      this.#candidate = { lineStart: start, lineEnd: end, receivedAt };
    }
  }

  #confirmCandidate(nextLine: Buffer, found: MboxMessage[]): void {
    const candidate = this.#candidate;
    if (candidate === null) return;
    this.#candidate = null;
    if (!/^[!-9;-~]{1,100}:/.test(nextLine.toString('latin1', 0, 128))) return;
    this.#close(candidate.lineStart, found);
    this.#open = { start: candidate.lineEnd, receivedAt: candidate.receivedAt, removed: 0 };
  }

  #close(end: number, found: MboxMessage[]): void {
    if (this.#open === null) return;
    const { start, receivedAt, removed } = this.#open;
    this.#open = null;
    // The empty line before a separator, or at the end of the file, belongs to the file.
    const bodyEnd = Math.max(start, end - this.#blankLength);
    if (bodyEnd > start) found.push({ start, end: bodyEnd, size: bodyEnd - start - removed, receivedAt });
  }
}

/** Undoes the quoting of `From ` lines in the bytes of one message. */
export async function* unquoteFromLines(
  source: AsyncIterable<Buffer>,
  quoting: MboxQuoting,
): AsyncGenerator<Buffer> {
  let atLineStart = true;
  let undecided: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    const bytes = undecided.length === 0 ? chunk : Buffer.concat([undecided, chunk]);
    undecided = Buffer.alloc(0);
    /** Bytes before this are written. */
    let written = 0;
    let position = 0;
    while (position < bytes.length) {
      const lineEnd = bytes.indexOf(LF, position);
      if (atLineStart && bytes[position] === GREATER) {
        if (lineEnd === -1 && bytes.length - position < QUOTE_PREFIX) {
          undecided = Buffer.from(bytes.subarray(position));
          break;
        }
        const prefix = bytes.subarray(position, position + QUOTE_PREFIX);
        if (isQuotedFrom(prefix, quoting)) {
          if (position > written) yield bytes.subarray(written, position);
          written = position + 1;
        }
      }
      atLineStart = lineEnd !== -1;
      position = lineEnd === -1 ? bytes.length : lineEnd + 1;
    }
    const stop = bytes.length - undecided.length;
    if (stop > written) yield bytes.subarray(written, stop);
  }
  if (undecided.length > 0) yield undecided.subarray(isQuotedFrom(undecided, quoting) ? 1 : 0);
}

/** Whether a line begins with a `From ` that was quoted, and would lose its first `>`. */
function isQuotedFrom(prefix: Buffer, quoting: MboxQuoting): boolean {
  if (quoting === 'none' || prefix[0] !== GREATER) return false;
  const most = quoting === 'mboxo' ? 1 : MAX_QUOTES;
  let quotes = 1;
  while (quotes < most && prefix[quotes] === GREATER) quotes += 1;
  return prefix.subarray(quotes, quotes + FROM.length).equals(FROM);
}

/** Whether bytes begin like an mbox file. */
export function looksLikeMbox(beginning: Buffer): boolean {
  const lineEnd = beginning.indexOf(LF);
  return separatorDate(lineEnd === -1 ? beginning : beginning.subarray(0, lineEnd + 1)) !== null;
}

/**
 * The date of a separator line, or null when the line is none. Separators look like
 * `From jane@example.org Mon Mar  2 09:30:00 2026`; some writers add a zone, before or after the year. A sentence
 * that begins with `From ` has no such date.
 */
export function separatorDate(line: Buffer): Date | null {
  if (!line.subarray(0, FROM.length).equals(FROM)) return null;
  const words = line
    .toString('latin1', FROM.length, PREFIX)
    .split(/[ \t\r\n]+/)
    .filter((word) => word !== '');
  // The address may have blanks in it, so the date is looked for from the end.
  for (let index = words.length - 1; index >= 0; index -= 1) {
    if (WEEKDAYS.has(words[index] ?? '')) return asctime(words.slice(index + 1));
  }
  return null;
}

/** `Mar 2 09:30:00 2026`, with a zone before or after the year. */
function asctime([month = '', day = '', time = '', ...rest]: string[]): Date | null {
  const monthIndex = MONTHS.indexOf(month);
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(time);
  const year = rest.find((word) => /^(?:19|20)\d{2}$/.test(word));
  if (monthIndex === -1 || !/^\d{1,2}$/.test(day) || clock === null || year === undefined) return null;
  const [, hours = '', minutes = '', seconds = '0'] = clock;
  const zone = rest.map((word) => /^([+-])(\d{2})(\d{2})$/.exec(word)).find((match) => match !== null);
  const offset = zone ? Number(`${zone[1]}1`) * (Number(zone[2]) * 60 + Number(zone[3])) : 0;
  return new Date(
    Date.UTC(Number(year), monthIndex, Number(day), Number(hours), Number(minutes) - offset, Number(seconds)),
  );
}
