/**
 * Reads IMAP commands from a socket: a line, and for every literal `{n}` at its end n bytes and the rest of the
 * line (RFC 9051 section 4.3). Literals marked `{n+}` come without being asked for (RFC 7888).
 */
import type { Readable } from 'node:stream';

/** A command in pieces: text (one character per byte) and literals, in the order of the wire. */
export type CommandPart = string | Buffer;

const LITERAL_MARK = /\{(\d{1,10})(\+?)\}$/;

export interface ReaderLimits {
  lineBytes: number;
  literalBytes: number;
}

export class CommandReader {
  readonly #socket: Readable;
  readonly #limits: ReaderLimits;
  #buffered: Buffer[] = [];
  #bufferedBytes = 0;
  #ended = false;
  #wake: (() => void) | null = null;

  constructor(socket: Readable, limits: ReaderLimits) {
    this.#socket = socket;
    this.#limits = limits;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onEnd);
  }

  /** Stops listening and hands back bytes that were read too far: for the change to TLS. */
  detach(): Buffer {
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('close', this.#onEnd);
    return Buffer.concat(this.#buffered);
  }

  /** The next command, or null when the client has gone. `invite` sends the `+` for a literal. */
  async readCommand(invite: () => void): Promise<CommandPart[] | null> {
    const parts: CommandPart[] = [];
    let literalBytes = 0;
    for (;;) {
      const line = await this.readLine();
      if (line === null) return null;
      const mark = LITERAL_MARK.exec(line);
      if (!mark) {
        parts.push(line);
        return parts;
      }
      const size = Number(mark[1]);
      literalBytes += size;
      if (literalBytes > this.#limits.literalBytes) throw new Error('Literal too large');
      parts.push(line.slice(0, mark.index));
      if (mark[2] !== '+') invite();
      const literal = await this.#readBytes(size);
      if (literal === null) return null;
      parts.push(literal);
    }
  }

  /** The next line without its end, or null when the client has gone. */
  async readLine(): Promise<string | null> {
    let searched = 0;
    for (;;) {
      const joined = this.#joined();
      const end = joined.indexOf('\n', searched);
      if (end >= 0) {
        this.#keep(joined.subarray(end + 1));
        const line = joined.toString('latin1', 0, end);
        return line.endsWith('\r') ? line.slice(0, -1) : line;
      }
      if (joined.length > this.#limits.lineBytes) throw new Error('Line too long');
      searched = joined.length;
      if (!(await this.#more())) return null;
    }
  }

  async #readBytes(count: number): Promise<Buffer | null> {
    while (this.#bufferedBytes < count) if (!(await this.#more())) return null;
    const joined = this.#joined();
    this.#keep(joined.subarray(count));
    return Buffer.from(joined.subarray(0, count));
  }

  #joined(): Buffer {
    if (this.#buffered.length !== 1) this.#buffered = [Buffer.concat(this.#buffered)];
    return this.#buffered[0] as Buffer;
  }

  #keep(rest: Buffer): void {
    this.#buffered = [rest];
    this.#bufferedBytes = rest.length;
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const before = this.#bufferedBytes;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return this.#bufferedBytes > before;
  }

  #onData = (chunk: Buffer): void => {
    this.#buffered.push(chunk);
    this.#bufferedBytes += chunk.length;
    this.#wakeUp();
  };

  #onEnd = (): void => {
    this.#ended = true;
    this.#wakeUp();
  };

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
