import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { type Delimiter, OpenMultiparts } from './open-multiparts.ts';
import {
  boundaryOf,
  describeLeaf,
  MAX_BOUNDARY,
  type OpenLeaf,
  type RawField,
  type ScannedLeaf,
} from './scanned-leaf.ts';
import { DecodedSize } from './transfer-encoding.ts';

/** The limits that the scan enforces before anything is built from a message. */
export interface StructureLimits {
  /** Multiparts inside each other. */
  mimeDepth: number;
  /** Parts of all kinds, multiparts included. */
  mimeParts: number;
  /** Header fields of one part. */
  headerCount: number;
  /** Bytes of the headers of all parts together. */
  headerBytes: number;
}

export interface Structure {
  /** Header fields of the message itself, in order. */
  fields: RawField[];
  /** In document order. */
  leaves: ScannedLeaf[];
  parts: number;
  depth: number;
  headerCount: number;
  headerBytes: number;
  /** How lines end: `cr` for the messages of old Macintosh programs, else `lf` (with or without CR). */
  lineEnd: 'lf' | 'cr';
  bytes: number;
  warnings: string[];
}

/** Decides how many bytes of the encoded content of a leaf are kept. */
export type KeepContent = (leaf: ScannedLeaf) => number;

const LF = 0x0a;
const CR = 0x0d;
const DASH = 0x2d;

/** A delimiter line: dashes, boundary, dashes, trailing blanks. */
const MAX_DELIMITER_LINE = MAX_BOUNDARY + 100;
/** How much text before the first part is kept for the case that no part follows. */
const MAX_PREAMBLE = 64 * 1024;
const MAX_WARNINGS = 50;

/**
 * Finds the structure of a message in raw bytes that arrive in chunks of any size (large ones are faster).
 * Works with a stack of its own, in time linear to the bytes, and looks at body bytes only to find delimiter
 * lines. Throws `mime_limit` as soon as a limit is passed, before later parts are read.
 */
export class StructureScanner {
  readonly #limits: StructureLimits;
  readonly #keep: KeepContent;

  #buffer: Buffer = Buffer.alloc(0);
  /** Offset of the first byte of the buffer within the message. */
  #base = 0;
  #position = 0;
  /** Where to look on for a delimiter; bytes before it in the buffer are known to hold none. */
  #searched = 0;
  #final = false;

  #state: 'start' | 'header' | 'body' = 'start';
  #eol = LF;
  #needle = Buffer.from('\n--');
  /** True when the position is the start of a line, where a delimiter may stand without a line end before it. */
  #atLineStart = true;

  #fields: RawField[] = [];
  #field: RawField | null = null;
  #fieldCount = 0;
  #part = '1';
  readonly #multiparts = new OpenMultiparts();
  #open: OpenLeaf | null = null;

