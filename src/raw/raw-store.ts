/**
 * Raw messages, addressed by SHA-256. A few small ones are rows in PostgreSQL and committed with their ledger rows;
 * many small ones of a batch are one file, and each larger one is a file: complete and fsynced before the rows that name
 * it are written.
 */
import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { headerDigest } from '../message/header-block.ts';
import type { Database } from '../store/database.ts';
import type { RawBytes } from '../store/intake.ts';
import { readPack } from './pack.ts';
import { RawFiles } from './raw-files.ts';
import { RecentRaw } from './recent-raw.ts';

/** The bytes of a message as a reader gets them: small ones at hand, large ones as a file to stream. */
export type RawLocation = { inline: Buffer } | { file: string };

type Row = { sha256: Buffer; size: number; bytes: Buffer | null; pack: string | null; offset: number | null };

export class RawStore {
  readonly files: RawFiles;
  readonly #db: Database;
  readonly #recent = new RecentRaw(LIMITS.recentRawBytes);

  constructor(db: Database, dataDirectory: string) {
    this.#db = db;
    this.files = new RawFiles(db, dataDirectory);
  }

  async start(): Promise<void> {
    await this.files.start();
  }

  /** Prepares bytes at hand. They become durable with the intake commit, or before it: see {@link settle}. */
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
    const temporary = this.files.temporary();
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
      await this.files.place(temporary, sha256);
      return { sha256, headerSha256: headerDigest(head), size, inline: null, pack: null };
    } finally {
      await handle.close();
      await rm(temporary, { force: true });
    }
  }

  /**
   * To be called before a batch is committed: what is too much for the database becomes one file, durable when this
   * returns. Gives the same messages back, in their order, as they are to be committed.
   */
  async settle(raws: readonly RawBytes[]): Promise<RawBytes[]> {
    const inline = raws.flatMap(({ sha256, inline }) => (inline === null ? [] : [{ sha256, bytes: inline }]));
    if (inline.reduce((sum, { bytes }) => sum + bytes.length, 0) <= LIMITS.inlineRawBytes) return [...raws];
    const places = (await this.files.writePack(inline)).values();
    return raws.map((raw) =>
      raw.inline === null ? raw : { ...raw, inline: null, pack: places.next().value! },
    );
  }

  /** Where the bytes of these messages are, by hex digest. Fails with `raw_missing` when {@link find} leaves one out. */
  async locate(digests: Buffer[]): Promise<Map<string, RawLocation>> {
    const found = await this.find(digests);
    for (const digest of digests) {
      const hex = digest.toString('hex');
      if (!found.has(hex))
        throw fail('raw_missing', `No bytes are stored for ${hex}, or they have changed.`, { sha256: hex });
    }
    return found;
  }

  /**
   * As {@link locate}; left out is what has no row, and what is not whole in its pack. Whether a file of its own is there
   * is found out by whoever reads it.
   */
  async find(digests: Buffer[]): Promise<Map<string, RawLocation>> {
    const found = new Map<string, RawLocation>();
    const stored: Buffer[] = [];
    for (const digest of digests) {
      const hex = digest.toString('hex');
      const bytes = this.#recent.take(hex);
      if (bytes === null) stored.push(digest);
      else found.set(hex, { inline: bytes });
    }
    if (stored.length === 0) return found;
    for (const [pack, rows] of Map.groupBy(await this.#read(stored), (row) => row.pack)) {
      const pieces = pack === null ? [] : await this.#readPack(pack, rows);
      for (const [index, row] of rows.entries()) {
        const hex = row.sha256.toString('hex');
        if (pack === null) found.set(hex, row.bytes === null ? this.#file(row) : { inline: row.bytes });
        else if (isWhole(row, pieces[index])) found.set(hex, { inline: pieces[index]! });
      }
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

  async #read(digests: Buffer[]): Promise<Row[]> {
    return await this.#db
      .selectFrom('raw_message')
      .select(['sha256', 'size', 'bytes', 'pack', 'pack_offset as offset'])
      .where('sha256', 'in', digests)
      .execute();
  }

  /** None when the file is missing: that concerns its messages, not whoever asks for others too. */
  async #readPack(pack: string, rows: readonly Row[]): Promise<Buffer[]> {
    try {
      return await readPack(
        this.files.packPath(pack),
        rows.map(({ offset, size }) => ({ offset: offset!, size })),
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  #file({ sha256 }: Row): RawLocation {
    return { file: this.files.path(sha256) };
  }
}

/** A file can be cut or changed without the database knowing. */
function isWhole({ sha256 }: Row, bytes: Buffer | undefined): boolean {
  return bytes !== undefined && hash('sha256', bytes, 'buffer').equals(sha256);
}

function inlineRaw(bytes: Buffer): RawBytes {
  return {
    sha256: hash('sha256', bytes, 'buffer'),
    headerSha256: headerDigest(bytes),
    size: bytes.length,
    inline: bytes,
    pack: null,
  };
}
