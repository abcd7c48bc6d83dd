/** The POP3 commands that the source uses in a session that is logged in (RFC 1939 sections 5 and 7). */
import { LIMITS } from '../../limits.ts';
import type { Capabilities } from './capabilities.ts';
import type { Connected } from './connect.ts';
import { commandError } from './errors.ts';
import type { Link } from './link.ts';
import type { Reply } from './reply.ts';

const PAIR = /^\s*(\d{1,10})(?:\s+(.*?))?\s*$/s;

export class Commands {
  readonly link: Link;
  readonly #capabilities: Capabilities;
  /** False once the server has refused TOP. */
  #hasTop: boolean;
  /** Something was asked for that a server may count as read. */
  #hasRead = false;

  constructor({ link, capabilities }: Connected) {
    this.link = link;
    this.#capabilities = capabilities;
    this.#hasTop = capabilities?.has('TOP') ?? true;
  }

  get hasRead(): boolean {
    return this.#hasRead;
  }

  /** Sizes by number, in the order of the server. */
  async list(): Promise<Map<number, number>> {
    const { reply, lines } = await this.link.listing('LIST', LIMITS.pop3Messages);
    if (reply.status !== 'ok') throw commandError(reply, 'LIST');
    return new Map(pairs(lines).map(([number, size]) => [number, Number.parseInt(size, 10) || 0]));
  }

  /** Unique-ids by number; null when the server has no UIDL. */
  async uniqueIds(): Promise<Map<number, Buffer> | null> {
    const { reply, lines } = await this.link.listing('UIDL', LIMITS.pop3Messages);
    if (reply.status === 'ok') {
      return new Map(pairs(lines).map(([number, id]) => [number, Buffer.from(id, 'latin1')]));
    }
    // One that has UIDL and refuses it now would name every message anew if that were taken for "has none".
    const error = commandError(reply, 'UIDL');
    if (this.#capabilities?.has('UIDL') || error.code !== 'server_protocol') throw error;
    return null;
  }

  /** Answers to RETR for each number, in order; after an `ok` the body is to be read. */
  retrieve(numbers: readonly number[]): AsyncGenerator<Reply, void, void> {
    if (numbers.length > 0) this.#hasRead = true;
    return this.link.replies(
      numbers.map((number) => `RETR ${number}`),
      this.#window,
    );
  }

  /**
   * Header blocks of these messages as they come; more than the header when the server has no TOP. Messages that
   * cannot be read are left out.
   */
  async *headers(numbers: readonly number[]): AsyncGenerator<{ number: number; header: Buffer }> {
    let left = [...numbers];
    while (left.length > 0) {
      this.#hasRead = true;
      const name = this.#hasTop ? 'TOP' : 'RETR';
      const commands = left.map((number) => (this.#hasTop ? `TOP ${number} 0` : `RETR ${number}`));
      const refused: number[] = [];
      let at = 0;
      for await (const reply of this.link.replies(commands, this.#window)) {
        const number = left[at] as number;
        at += 1;
        if (reply.status === 'ok') yield { number, header: await this.#start() };
        else refused.push(number);
      }
      // Refused for every message: the command is what it does not know.
      if (name === 'RETR' || refused.length < left.length) return;
      this.#hasTop = false;
      left = refused;
    }
  }

  /** Marks for deletion (RFC 1939 section 5, DELE), which happens at {@link quit}. Answers in order. */
  markDeleted(numbers: readonly number[]): AsyncGenerator<Reply, void, void> {
    return this.link.replies(
      numbers.map((number) => `DELE ${number}`),
      this.#window,
    );
  }

  /** Ends the session; the server then carries out what was marked (RFC 1939 section 6). */
  async quit(ms: number): Promise<Reply> {
    return await this.link.command('QUIT', 'QUIT', ms);
  }

  /** The start of a body, as far as a header may go. The rest is read and dropped. */
  async #start(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of this.link.body()) {
      if (length < LIMITS.headerBytes) pieces.push(piece);
      length += piece.length;
    }
    return Buffer.concat(pieces);
  }

  get #window(): number {
    return this.#capabilities?.has('PIPELINING') ? this.link.options.window : 1;
  }
}

function pairs(lines: readonly Buffer[]): [number, string][] {
  return lines.flatMap((line) => {
    const match = PAIR.exec(line.toString('latin1'));
    return match ? [[Number(match[1]), match[2] ?? ''] as [number, string]] : [];
  });
}
