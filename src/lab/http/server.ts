/** What lab servers that speak HTTP share: listening over TLS, their connections, and the requests that came. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Certificate, makeCertificate } from '../certificate.ts';

export interface HttpServerOptions {
  /** Its own when left out. */
  certificate?: Certificate;
  /** 0, the default, takes a free port. */
  port?: number;
}

const LOG_LENGTH = 10_000;

/** Listens on the loopback address only. `Seen` is what it keeps of each request. */
export abstract class LabHttpServer<Seen extends { route: string }> {
  /** The last 10,000 requests. */
  readonly seen: Seen[] = [];
  readonly certificate: Certificate;
  readonly #wantedPort: number;
  readonly #server: Server;
  readonly #open = new Set<Duplex>();

  constructor({ certificate, port = 0 }: HttpServerOptions = {}) {
    this.certificate = certificate ?? makeCertificate({ names: ['localhost', '127.0.0.1'] });
    this.#wantedPort = port;
    const { key, cert } = this.certificate;
    this.#server = createServer({ key, cert }, (request, response) => {
      this.serve(request, response).catch(() => response.destroy());
    });
    this.#server.on('connection', (socket) => {
      this.#open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#open.delete(socket));
    });
    // A client that does not like the certificate must not end the server.
    this.#server.on('tlsClientError', () => {});
  }

  /** Starts to listen and returns the port. */
  async start(): Promise<number> {
    this.#server.listen(this.#wantedPort, '127.0.0.1');
    await once(this.#server, 'listening');
    return this.port;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** `https://localhost:<port>`; the authority to trust is {@link certificate}. */
  get origin(): string {
    return `https://localhost:${this.port}`;
  }

  /** Stops listening and cuts every connection. May be called again. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  /** How many requests of a kind came. */
  count(route: Seen['route']): number {
    return this.seen.filter((request) => request.route === route).length;
  }

  protected log(request: Seen): void {
    this.seen.push(request);
    if (this.seen.length > LOG_LENGTH) this.seen.shift();
  }

  /** Answers a request. When it fails, the connection is cut. */
  protected abstract serve(request: IncomingMessage, response: ServerResponse): Promise<void>;
}
