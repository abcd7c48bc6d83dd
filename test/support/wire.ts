/** A wire to a server that can be cut: for whoever is behind it, the server is then gone, until it is mended. */
import net, { type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import type pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import { onCleanup } from './cleanup.ts';

export class Wire {
  readonly #server: net.Server;
  readonly port: number;
  readonly #ends = new Set<net.Socket>();

  private constructor(server: net.Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async to(target: NetConnectOpts): Promise<Wire> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const wire = new Wire(server, (server.address() as net.AddressInfo).port);
    server.on('connection', (near) => {
      const far = net.connect(target);
      for (const [end, other] of [
        [near, far],
        [far, near],
      ] as const) {
        wire.#ends.add(end);
        end.on('error', () => {});
        end.on('close', () => {
          wire.#ends.delete(end);
          other.destroy();
        });
        end.pipe(other);
      }
    });
    onCleanup(() => wire.cut());
    return wire;
  }

  /** At once, in the middle of whatever is under way. */
  cut(): void {
    this.#server.close();
    for (const end of this.#ends) end.destroy();
  }

  /** On the same port again. */
  async mend(): Promise<void> {
    const { port } = this;
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }
}

/** A wire to a database, and how to connect through it. */
export async function wireToDatabase(url: string): Promise<{ wire: Wire; settings: pg.ClientConfig }> {
  const config = parseIntoClientConfig(url);
  const { host = '127.0.0.1', port = 5432 } = config;
  const target = host.startsWith('/')
    ? { path: join(host, `.s.PGSQL.${port}`) }
    : { host, port: Number(port) };
  const wire = await Wire.to(target);
  return { wire, settings: { ...config, host: '127.0.0.1', port: wire.port } };
}
