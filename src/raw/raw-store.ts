/**
 * Raw messages, addressed by SHA-256. Small ones are rows in PostgreSQL and committed with their ledger row;
 * larger ones are files, complete and fsynced before the row that names them is written.
 */
import { createHash, hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { sql } from 'kysely';
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { headerDigest } from '../message/header-block.ts';
import type { Database } from '../store/database.ts';
import type { RawBytes } from '../store/intake.ts';
import { RecentRaw } from './recent-raw.ts';

/** The bytes of a message as a reader gets them: small ones at hand, large ones as a file to stream. */
export type RawLocation = { inline: Buffer } | { file: string };

const DIGEST = /^[0-9a-f]{64}$/;
const DIGESTS_AT_ONCE = 1_000;
/** No commit comes later after its file. */
const JUST_WRITTEN_MS = 60 * 60_000;

export class RawStore {
  readonly #db: Database;
  readonly #directory: string;
  readonly #recent = new RecentRaw(LIMITS.recentRawBytes);

  constructor(db: Database, dataDirectory: string) {
    this.#db = db;
    this.#directory = join(dataDirectory, 'raw');
  }

  async start(): Promise<void> {
    await mkdir(join(this.#directory, 'tmp'), { recursive: true, mode: 0o700 });
  }

  /** Prepares bytes at hand. They become durable with the intake commit, or before it when they are large. */
  async put(bytes: Buffer): Promise<RawBytes> {
    if (bytes.length > LIMITS.inlineRawBytes)
      return await this.putStream(Readable.from([bytes]), bytes.length);
    const raw = inlineRaw(bytes);
    this.#recent.keep(raw.sha256.toString('hex'), bytes);
    return raw;
  }

  /**
   * Takes a message as a stream, in constant memory. Fails with `message_oversized` past `maxBytes`, and with
   * the stream's own error; nothing is left behind then.
   */
  async putStream(source: Readable, maxBytes: number): Promise<RawBytes> {
    const temporary = join(this.#directory, 'tmp', randomUUID());
    const handle = await open(temporary, 'wx', 0o600);
    try {
      const digest = createHash('sha256');
      const start: Buffer[] = [];
      let size = 0;
      for await (const chunk of source as AsyncIterable<Buffer>) {
        if (size < LIMITS.headerBytes) start.push(chunk);
        size += chunk.length;
        if (size > maxBytes) {
          throw fail('message_oversized', `The message is larger than ${maxBytes} bytes.`, { maxBytes });
        }
        digest.update(chunk);
        // Not write(): a disk that is nearly full takes a part of the chunk and calls that a success.
        await handle.appendFile(chunk);
      }
      const head = Buffer.concat(start);
      // A server may have called a small message large; then it belongs where small ones are.
      if (size <= LIMITS.inlineRawBytes && size === head.length) return inlineRaw(head);
      await handle.sync();
      const sha256 = digest.digest();
      await this.#place(temporary, sha256);
      return { sha256, headerSha256: headerDigest(head), size, inline: null };
    } finally {
      await handle.close();
      await rm(temporary, { force: true });
    }
  }

  /** Where the bytes of these messages are, by hex digest. Fails with `raw_missing` when a row is missing. */
  async locate(digests: Buffer[]): Promise<Map<string, RawLocation>> {
    const found = await this.find(digests);
    for (const digest of digests) {
      const hex = digest.toString('hex');
      if (!found.has(hex)) throw fail('raw_missing', `No bytes are stored for ${hex}.`, { sha256: hex });
    }
    return found;
  }

  /** As {@link locate}; what is missing is left out. */
  async find(digests: Buffer[]): Promise<Map<string, RawLocation>> {
    const found = new Map<string, RawLocation>();
    const stored: Buffer[] = [];
    for (const digest of digests) {
      const hex = digest.toString('hex');
      const bytes = this.#recent.take(hex);
      if (bytes === null) stored.push(digest);
      else found.set(hex, { inline: bytes });
    }
    for (const row of stored.length === 0 ? [] : await this.#read(stored)) {
      const inline = row.bytes;
      found.set(row.sha256.toString('hex'), inline === null ? { file: this.#path(row.sha256) } : { inline });
    }
    return found;
  }

  /** The whole message, checked against its digest. For tools and tests; large mail is better streamed. */
  async read(sha256: Buffer): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of await this.open(sha256)) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    if (!createHash('sha256').update(bytes).digest().equals(sha256)) {
      throw fail('raw_corrupt', `The bytes stored for ${sha256.toString('hex')} have changed.`, {});
    }
    return bytes;
  }

  /** The message as a stream. Fails with `raw_missing`. */
  async open(sha256: Buffer): Promise<Readable> {
    const location = (await this.locate([sha256])).get(sha256.toString('hex'))!;
    if ('inline' in location) return Readable.from([location.inline]);
    try {
      await stat(location.file);
    } catch (error) {
      throw fail('raw_missing', `The file ${location.file} is missing.`, { file: location.file }, error);
    }
    return createReadStream(location.file);
  }

  /** Free bytes where large messages go. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#directory);
    return bavail * bsize;
  }

  /** Removes what a crash left in the temporary folder. Files of running transfers are younger. */
  async removeLeftovers(olderThanMs: number): Promise<number> {
    const folder = join(this.#directory, 'tmp');
    let removed = 0;
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const info = await stat(path).catch(() => null);
      if (info === null || Date.now() - info.mtimeMs < olderThanMs) continue;
      await rm(path, { force: true });
      removed += 1;
    }
    return removed;
  }

  /**
   * Deletes the file of a message whose row is gone. A file that was written lately is kept: the same message came
   * again, and its new row is about to name it.
   */
  async removeFile(sha256: Buffer): Promise<void> {
    await this.#removeOld(this.#path(sha256), JUST_WRITTEN_MS);
  }

  /**
   * Removes files that no row names: their commit failed, or a crash came before it. One that is younger than
   * `olderThanMs` may be about to be named.
   */
  async removeOrphans(olderThanMs: number): Promise<number> {
    let removed = 0;
    for (const folder of await readdir(this.#directory)) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue;
      const names = (await readdir(join(this.#directory, folder))).filter((name) => DIGEST.test(name));
      for (let at = 0; at < names.length; at += DIGESTS_AT_ONCE) {
        for (const sha256 of await this.#unnamed(names.slice(at, at + DIGESTS_AT_ONCE)))
          if (await this.#removeOld(this.#path(sha256), olderThanMs)) removed += 1;
      }
    }
    return removed;
  }

  /** Those of these digests that no row has. */
  async #unnamed(hexDigests: string[]): Promise<Buffer[]> {
    const digests = hexDigests.map((hex) => Buffer.from(hex, 'hex'));
    const rows = await this.#db
      .selectFrom('raw_message')
      .select('sha256')
      .where('sha256', '=', sql<Buffer>`any(${digests}::bytea[])`)
      .execute();
    const named = new Set(rows.map(({ sha256 }) => sha256.toString('hex')));
    return digests.filter((digest) => !named.has(digest.toString('hex')));
  }

  /**
   * Removes a file unless it was written lately. It is put aside first: the same message may come again between the
   * question and the removal, and then this is its new file, which goes back.
   */
  async #removeOld(path: string, olderThanMs: number): Promise<boolean> {
    const isOld = async (file: string): Promise<boolean> => {
      const info = await stat(file).catch(() => null);
      return info !== null && Date.now() - info.mtimeMs >= olderThanMs;
    };
    if (!(await isOld(path))) return false;
    const aside = join(this.#directory, 'tmp', randomUUID());
    // Another process may be doing the same.
    const isOurs = await rename(path, aside).then(
      () => true,
      () => false,
    );
    if (!isOurs) return false;
    if (!(await isOld(aside))) {
      await rename(aside, path);
      return false;
    }
    await rm(aside, { force: true });
    return true;
  }

  async #read(digests: Buffer[]): Promise<{ sha256: Buffer; bytes: Buffer | null }[]> {
    return await this.#db
      .selectFrom('raw_message')
      .select(['sha256', 'bytes'])
      .where('sha256', 'in', digests)
      .execute();
  }

  #path(sha256: Buffer): string {
    const hex = sha256.toString('hex');
    return join(this.#directory, hex.slice(0, 2), hex);
  }

  async #place(temporary: string, sha256: Buffer): Promise<void> {
    const path = this.#path(sha256);
    const folder = dirname(path);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rename(temporary, path);
    for (const directory of [folder, this.#directory]) {
      const handle = await open(directory, 'r');
      await handle.sync();
      await handle.close();
    }
  }
}

function inlineRaw(bytes: Buffer): RawBytes {
  return {
    sha256: hash('sha256', bytes, 'buffer'),
    headerSha256: headerDigest(bytes),
    size: bytes.length,
    inline: bytes,
  };
}
