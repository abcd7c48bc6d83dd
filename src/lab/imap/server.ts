/**
 * A scriptable IMAP4rev1 server in memory: for the demo, for tests, and for an operator who wants to see what
 * happens when a mail server misbehaves. It listens on the loopback address only.
 */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { Certificate } from '../certificate.ts';
import {
  type Content,
  type Credentials,
  type DeliverOptions,
  MailStore,
  type StoredMessage,
} from '../mail-store.ts';
import { Output } from '../output.ts';
import { argumentText } from './command-parser.ts';
import { CommandReader } from './command-reader.ts';
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
const LINE_BYTES = 64 * 1024;
const APPEND_BYTES = 64 * 1024 * 1024;
const LOG_LENGTH = 10_000;

export interface LabImapOptions {
  /** 0, the default, takes a free port. */
  port?: number;
  /** Needed for `tls: 'implicit'` and for STARTTLS. */
  certificate?: Certificate | null;
  /** `implicit` speaks TLS from the first byte. */
  tls?: 'implicit' | 'starttls';
  /** Capabilities that this server is to lack, for example `IDLE` or `UIDPLUS`. */
  without?: readonly string[];
}

/** A command as a client sent it. Passwords and message bytes are left out. */
export interface LoggedCommand {
  connection: number;
  user: string | null;
  name: string;
  /** The plain arguments, joined; empty for logins. */
  detail: string;
}

export class LabImapServer {
  readonly store = new MailStore();
  readonly faults = new FaultScript();
  /** The last 10,000 commands. */
  readonly commands: LoggedCommand[] = [];
  /** Logins that succeeded, for each user. */
  readonly logins = new Map<string, number>();
  /** Connections ever accepted. */
  accepted = 0;
  readonly #options: LabImapOptions;
  readonly #capabilities: ReadonlySet<string>;
  readonly #server: net.Server;
  readonly #open = new Set<net.Socket>();

  constructor(options: LabImapOptions = {}) {
    this.#options = options;
    const missing = new Set(options.without);
    if (!options.certificate) missing.add('STARTTLS');
    this.#capabilities = new Set(CAPABILITIES.filter((name) => !missing.has(name)));
    const { certificate } = options;
    const accept = (socket: net.Socket): void => this.#accept(socket);
    if (options.tls === 'implicit') {
      if (!certificate) throw new Error('Implicit TLS needs a certificate');
      this.#server = tls.createServer({ key: certificate.key, cert: certificate.cert }, accept);
      // A client that does not like the certificate must not end the server.
      this.#server.on('tlsClientError', () => {});
    } else this.#server = net.createServer(accept);
  }

  /** Starts to listen and returns the port. */
  async start(): Promise<number> {
    this.#server.listen(this.#options.port ?? 0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this.port;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#open.size;
  }

  /** Stops listening and cuts every connection. */
  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.disconnectAll();
    await closed;
  }

  disconnectAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  addUser(name: string, credentials: Credentials): void {
    this.store.addUser(name, credentials);
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

  /** How many commands of a name came, for example `UID FETCH`. */
  countCommands(name: string): number {
    return this.commands.filter((command) => command.name === name).length;
  }

  #accept(socket: net.Socket): void {
    this.accepted += 1;
    this.#open.add(socket);
    socket.setNoDelay(true);
    // Errors of one client are seen as the end of its connection; there is nobody to tell.
    socket.on('error', () => {});
    socket.on('close', () => this.#open.delete(socket));
    const connection = new Connection({
      id: this.accepted,
      store: this.store,
      faults: this.faults,
      capabilities: this.#capabilities,
      socket,
      reader: newReader(socket),
      output: new Output(socket),
      secure: this.#options.tls === 'implicit',
    });
    void serve(connection, this.#events);
  }

  readonly #events: SessionEvents = {
    command: (connection, command) => {
      const secret = command.name === 'LOGIN' || command.name === 'AUTHENTICATE';
      // The last argument of APPEND is the message.
      const args = command.name === 'APPEND' ? command.args.slice(0, -1) : command.args;
      const detail = secret ? '' : args.map((argument) => argumentText(argument) ?? '(...)').join(' ');
      const { id, user } = connection;
      this.commands.push({
        connection: id,
        user: user?.name ?? null,
        name: command.name,
        detail: detail.slice(0, 500),
      });
      if (this.commands.length > LOG_LENGTH) this.commands.shift();
    },
    loggedIn: ({ user }) => {
      if (user) this.logins.set(user.name, (this.logins.get(user.name) ?? 0) + 1);
    },
    startTls: (connection) => this.#startTls(connection),
  };

  async #startTls(connection: Connection): Promise<void> {
    const { certificate } = this.#options;
    if (!certificate) return;
    connection.reader.detach();
    const plain = connection.socket;
    const secured = new tls.TLSSocket(plain, {
      isServer: true,
      key: certificate.key,
      cert: certificate.cert,
    });
    secured.on('error', () => plain.destroy());
    connection.socket = secured;
    connection.secure = true;
    connection.output.moveTo(secured);
    connection.reader = newReader(secured);
  }
}

function newReader(socket: net.Socket): CommandReader {
  return new CommandReader(socket, { lineBytes: LINE_BYTES, literalBytes: APPEND_BYTES });
}