  readonly #result: Structure = {
    fields: [],
    leaves: [],
    parts: 0,
    depth: 0,
    headerCount: 0,
    headerBytes: 0,
    lineEnd: 'lf',
    bytes: 0,
    warnings: [],
  };

  constructor(limits: StructureLimits = LIMITS, keep: KeepContent = () => 0) {
    this.#limits = limits;
    this.#keep = keep;
  }

  push(chunk: Buffer): void {
    const rest = this.#buffer.length - this.#position;
    this.#base += this.#position;
    this.#searched = Math.max(0, this.#searched - this.#position);
    this.#buffer = rest === 0 ? chunk : Buffer.concat([this.#buffer.subarray(this.#position), chunk]);
    this.#position = 0;
    this.#result.bytes += chunk.length;
    this.#run();
  }

  end(): Structure {
    this.#final = true;
    this.#run();
    if (this.#state !== 'body') this.#endHeader(this.#position);
    this.#closeContent(this.#position);
    this.#popTo(0, true);
    return this.#result;
  }

  #run(): void {
    let more = true;
    while (more) {
      if (this.#state === 'start') more = this.#detectLineEnd();
      else if (this.#state === 'header') more = this.#readHeaderLine();
      else more = this.#readBody();
    }
  }

  /** The first line end decides for the message: a lone CR ends lines only where no LF does. */
  #detectLineEnd(): boolean {
    const lf = this.#buffer.indexOf(LF);
    const cr = this.#buffer.indexOf(CR);
    if (cr >= 0 && (lf < 0 || cr < lf)) {
      let after = cr;
      while (this.#buffer[after] === CR) after++;
      if (after === this.#buffer.length && !this.#final) return this.#waitForLine(0);
      if (this.#buffer[after] !== LF) {
        this.#eol = CR;
        this.#needle = Buffer.from('\r--');
        this.#result.lineEnd = 'cr';
        this.#warn('Lines end with CR alone.');
      }
    } else if (lf < 0 && !this.#final) {
      return this.#waitForLine(0);
    }
    this.#state = 'header';
    this.#beginPart('1');
    return true;
  }

  /** Not enough bytes for a line: fine, unless it is longer than all headers may be. */
  #waitForLine(from: number): false {
    this.#checkHeaderBytes(this.#buffer.length - from);
    return false;
  }

  #checkHeaderBytes(more: number): void {
    if (this.#result.headerBytes + more > this.#limits.headerBytes) {
      throw limitError('headerBytes', this.#limits.headerBytes);
    }
  }

  #beginPart(part: string): void {
    this.#part = part;
    this.#fields = [];
    this.#field = null;
    this.#fieldCount = 0;
    this.#result.parts++;
    if (this.#result.parts > this.#limits.mimeParts) throw limitError('mimeParts', this.#limits.mimeParts);
  }

  #readHeaderLine(): boolean {
    const buffer = this.#buffer;
    const start = this.#position;
    let end = buffer.indexOf(this.#eol, start);
    let next = end + 1;
    if (end < 0) {
      if (!this.#final) return this.#waitForLine(start);
      if (start === buffer.length) return false;
      end = buffer.length;
      next = end;
    }
    if (this.#eol === LF) while (end > start && buffer[end - 1] === CR) end--;
    const first = buffer[start];
    if (first === DASH && buffer[start + 1] === DASH) {
      const delimiter = this.#matchDelimiter(start, end);
      if (delimiter !== null) {
        this.#endHeader(start);
        this.#closeContent(start);
        this.#takeDelimiter(delimiter, next);
        return true;
      }
    }
    this.#checkHeaderBytes(next - start);
    if (end === start) {
      this.#result.headerBytes += next - start;
      // Empty lines before the header are dirt of a gateway.
      if (this.#fieldCount === 0 && this.#result.parts === 1) this.#position = next;
      else this.#endHeader(next);
      return true;
    }
    return this.#readField(start, end, next);
  }

  #readField(start: number, end: number, next: number): true {
    const isFirst = this.#fieldCount === 0;
    const isRoot = this.#result.parts === 1;
    let line = this.#buffer.toString('latin1', start, end);
    // The header of a message is found behind a byte order mark and behind blanks.
    if (isFirst && isRoot) line = line.replace(/^(?:\u00ef\u00bb\u00bf)?[ \t]*/, '');
    const continues = line.startsWith(' ') || line.startsWith('\t');
    if (continues && this.#field !== null) {
      this.#field.value += line;
    } else {
      const colon = line.indexOf(':');
      const name = colon > 0 ? line.slice(0, colon).trimEnd() : '';
      if (name !== '' && !hasBlank(name)) {
        this.#addField(name, line.slice(colon + 1));
      } else if (isFirst && !isEnvelopeLine(line) && !(isRoot && line === '')) {
        // No header at all: the part is its body, as in Python and in most mail clients.
        this.#warn(`Part ${this.#part} has no header.`);
        this.#endHeader(start);
        return true;
      } else {
        this.#field = null;
        if (!isFirst) this.#warn('A header line without a field name was left out.');
      }
    }
    this.#result.headerBytes += next - start;
    this.#position = next;
    return true;
  }

  #addField(name: string, value: string): void {
    this.#fieldCount++;
    this.#result.headerCount++;
    if (this.#fieldCount > this.#limits.headerCount)
      throw limitError('headerCount', this.#limits.headerCount);
    this.#field = { name, value };
    this.#fields.push(this.#field);
  }

  /** The header of a part is complete; its content starts at `position`. */
  #endHeader(position: number): void {
    this.#state = 'body';
    this.#position = position;
    this.#searched = position;
    this.#atLineStart = true;
    const parent = this.#multiparts.innermost;
    if (parent === null) this.#result.fields = this.#fields;
    const leaf = describeLeaf(this.#fields, this.#part, parent?.type ?? null);
    leaf.start = this.#base + position;
    const boundary = leaf.contentType.startsWith('multipart/') ? boundaryOf(this.#fields) : null;
    if (boundary === null) {
      if (leaf.contentType.startsWith('multipart/')) {
        this.#warn(`Part ${leaf.part} is a multipart without a boundary; read as text.`);
        leaf.contentType = 'text/plain';
      }
      this.#open = this.#openLeaf(leaf);
      return;
    }
    if (this.#multiparts.depth >= this.#limits.mimeDepth)
      throw limitError('mimeDepth', this.#limits.mimeDepth);
    const preamble = this.#openLeaf({ ...leaf, contentType: 'text/plain', encoding: 'identity', kept: [] });
    preamble.keep = Math.min(preamble.keep, MAX_PREAMBLE);
    const part = parent === null ? '' : this.#part;
    this.#multiparts.open({ type: leaf.contentType, part, boundary, children: 0, preamble });
    this.#result.depth = Math.max(this.#result.depth, this.#multiparts.depth);
    this.#open = preamble;
  }

  #openLeaf(leaf: ScannedLeaf): OpenLeaf {
    return { leaf, size: new DecodedSize(leaf.encoding), keep: this.#keep(leaf) };
  }

  /** Looks for the next delimiter line. False when more bytes are needed. */
  #readBody(): boolean {
    const buffer = this.#buffer;
    if (this.#multiparts.depth === 0) {
      this.#feed(buffer.length);
      return false;
    }
    if (this.#atLineStart) {
      if (buffer.length - this.#position < 2 && !this.#final) return false;
      if (buffer[this.#position] === DASH && buffer[this.#position + 1] === DASH) {
        const found = this.#tryDelimiter(this.#position, this.#position);
        if (found !== 'no') return found === 'taken';
      }
      this.#atLineStart = false;
    }
    for (;;) {
      const lineEnd = buffer.indexOf(this.#needle, this.#searched);
      if (lineEnd < 0) {
        // The last bytes may be the beginning of CRLF and a delimiter.
        const safe = this.#final ? buffer.length : buffer.length - 3;
        if (safe > this.#position) this.#feed(safe);
        this.#searched = Math.max(this.#searched, this.#position);
        return false;
      }
      const contentEnd =
        this.#eol === LF && lineEnd > this.#position && buffer[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd;
      const found = this.#tryDelimiter(contentEnd, lineEnd + 1);
      if (found === 'wait') {
        this.#feed(contentEnd);
        this.#searched = contentEnd;
      }
      if (found !== 'no') return found === 'taken';
      this.#searched = lineEnd + 1;
    }
  }

  #tryDelimiter(contentEnd: number, start: number): 'taken' | 'wait' | 'no' {
    const buffer = this.#buffer;
    const window = buffer.subarray(start, start + MAX_DELIMITER_LINE);
    const length = window.indexOf(this.#eol);
    if (length < 0 && window.length === MAX_DELIMITER_LINE) return 'no';
    if (length < 0 && !this.#final) return 'wait';
    const end = length < 0 ? buffer.length : start + length;
    const delimiter = this.#matchDelimiter(start, end);
    if (delimiter === null) return 'no';
    this.#feed(contentEnd);
    this.#closeContent(contentEnd);
    this.#takeDelimiter(delimiter, length < 0 ? end : end + 1);
    return 'taken';
  }

  /** Compares a line that starts with two dashes with every open boundary. */
  #matchDelimiter(start: number, end: number): Delimiter | null {
    if (this.#multiparts.depth === 0 || end - start > MAX_DELIMITER_LINE) return null;
    return this.#multiparts.match(this.#buffer.toString('latin1', start + 2, end).trimEnd());
  }

  #takeDelimiter(delimiter: Delimiter, next: number): void {
    // A delimiter of an outer multipart ends everything inside it.
    this.#popTo(delimiter.level + 1, true);
    this.#position = next;
    this.#searched = next;
    this.#atLineStart = true;
    if (delimiter.closes) {
      this.#popTo(delimiter.level, false);
      // What follows is the epilogue, which has no meaning (RFC 2046 section 5.1.1).
      this.#state = 'body';
      return;
    }
    const multipart = this.#multiparts.at(delimiter.level);
    multipart.children++;
    this.#state = 'header';
    this.#beginPart(
      multipart.part === '' ? `${multipart.children}` : `${multipart.part}.${multipart.children}`,
    );
  }

  #popTo(height: number, unclosed: boolean): void {
    while (this.#multiparts.depth > height) {
      const multipart = this.#multiparts.close();
      if (unclosed) this.#warn(`Multipart ${multipart.part || 'of the message'} has no closing delimiter.`);
      if (multipart.children === 0) {
        this.#warn(`Multipart ${multipart.part || 'of the message'} has no parts; read as text.`);
        this.#result.leaves.push(multipart.preamble.leaf);
      }
    }
  }

  /** Passes the bytes up to `end` to the open content. */
  #feed(end: number): void {
    const open = this.#open;
    if (open !== null && end > this.#position) {
      const piece = this.#buffer.subarray(this.#position, end);
      open.size.add(piece);
      if (open.keep > 0) open.leaf.kept.push(open.keep < piece.length ? piece.subarray(0, open.keep) : piece);
      if (open.keep < piece.length) open.leaf.cut = true;
      open.keep = Math.max(0, open.keep - piece.length);
    }
    this.#position = Math.max(this.#position, end);
  }

  #closeContent(end: number): void {
    const open = this.#open;
    this.#open = null;
    if (open === null) return;
    open.leaf.end = Math.max(open.leaf.start, this.#base + end);
    open.leaf.size = open.size.bytes;
    if (this.#multiparts.innermost?.preamble !== open) this.#result.leaves.push(open.leaf);
  }

  #warn(text: string): void {
    const { warnings } = this.#result;
    if (warnings.length < MAX_WARNINGS && !warnings.includes(text)) warnings.push(text);
  }
}

/** The structure of a message that is whole in memory. Throws `mime_limit`. */
export function scanStructure(source: Buffer, limits?: StructureLimits, keep?: KeepContent): Structure {
  const scanner = new StructureScanner(limits, keep);
  scanner.push(source);
  return scanner.end();
}

function limitError(limit: keyof StructureLimits, value: number): Error {
  return fail('mime_limit', `The message passes the limit ${limit} (${value}).`, { limit, value });
}

/** `From alice Mon Jan ...`: the line that mbox files and some servers put before a message. */
function isEnvelopeLine(line: string): boolean {
  return line.startsWith('From ') || line.startsWith('>From ');
}

function hasBlank(name: string): boolean {
  return name.includes(' ') || name.includes('\t');
}
