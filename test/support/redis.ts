/** A private Redis server, set up as production should be: append-only file, nothing evicted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { tempFolder } from './folder.ts';
import { freePort } from './port.ts';
import { type Running, startProgram } from './process.ts';

export class TestRedis {
  readonly url: string;
  readonly port: number;
  readonly #folder: string;
  #server: Running | undefined;

  constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
    this.url = `redis://127.0.0.1:${port}`;
  }

  /** Starts it, or starts it again on the same port with the same data. */
  async start(): Promise<void> {
    const settings = {
      port: this.port,
      bind: '127.0.0.1',
      dir: this.#folder,
      appendonly: 'yes',
      appendfsync: 'everysec',
      'maxmemory-policy': 'noeviction',
      save: '',
      daemonize: 'no',
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.#server = startProgram('redis-server', args);
    await this.#server.waitForLine(/Ready to accept connections/);
  }

  /** Stops it orderly: it writes its file first. */
  async stop(): Promise<void> {
    await this.#server?.stop('SIGTERM');
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  /** Stops its clock: connections stay open and nothing answers, as with a hung host. */
  freeze(): void {
    this.#server?.signal('SIGSTOP');
  }

  thaw(): void {
    this.#server?.signal('SIGCONT');
  }

  async flushAll(): Promise<void> {
    await this.command('flushall');
  }

  /** Runs one command over a connection of its own. */
  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const client = new Redis(this.url, { maxRetriesPerRequest: 1, lazyConnect: true });
    client.on('error', () => {});
    try {
      await client.connect();
      return await client.call(name, ...args.map(String));
    } finally {
      client.disconnect();
    }
  }
}

/** Starts a server on a free port; it ends with the test file. */
export async function startRedis(): Promise<TestRedis> {
  const folder = await tempFolder('redis');
  for (let attempt = 1; ; attempt++) {
    const redis = new TestRedis(folder, await freePort());
    try {
      await redis.start();
      return redis;
    } catch (error) {
      // Somebody else may have taken the port meanwhile.
      if (attempt === 3) throw error;
      await sleep(50);
    }
  }
}
