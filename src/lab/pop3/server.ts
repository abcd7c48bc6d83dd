/**
 * A scriptable POP3 server in memory (RFC 1939, 2449): for tests, and for an operator who wants to see what happens
 * when a mail server misbehaves. It listens on the loopback address only, and serves the INBOX of each user.
 */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { Certificate } from '../certificate.ts';
import { CommandReader } from '../imap/command-reader.ts';
import {
  type Content,
  type Credentials,
  type DeliverOptions,
  MailStore,
  type StoredMessage,
} from '../mail-store.ts';
import { Output } from '../output.ts';
import type { UniqueId } from './commands.ts';
import { Connection } from './connection.ts';
import { FaultScript } from './faults.ts';
import { type SessionHost, serve } from './session.ts';

const CAPABILITIES = ['TOP', 'UIDL', 'USER', 'STLS', 'SASL PLAIN XOAUTH2', 'RESP-CODES', 'PIPELINING'];
const LINE_BYTES = 64 * 1024;
const LOG_LENGTH = 10_000;

export interface LabPop3Options {
  /** 0, the default, takes a free port. */
  port?: number;
  /** Needed for `tls: 'implicit'` and for STLS. */
  certificate?: Certificate | null;
  /** `implicit` speaks TLS from the first byte. */
  tls?: 'implicit' | 'starttls';
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
  /** Mail that other servers serve too. */
  store?: MailStore;
}

/** A command as a client sent it. Passwords are left out. */
export interface LoggedCommand {
  connection: number;
  user: string | null;
  name: string;
  detail: string;
}

export class LabPop3Server {
  readonly store: MailStore;
  readonly faults = new FaultScript();
  /** The last 10,000 commands. */
  readonly commands: LoggedCommand[] = [];
  /** Connections ever accepted. */
  accepted = 0;
  readonly #options: LabPop3Options;
  readonly #server: net.Server;
  readonly #open = new Set<net.Socket>();
  readonly #host: SessionHost;

  constructor(options: LabPop3Options = {}) {
    this.#options = options;
    this.store = options.store ?? new MailStore();
    const missing = new Set(options.without);
    const { certificate } = options;
    if (!certificate) missing.add('STLS');
    const usual = CAPABILITIES.filter((line) => !missing.has(line.split(' ', 1)[0] as string));
    this.#host = {
      store: this.store,
      capabilities: [...usual, ...(options.also ?? [])],
      missing,
      loginDelay: options.loginDelay ?? 0,
      uniqueId: options.uniqueId ?? (({ uid }) => String(uid)),
      locked: options.exclusive === false ? null : new Set(),
      lastLogins: new Map(),
      heard: (connection, name, detail) => this.#log(connection, name, detail),
      startTls: (connection) => this.#startTls(connection),
    };
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
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  addUser(name: string, credentials: Credentials): void {
    this.store.addUser(name, credentials);
  }

  /** Puts a message into the INBOX of a user, as an MTA would. Sessions that are open do not see it. */
  deliver(user: string, content: Buffer | Content, options?: DeliverOptions): StoredMessage {
    return this.store.deliver(user, 'INBOX', content, options);
  }

  messages(user: string): readonly StoredMessage[] {
    return this.store.folder(user, 'INBOX').messages;
  }

  /** How many commands of a name came. */
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
      faults: this.faults,
      socket,
      reader: newReader(socket),
      output: new Output(socket),
      secure: this.#options.tls === 'implicit',
    });
    void serve(connection, this.#host);
  }

  #log({ id, user }: Connection, name: string, detail: string): void {
    this.commands.push({
      connection: id,
      user: user?.name ?? null,
      name,
      detail: withoutSecrets(name, detail),
    });
    if (this.commands.length > LOG_LENGTH) this.commands.shift();
  }

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

function withoutSecrets(name: string, detail: string): string {
  if (name === 'PASS') return '';
  if (name !== 'AUTH') return detail.slice(0, 500);
  const [mechanism = '', initial] = detail.split(' ');
  return initial === undefined ? mechanism : `${mechanism} with a response`;
}

function newReader(socket: net.Socket): CommandReader {
  return new CommandReader(socket, { lineBytes: LINE_BYTES, literalBytes: 0 });
}
