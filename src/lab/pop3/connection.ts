/** One client connection of the lab POP3 server: its state, and how it ends. */
import type { Socket } from 'node:net';
import type { CommandReader } from '../imap/command-reader.ts';
import type { StoredMessage, User } from '../mail-store.ts';
import type { Output } from '../output.ts';
import type { Action, FaultScript, Phase } from './faults.ts';

/** Thrown to end a connection from anywhere in a command. */
export class ConnectionOver extends Error {}

/** The first line of an answer. */
export interface Reply {
  ok: boolean;
  text: string;
}

export const ok = (text: string): Reply => ({ ok: true, text });
export const err = (text: string): Reply => ({ ok: false, text });

export class Connection {
  readonly id: number;
  readonly faults: FaultScript;
  socket: Socket;
  reader: CommandReader;
  readonly output: Output;
  secure: boolean;
  /** The name that USER gave. */
  named: string | null = null;
  user: User | null = null;
  /** The maildrop as it was at the login; message 1 is the first (RFC 1939 section 5). */
  view: readonly StoredMessage[] = [];
  readonly deleted = new Set<StoredMessage>();

  constructor(parts: {
    id: number;
    faults: FaultScript;
    socket: Socket;
    reader: CommandReader;
    output: Output;
    secure: boolean;
  }) {
    this.id = parts.id;
    this.faults = parts.faults;
    this.socket = parts.socket;
    this.reader = parts.reader;
    this.output = parts.output;
    this.secure = parts.secure;
  }

  /** Sends an answer of one line. */
  async answer({ ok: isOk, text }: Reply): Promise<void> {
    this.output.line(`${isOk ? '+OK' : '-ERR'} ${text}`.trimEnd());
    await this.output.flush();
  }

  /** A message by its number, when it is there and not marked; else null. */
  message(number: string | undefined): StoredMessage | null {
    const message = /^\d{1,9}$/.test(number ?? '') ? this.view[Number(number) - 1] : undefined;
    // Another protocol may have taken it meanwhile.
    return message && !message.expunged && !this.deleted.has(message) ? message : null;
  }

  /** Messages that are not marked, with their numbers. */
  *messages(): Generator<{ number: number; message: StoredMessage }> {
    for (const [index, message] of this.view.entries()) {
      if (!this.deleted.has(message)) yield { number: index + 1, message };
    }
  }

  /** Commits the fault of this phase, if there is one. A reply means: answer with it and do nothing else. */
  async strike(phase: Phase, message: StoredMessage | null = null): Promise<Reply | null> {
    const action = this.faults.forCommand(phase, this.user?.name ?? null, message?.uid ?? null);
    return action ? await this.#commit(action) : null;
  }

  /** The fault in what is said about one message. */
  flaw(phase: Phase, message: StoredMessage): Action | null {
    return this.faults.forMessage(phase, this.user?.name ?? null, message.uid);
  }

  /** Ends the connection, or never answers again; in that case it ends when the client gives up. */
  async cut(end: 'hang' | 'reset' | 'drop'): Promise<never> {
    await this.output.flush();
    if (end === 'reset') this.socket.resetAndDestroy();
    else if (end === 'drop') this.socket.destroy();
    else if (!this.socket.destroyed) {
      await new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
    }
    throw new ConnectionOver();
  }

  async #commit(action: Action): Promise<Reply | null> {
    switch (action.do) {
      case 'hang':
      case 'reset':
      case 'drop':
        return await this.cut(action.do);
      case 'err':
        return err(action.text);
      case 'pretend':
        return ok('done');
      case 'wait':
        await new Promise((resolve) => setTimeout(resolve, action.ms));
        return null;
      case 'say':
        this.output.line(action.line);
        return null;
      case 'drip':
        this.output.slowDown(action.bytes, action.ms);
        return null;
      default:
        return null;
    }
  }
}
