/**
 * A scriptable POP3 server in memory (RFC 1939, 2449): for tests, and for an operator who wants to see what happens
 * when a mail server misbehaves. It listens on the loopback address only, and serves the INBOX of each user.
 */
import type { Content, DeliverOptions, StoredMessage } from '../mail-store.ts';
import type { ConnectionParts } from '../wire/connection.ts';
import { LineServer, type LineServerOptions } from '../wire/server.ts';
import type { UniqueId } from './commands.ts';
import { Connection } from './connection.ts';
import { FaultScript } from './faults.ts';
import { type SessionHost, serve } from './session.ts';

const CAPABILITIES = ['TOP', 'UIDL', 'USER', 'STLS', 'SASL PLAIN XOAUTH2', 'RESP-CODES', 'PIPELINING'];

export interface LabPop3Options extends LineServerOptions {
  /** Commands and capabilities that this server is to lack: `CAPA`, `UIDL`, `TOP`, `PIPELINING`, `USER`, `SASL`. */
  without?: readonly string[];
  /** Capabilities on top of the usual ones, as whole lines: `LOGIN-DELAY 300`. */
  also?: readonly string[];
  /** Seconds that must lie between two logins of a user; fewer are refused. */
  loginDelay?: number;
  /** False lets a user have several sessions at once; true, the default, is what RFC 1939 section 8 asks for. */
  exclusive?: boolean;
  /** The unique-id of a message; its UID when left out. */
  uniqueId?: UniqueId;
}

export class LabPop3Server extends LineServer {
  readonly faults = new FaultScript();
  readonly #host: SessionHost;

  constructor(options: LabPop3Options = {}) {
    super(options);
    const missing = new Set(options.without);
    if (!options.certificate) missing.add('STLS');
    const usual = CAPABILITIES.filter((line) => !missing.has(line.split(' ', 1)[0] as string));
    this.#host = {
      store: this.store,
      capabilities: [...usual, ...(options.also ?? [])],
      missing,
      loginDelay: options.loginDelay ?? 0,
      uniqueId: options.uniqueId ?? (({ uid }) => String(uid)),
      locked: options.exclusive === false ? null : new Set(),
      lastLogins: new Map(),
      heard: (connection, name, detail) => this.log(connection, name, withoutSecrets(name, detail)),
      startTls: (connection) => {
        if (this.certificate) connection.startTls(this.certificate);
      },
    };
  }

  /** Puts a message into the INBOX of a user, as an MTA would. Sessions that are open do not see it. */
  deliver(user: string, content: Buffer | Content, options?: DeliverOptions): StoredMessage {
    return this.store.deliver(user, 'INBOX', content, options);
  }

  messages(user: string): readonly StoredMessage[] {
    return this.store.folder(user, 'INBOX').messages;
  }

  protected override serve(parts: ConnectionParts): void {
    void serve(new Connection(parts, this.faults), this.#host);
  }
}

function withoutSecrets(name: string, detail: string): string {
  if (name === 'PASS') return '';
  if (name !== 'AUTH') return detail;
  const [mechanism = '', initial] = detail.split(' ');
  return initial === undefined ? mechanism : `${mechanism} with a response`;
}
