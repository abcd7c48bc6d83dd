/** What lab servers that speak in lines share: listening, TLS, their connections, and the commands that came. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { Certificate } from '../certificate.ts';
import { type Credentials, MailStore } from '../mail-store.ts';
import type { ConnectionParts, LineConnection } from './connection.ts';

export interface LineServerOptions {
  /** 0, the default, takes a free port. */
  port?: number;
  /** Needed for `tls: 'implicit'` and for the change to TLS. */
  certificate?: Certificate | null;
  /** `implicit` speaks TLS from the first byte. */
  tls?: 'implicit' | 'starttls';
  /** Mail that other servers serve too. */
  store?: MailStore;
}

/** A command as a client sent it. Passwords and message bytes are left out. */
export interface LoggedCommand {
  connection: number;
  user: string | null;
  name: string;
  /** The plain arguments, joined; empty for logins. */
  detail: string;
}

const LOG_LENGTH = 10_000;
const DETAIL_LENGTH = 500;

/** Listens on the loopback address only. */
export abstract class LineServer {
  readonly store: MailStore;
  /** The last 10,000 commands. */
  readonly commands: LoggedCommand[] = [];
  /** Connections ever accepted. */
  accepted = 0;
  protected readonly certificate: Certificate | null;
  readonly #port: number;
  readonly #secure: boolean;
  readonly #server: net.Server;
  readonly #open = new Set<net.Socket>();

  constructor({ port = 0, certificate = null, tls: mode, store }: LineServerOptions) {
    this.store = store ?? new MailStore();
    this.certificate = certificate;
    this.#port = port;
    this.#secure = mode === 'implicit';
    const accept = (socket: net.Socket): void => this.#accept(socket);
    if (this.#secure) {
      if (!certificate) throw new Error('Implicit TLS needs a certificate');
      this.#server = tls.createServer({ key: certificate.key, cert: certificate.cert }, accept);
      // A client that does not like the certificate must not end the server.
      this.#server.on('tlsClientError', () => {});
    } else this.#server = net.createServer(accept);
  }

  /** Starts to listen and returns the port. */
  async start(): Promise<number> {
    this.#server.listen(this.#port, '127.0.0.1');
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

  /** How many commands of a name came, for example `UID FETCH`. */
  countCommands(name: string): number {
    return this.commands.filter((command) => command.name === name).length;
  }

  /** Serves a connection to its end. Never throws. */
  protected abstract serve(parts: ConnectionParts): void;

  protected log({ id, user }: LineConnection, name: string, detail: string): void {
    this.commands.push({
      connection: id,
      user: user?.name ?? null,
      name,
      detail: detail.slice(0, DETAIL_LENGTH),
    });
    if (this.commands.length > LOG_LENGTH) this.commands.shift();
  }

  #accept(socket: net.Socket): void {
    this.accepted += 1;
    this.#open.add(socket);
    socket.setNoDelay(true);
    // Errors of one client are seen as the end of its connection; there is nobody to tell.
    socket.on('error', () => {});
    socket.on('close', () => this.#open.delete(socket));
    this.serve({ id: this.accepted, socket, secure: this.#secure });
  }
}
