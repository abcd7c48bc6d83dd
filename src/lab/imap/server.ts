/**
 * A scriptable IMAP4rev1 server in memory: for the demo, for tests, and for an operator who wants to see what
 * happens when a mail server misbehaves. It listens on the loopback address only.
 */
import type { Content, DeliverOptions, StoredMessage } from '../mail-store.ts';
import type { ConnectionParts } from '../wire/connection.ts';
import { LineServer, type LineServerOptions } from '../wire/server.ts';
import { argumentText } from './command-parser.ts';
import { Connection } from './connection.ts';
import { FaultScript } from './faults.ts';
import { type SessionEvents, serve } from './session.ts';

const CAPABILITIES = [
  'IMAP4rev1',
  'LITERAL+',
  'SASL-IR',
  'STARTTLS',
  'AUTH=PLAIN',
  'AUTH=XOAUTH2',
  'ID',
  'ENABLE',
  'NAMESPACE',
  'CHILDREN',
  'SPECIAL-USE',
  'UNSELECT',
  'UIDPLUS',
  'MOVE',
  'IDLE',
];

export interface LabImapOptions extends LineServerOptions {
  /** Capabilities that this server is to lack, for example `IDLE` or `UIDPLUS`. */
  without?: readonly string[];
}

export class LabImapServer extends LineServer {
  readonly faults = new FaultScript();
  /** Logins that succeeded, for each user. */
  readonly logins = new Map<string, number>();
  readonly #capabilities: ReadonlySet<string>;

  constructor(options: LabImapOptions = {}) {
    super(options);
    const missing = new Set(options.without);
    if (!options.certificate) missing.add('STARTTLS');
    this.#capabilities = new Set(CAPABILITIES.filter((name) => !missing.has(name)));
  }

  /** Puts a message into a folder, as an MTA would. Open sessions hear of it. */
  deliver(user: string, folder: string, content: Buffer | Content, options?: DeliverOptions): StoredMessage {
    return this.store.deliver(user, folder, content, options);
  }

  bumpUidValidity(user: string, folder: string, uidValidity?: string): void {
    this.store.bumpUidValidity(user, folder, uidValidity);
  }

  messages(user: string, folder = 'INBOX'): readonly StoredMessage[] {
    return this.store.folder(user, folder).messages;
  }

  protected override serve(parts: ConnectionParts): void {
    const { store, faults } = this;
    void serve(new Connection(parts, { store, faults, capabilities: this.#capabilities }), this.#events);
  }

  readonly #events: SessionEvents = {
    command: (connection, { name, args }) => {
      const secret = name === 'LOGIN' || name === 'AUTHENTICATE';
      // The last argument of APPEND is the message.
      const plain = secret ? [] : name === 'APPEND' ? args.slice(0, -1) : args;
      this.log(connection, name, plain.map((argument) => argumentText(argument) ?? '(...)').join(' '));
    },
    loggedIn: ({ user }) => {
      if (user) this.logins.set(user.name, (this.logins.get(user.name) ?? 0) + 1);
    },
    startTls: (connection) => {
      if (this.certificate) connection.startTls(this.certificate);
    },
  };
}
