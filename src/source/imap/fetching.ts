/** Fetches messages: small ones in batches, large ones as streams, headers for recognition. Never sets \Seen. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FetchMessageObject } from 'imapflow';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Fetched, Fingerprint } from '../source.ts';
import type { Commands } from './commands.ts';
import { transferMs } from './options.ts';
import type { ReadAhead } from './read-ahead.ts';
import { tolerantRows } from './tolerant-rows.ts';
import { chunksOf, uidOfKey, uidsOfKeys } from './uid-set.ts';

/**
 * Messages of up to `maxBytes`, one UID FETCH a batch. Asks for one byte more than that and no further, so that a
 * message is found too large by its bytes, whatever size the server claims.
 */
export async function* fetchWhole(
  commands: Commands,
  keys: readonly string[],
  maxBytes: number,
  ahead: ReadAhead,
  checkFolder: () => void,
): AsyncGenerator<Fetched> {
  const { uids: all, invalid } = uidsOfKeys(keys);
  for (const key of invalid) yield { key, error: fail('fetch_failed', 'This is not a UID', { key }) };
  const answer = (uid: number, bytes: Buffer): Fetched =>
    bytes.length > maxBytes ? { key: String(uid), tooLarge: true } : { key: String(uid), bytes };
  const uids: number[] = [];
  for (const uid of all) {
    const bytes = ahead.take(uid);
    if (bytes === null) uids.push(uid);
    else yield answer(uid, bytes);
  }
  const query = { uid: true, source: { start: 0, maxLength: maxBytes + 1 } };
  const rowMs = transferMs(commands.options, maxBytes);
  for (const chunk of chunksOf(uids, LIMITS.batchMessages)) {
    checkFolder();
    for await (const { uid, row, error } of tolerantRows(commands, chunk, query, rowMs, hasBytesFrom(0))) {
      const key = String(uid);
      if (!row) {
        yield { key, error: unanswered(key, error) };
        continue;
      }
      ahead.note(row.source!);
      yield answer(uid, row.source!);
    }
  }
}

/**
 * Streams one message in partial fetches. It is at its end when the server gives less than was asked for and
 * either as much as it claimed, or nothing at all from there on: a short answer alone may be a broken one.
 */
export async function streamMessage(
  commands: Commands,
  key: string,
  maxBytes: number,
  checkFolder: () => void,
): Promise<Readable> {
  const uid = uidOfKey(key);
  if (uid === null) throw fail('fetch_failed', 'This is not a UID', { key });
  const first = await fetchChunk(commands, uid, 0, false);
  if (!first) throw unanswered(key, null);
  return Readable.from(chunksFrom(commands, uid, first, maxBytes, checkFolder), {
    objectMode: false,
    highWaterMark: commands.options.chunkBytes,
  });
}

/** Recognises messages by their header and size. Messages that gave no answer are left out. */
export async function* fingerprintsOf(
  commands: Commands,
  keys: readonly string[],
  checkFolder: () => void,
): AsyncGenerator<Fingerprint> {
  const { uids } = uidsOfKeys(keys);
  const query = { uid: true, size: true, headers: true };
  const rowMs = transferMs(commands.options, LIMITS.headerBytes);
  for (const chunk of chunksOf(uids, LIMITS.batchMessages)) {
    checkFolder();
    for await (const { uid, row } of tolerantRows(commands, chunk, query, rowMs, hasHeader)) {
      if (!row) continue;
      const headerSha256 = createHash('sha256').update(row.headers!).digest();
      yield { key: String(uid), headerSha256, size: row.size ?? 0 };
    }
  }
}

/** imapflow gives these but does not declare them: the `<origin>` of each partial section, by section. */
interface Origins {
  partialOrigins?: Map<string, number>;
}

interface Chunk {
  bytes: Buffer;
  /** What the server claims the whole message to be. */
  claimed: number;
}

async function* chunksFrom(
  commands: Commands,
  uid: number,
  first: Chunk,
  maxBytes: number,
  checkFolder: () => void,
): AsyncGenerator<Buffer> {
  const { chunkBytes } = commands.options;
  const { claimed } = first;
  let received = 0;
  for (let chunk: Chunk | null = first; ; ) {
    received += chunk.bytes.length;
    if (received > maxBytes) {
      throw fail('message_oversized', `The message is larger than ${maxBytes} bytes`, {
        key: String(uid),
        maxBytes,
        claimed,
      });
    }
    yield chunk.bytes;
    const short = chunk.bytes.length < chunkBytes;
    // More than was asked for: the server ignores partial fetches and has sent everything.
    if (chunk.bytes.length > chunkBytes || (short && received >= claimed)) return;
    checkFolder();
    chunk = await fetchChunk(commands, uid, received, short);
    if (!chunk)
      throw fail('fetch_failed', 'The server stopped in the middle of the message', {
        key: String(uid),
        received,
        claimed,
      });
    if (chunk.bytes.length === 0) return;
  }
}

/** Bytes from `start` on, empty past the end. Null when the server gave no answer that fits. */
async function fetchChunk(
  commands: Commands,
  uid: number,
  start: number,
  originNeeded: boolean,
): Promise<Chunk | null> {
  const { options } = commands;
  const query = { uid: true, size: true, source: { start, maxLength: options.chunkBytes } };
  const rowMs = transferMs(options, options.chunkBytes);
  const accept = start === 0 ? hasBytesFrom(0) : isBytesFrom(start, originNeeded);
  for await (const { row } of tolerantRows(commands, [uid], query, rowMs, accept)) {
    if (row) return { bytes: row.source!, claimed: row.size ?? 0 };
  }
  return null;
}

/**
 * Some servers answer one request with the data of another; the offset in the answer gives that away. Some leave
 * the offset out, which is taken as right, except where a repeat of the whole message could pass for its rest.
 */
export function isBytesFrom(start: number, originNeeded: boolean): (row: FetchMessageObject) => boolean {
  return (row) => {
    const { source, partialOrigins } = row as FetchMessageObject & Origins;
    const origin = partialOrigins?.get('') ?? (originNeeded ? null : start);
    return Buffer.isBuffer(source) && origin === start;
  };
}

/** An empty answer is no message: taking it for one would let it be deleted. */
function hasBytesFrom(start: number): (row: FetchMessageObject) => boolean {
  const fits = isBytesFrom(start, false);
  return (row) => fits(row) && row.source!.length > 0;
}

function hasHeader({ headers }: FetchMessageObject): boolean {
  return Buffer.isBuffer(headers) && headers.length > 0;
}

function unanswered(key: string, cause: unknown): ReturnType<typeof fail> {
  const why = cause instanceof Error ? cause.message : 'The server gave no bytes for this message';
  return fail('fetch_failed', why, { key }, cause ?? undefined);
}
