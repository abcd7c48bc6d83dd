/** The sending side of a connection: gathers small pieces, and waits when the client does not take more. */
import type { Socket } from 'node:net';

const FLUSH_BYTES = 64 * 1024;

export class Output {
  #socket: Socket;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #drip: { bytes: number; ms: number } | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Goes on over another socket: after STARTTLS. */
  moveTo(socket: Socket): void {
    this.#socket = socket;
  }

  /** From now on sends `bytes` every `ms`. */
  slowDown(bytes: number, ms: number): void {
    this.#drip = { bytes, ms };
  }

  line(text: string): void {
    this.add(`${text}\r\n`);
  }

  add(piece: string | Buffer): void {
    const bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(piece, 'utf8');
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
  }

  /** Sends when much has gathered; for loops over many messages. */
  async relieve(): Promise<void> {
    if (this.#bytes >= FLUSH_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#pieces.length === 0) return;
    const all = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    if (!this.#drip) return this.#send(all);
    const { bytes, ms } = this.#drip;
    for (let at = 0; at < all.length && !this.#socket.destroyed; at += bytes) {
      await this.#send(all.subarray(at, at + bytes));
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }

  async #send(bytes: Buffer): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed || !socket.writable || socket.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      socket.on('drain', done);
      socket.on('close', done);
    });
  }
}
