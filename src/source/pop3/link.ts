/**
 * One connection to a POP3 server: commands out, answers in, each under a deadline. Whatever goes wrong with the
 * connection ends it, with one reason that every pending and later call fails with.
 */
import type { Socket } from 'node:net';
import { fail, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Stage } from '../trouble.ts';
import { DotDecoder } from './dot-decoder.ts';
import { connectionError } from './errors.ts';
import { Input } from './input.ts';
import type { Pop3Options } from './options.ts';
import { parseReply, type Reply } from './reply.ts';

export class Link {
  readonly options: Pop3Options;
  readonly #input = new Input();
  #socket: Socket | null = null;
  #ended: PenstockError | null = null;
  #stage: Stage = 'connecting';
  /** The command whose answer is being read, or under way. */
  #running: string | null = null;

  constructor(options: Pop3Options) {
    this.options = options;
  }

  /** Takes a socket over, with listeners that stay for its whole life: an 'error' without one ends the process. */
  adopt(socket: Socket): void {
    this.#socket = socket;
    this.#input.attach(socket);
    socket.on('error', (error) => this.#lost(socket, error));
    socket.on('close', () => this.#lost(socket, null));
    // The other side has said all it will say: nothing that is asked from now on gets an answer.
    socket.on('end', () => this.#lost(socket, null));
  }

  /**
   * Lets go of the socket, which is to go on under TLS. Fails with `tls_failed` when more came than was asked for:
   * somebody put words into the plain part, to have them taken for the server's after the handshake.
   */
  release(): Socket {
    const socket = this.#socket as Socket;
    const left = this.#input.detach();
    this.#socket = null;
    if (left > 0) {
      const error = connectionError({ code: 'STARTTLS_INJECTION' }, this.#stage, 'STLS');
      socket.destroy();
      this.end(error);
      throw error;
    }
    return socket;
  }

  /** The login is done: from now on a broken connection is an interruption, not a failed attempt. */
  ready(): void {
    this.#stage = 'connected';
  }

  /** What ended the connection; null while it lives. */
  get ended(): PenstockError | null {
    return this.#ended;
  }

  /** Ends the connection. The first reason stays. */
  end(error: PenstockError): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#input.end(error);
    this.#socket?.destroy();
  }

  /** Sends one command and reads the first line of its answer. `name` stands for it in errors; it may hold secrets. */
  async command(line: string, name: string, ms: number = this.options.commandMs): Promise<Reply> {
    return await this.claimed(name, async () => {
      this.#send(line);
      return await this.#reply(name, ms);
    });
  }

  /** The line that a server sends by itself when the connection is made. */
  async greeting(): Promise<Reply> {
    return await this.claimed('greeting', () => this.#reply('greeting', this.options.greetingMs));
  }

  /** Sends a command whose answer has several lines, when it is no refusal (RFC 1939 section 3). */
  async listing(line: string, most: number): Promise<{ reply: Reply; lines: Buffer[] }> {
    return await this.claimed(line, async () => {
      this.#send(line);
      const reply = await this.#reply(line, this.options.commandMs);
      const lines: Buffer[] = [];
      if (reply.status !== 'ok') return { reply, lines };
      const pace = new Pace(this.options);
      for (;;) {
        const next = await this.#line(line, pace);
        if (next.length === 1 && next[0] === 0x2e) return { reply, lines };
        lines.push(next[0] === 0x2e ? next.subarray(1) : next);
        if (lines.length > most) this.#fatal(fail('server_protocol', `More than ${most} lines of ${line}`));
      }
    });
  }

  /**
   * Sends commands and gives their answers in order, several being under way at once where `window` is more than
   * one. After each `ok` to a command that has a {@link body} the caller reads that before it asks for the next.
   */
  async *replies(commands: readonly string[], window: number): AsyncGenerator<Reply, void, void> {
    const release = this.#claim(commands[0] ?? '');
    let sent = 0;
    let answered = 0;
    try {
      for (const command of commands) {
        // Half the window at once: fewer packets, and the server never runs out of work.
        if (sent < commands.length && sent - answered <= window / 2) {
          const next = commands.slice(sent, answered + window);
          this.#send(next.join('\r\n'));
          sent += next.length;
        }
        this.#running = command;
        const reply = await this.#reply(command, this.options.commandMs);
        answered += 1;
        yield reply;
      }
    } finally {
      if (sent > answered) this.end(fail('connection_lost', 'Answers were not waited for'));
      release();
    }
  }

  /** The lines that follow an `ok`, as they are without dot-stuffing. Left before its end, it ends the connection. */
  async *body(): AsyncGenerator<Buffer> {
    const decoder = new DotDecoder();
    const pace = new Pace(this.options);
    const command = this.#running ?? 'an answer';
    try {
      while (!decoder.ended) {
        const piece = await this.#within(command, pace, (ms) => this.#input.take(ms));
        pace.received(piece.length);
        const { content, rest } = decoder.push(piece);
        this.#input.unread(rest);
        yield* content;
      }
    } finally {
      if (!decoder.ended)
        this.end(fail('connection_lost', `The answer to ${command} was not read to its end`));
    }
  }

  /** Claims the connection for one call of several steps. Calls must not overlap: answers carry no names. */
  async claimed<T>(name: string, call: () => Promise<T>): Promise<T> {
    const release = this.#claim(name);
    try {
      return await call();
    } finally {
      release();
    }
  }

  #claim(name: string): () => void {
    if (this.#running !== null) {
      throw fail('internal', `${name} was called while ${this.#running} is still running on this session`);
    }
    // Whatever ended the connection may have been announced by words that are still to be read.
    if (this.#ended) throw this.#ended;
    this.#running = name;
    return () => {
      this.#running = null;
    };
  }

  #send(lines: string): void {
    this.#socket?.write(`${lines}\r\n`);
  }

  async #reply(command: string, ms: number): Promise<Reply> {
    const line = await this.#within(command, new Pace(this.options, ms), (left) =>
      this.#input.line(LIMITS.pop3LineBytes, left),
    );
    const reply = parseReply(line);
    if (reply) return reply;
    return this.#fatal(fail('server_protocol', `The answer to ${command} is not one of POP3`, { command }));
  }

  async #line(command: string, pace: Pace): Promise<Buffer> {
    const line = await this.#within(command, pace, (ms) => this.#input.line(LIMITS.pop3LineBytes, ms));
    pace.received(line.length + 2);
    return line;
  }

