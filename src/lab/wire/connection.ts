/** One client connection of a lab server that speaks in lines: how it is read and answered, and how it ends. */
import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { Certificate } from '../certificate.ts';
import type { User } from '../mail-store.ts';
import { CommandReader } from './command-reader.ts';
import { Output } from './output.ts';

/** Thrown to end a connection from anywhere in a command. */
export class ConnectionOver extends Error {}

/** How a connection may end without a word. */
export type End =
  /** Stops answering and keeps the connection open: what a lost route looks like. */
  | 'hang'
  /** Cuts the connection with RST. */
  | 'reset'
  /** Closes the connection with FIN. */
  | 'drop';

/** Faults that do not depend on the protocol. */
export type WireAction =
  | { do: End }
  | { do: 'wait'; ms: number }
  /** Sends `line`, then goes on as usual. */
  | { do: 'say'; line: string }
  /** Sends everything from here on in pieces of `bytes`, one every `ms`. */
  | { do: 'drip'; bytes: number; ms: number };

export interface ConnectionParts {
  id: number;
  socket: Socket;
  /** Speaks TLS already. */
  secure: boolean;
}

const LINE_BYTES = 64 * 1024;

export class LineConnection {
  readonly id: number;
  readonly output: Output;
  socket: Socket;
  reader: CommandReader;
  secure: boolean;
  user: User | null = null;
  readonly #literalBytes: number;

  /** `literalBytes`: the largest literal that is taken. */
  constructor({ id, socket, secure }: ConnectionParts, literalBytes: number) {
    this.id = id;
    this.socket = socket;
    this.secure = secure;
    this.output = new Output(socket);
    this.#literalBytes = literalBytes;
    this.reader = this.#newReader();
  }

  /** Ends the connection, or never answers again; in that case it ends when the client gives up. */
  async cut(end: End): Promise<never> {
    await this.output.flush();
    if (end === 'reset') this.socket.resetAndDestroy();
    else if (end === 'drop') this.socket.destroy();
    else if (!this.socket.destroyed) {
      await new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
    }
    throw new ConnectionOver();
  }

  /** Sends a challenge of SASL (RFC 4422) and returns what the client says to it, as it came. */
  async ask(challenge: string): Promise<string> {
    this.output.line(`+ ${challenge}`);
    await this.output.flush();
    const line = await this.reader.readLine();
    if (line === null) throw new ConnectionOver();
    return line;
  }

  /** Goes on under TLS. What the client sent before its handshake is forgotten (RFC 9051 section 11.1). */
  startTls({ key, cert }: Certificate): void {
    this.reader.detach();
    const plain = this.socket;
    const secured = new tls.TLSSocket(plain, { isServer: true, key, cert });
    secured.on('error', () => plain.destroy());
    this.socket = secured;
    this.secure = true;
    this.output.moveTo(secured);
    this.reader = this.#newReader();
  }

  /** Commits a fault that does not depend on the protocol, and leaves others alone. */
  protected async commitWire(action: WireAction | { do: string }): Promise<void> {
    const known = action as WireAction;
    switch (known.do) {
      case 'hang':
      case 'reset':
      case 'drop':
        return await this.cut(known.do);
      case 'wait':
        return await new Promise((resolve) => setTimeout(resolve, known.ms));
      case 'say':
        return this.output.line(known.line);
      case 'drip':
        return this.output.slowDown(known.bytes, known.ms);
    }
  }

  #newReader(): CommandReader {
    return new CommandReader(this.socket, { lineBytes: LINE_BYTES, literalBytes: this.#literalBytes });
  }
}
