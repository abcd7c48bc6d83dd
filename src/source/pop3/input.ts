/**
 * Bytes from the server in the order they came. The socket is held back while nobody reads, so that memory does
 * not depend on what the server sends.
 */
import type { Socket } from 'node:net';
import { fail, type PenstockError } from '../../errors.ts';

/** The socket stops while more than this waits to be read. */
const HELD_BYTES = 256 * 1024;
const LF = 0x0a;
const CR = 0x0d;

export class Input {
  #socket: Socket | null = null;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #ended: PenstockError | null = null;
  #wake: (() => void) | null = null;

  attach(socket: Socket): void {
    this.#socket = socket;
    socket.on('data', this.#onData);
  }

  /** Lets go of the socket: for the change to TLS. Returns how many bytes came that nobody has read. */
  detach(): number {
    this.#socket?.off('data', this.#onData);
    this.#socket?.pause();
    this.#socket = null;
    return this.#bytes;
  }

  /** No more will come. What is here can still be read: servers say why before they hang up. */
  end(error: PenstockError): void {
    this.#ended ??= error;
    this.#wakeUp();
  }

  /** The next bytes, at least one. Waits at most `ms`; null when that was too short. */
  async take(ms: number): Promise<Buffer | null> {
    if (this.#bytes === 0 && !(await this.#more(ms))) return null;
    const piece = this.#pieces.shift() as Buffer;
    this.#reduce(piece.length);
    return piece;
  }

  /** Gives back bytes that were taken too far. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#pieces.unshift(bytes);
    this.#bytes += bytes.length;
  }

  /**
   * The next line without its end, which may be CRLF or LF. Waits at most `ms` in all; null when that was too
   * short. Fails with `server_protocol` when the line is longer than `most`.
   */
  async line(most: number, ms: number): Promise<Buffer | null> {
    const until = performance.now() + ms;
    const parts: Buffer[] = [];
    let length = 0;
    for (;;) {
      const piece = await this.take(until - performance.now());
      if (piece === null) return null;
      const end = piece.indexOf(LF);
      parts.push(end < 0 ? piece : piece.subarray(0, end));
      length += parts.at(-1)?.length ?? 0;
      if (length > most) throw fail('server_protocol', `The server sent a line of more than ${most} bytes`);
      if (end < 0) continue;
      this.unread(piece.subarray(end + 1));
      const line = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
      return line.at(-1) === CR ? line.subarray(0, -1) : line;
    }
  }

  /** False when nothing came within `ms`. Fails with what ended the connection. */
  async #more(ms: number): Promise<boolean> {
    if (this.#ended) throw this.#ended;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, Math.max(0, ms));
    await promise;
    clearTimeout(timer);
    this.#wake = null;
    if (this.#bytes > 0) return true;
    if (this.#ended) throw this.#ended;
    return false;
  }

  #reduce(length: number): void {
    this.#bytes -= length;
    if (this.#bytes <= HELD_BYTES) this.#socket?.resume();
  }

  #onData = (chunk: Buffer): void => {
    this.#pieces.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > HELD_BYTES) this.#socket?.pause();
    this.#wakeUp();
  };

  #wakeUp(): void {
    this.#wake?.();
  }
}