  /** One wait for the server. Fails with `stalled`, and ends the connection, when it takes longer than the pace allows. */
  async #within(command: string, pace: Pace, read: (ms: number) => Promise<Buffer | null>): Promise<Buffer> {
    const begun = performance.now();
    let found: Buffer | null;
    try {
      found = await read(pace.leftMs);
    } catch (error) {
      return this.#fatal(connectionError(error, this.#stage, command));
    }
    pace.waited(performance.now() - begun);
    if (found !== null) return found;
    const deadlineMs = Math.round(pace.allowedMs);
    const message = `No answer to ${command} within ${deadlineMs} ms`;
    return this.#fatal(fail('stalled', message, { command, deadlineMs }));
  }

  /** Ends the connection and fails. */
  #fatal(error: PenstockError): never {
    this.end(error);
    throw error;
  }

  #lost(socket: Socket, cause: unknown): void {
    if (socket !== this.#socket) return;
    const command = this.#running ?? 'waiting';
    const error =
      cause !== null || this.#stage === 'connected'
        ? connectionError(cause, this.#stage, command)
        : fail('connection_lost', 'The server closed the connection before the login was done', { command });
    // Not end(): what the server said last is still to be read.
    this.#input.end(error);
    if (cause !== null) this.#socket.destroy();
  }
}

/**
 * How long an answer may take: the time of one command, and more the more has come. Only waiting for the server
 * counts, not what is done with its bytes here.
 */
class Pace {
  readonly #bytesPerSecond: number;
  readonly #baseMs: number;
  #bytes = 0;
  #waitedMs = 0;

  constructor({ minBytesPerSecond, commandMs }: Pop3Options, baseMs: number = commandMs) {
    this.#bytesPerSecond = minBytesPerSecond;
    this.#baseMs = baseMs;
  }

  received(bytes: number): void {
    this.#bytes += bytes;
  }

  waited(ms: number): void {
    this.#waitedMs += ms;
  }

  get allowedMs(): number {
    return this.#baseMs + (this.#bytes / this.#bytesPerSecond) * 1000;
  }

  get leftMs(): number {
    return this.allowedMs - this.#waitedMs;
  }
}
