/** Fetches messages as MIME: small ones whole, large ones as streams, headers for recognition. Marks nothing. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type ErrorCode, fail, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { headerBlockLength } from '../../message/header-block.ts';
import type { Fetched, Fingerprint } from '../source.ts';
import type { GraphClient } from './client.ts';
import { listKeys, messagePath } from './listed.ts';
import { inParallel } from './parallel.ts';

const ASK = { what: 'get the MIME of a message' };

/** Errors that concern every message, whichever was asked for. */
const FOR_ALL: ReadonlySet<ErrorCode> = new Set([
  'auth_failed',
  'mailbox_missing',
  'dns_failed',
  'connect_failed',
  'connect_timeout',
  'tls_failed',
  'internal',
]);
/** Errors that one message may cause again and again: a server that fails on it hangs, breaks off, or says "busy". */
const SUSPICIOUS: ReadonlySet<ErrorCode> = new Set(['connection_lost', 'stalled', 'server_busy']);

/** Messages of up to `maxBytes`, a few at a time. */
export async function* fetchWhole(
  client: GraphClient,
  keys: readonly string[],
  maxBytes: number,
): AsyncGenerator<Fetched> {
  const denied: Fetched[] = [];
  let taken = 0;
  const fetchOne = (key: string): Promise<Fetched> => fetchBytes(client, key, maxBytes);
  for await (const fetched of inParallel(keys, client.options.concurrency, fetchOne)) {
    if ('error' in fetched && fetched.error.code === 'permission_denied') {
      denied.push(fetched);
      continue;
    }
    if (!('error' in fetched)) taken += 1;
    yield fetched;
  }
  // Nothing may be read: the application lacks a permission, and that must not be held against the messages. If others
  // can be read, it is these: rights management protects single ones.
  const [first] = denied;
  if (first && 'error' in first && taken === 0) throw first.error;
  for (const { key, error } of denied as { key: string; error: PenstockError }[])
    yield { key, error: unfetched(key, error) };
}

/** Streams one message. What has begun ends in order or with an error. */
export async function streamMessage(client: GraphClient, key: string, maxBytes: number): Promise<Readable> {
  const chunks = client.chunks(`${messagePath(client, key)}/$value`, ASK);
  let first: IteratorResult<Buffer, void>;
  try {
    first = await chunks.next();
  } catch (error) {
    throw await blamed(client, key, error as PenstockError);
  }
  if (first.done) throw unfetched(key, null);
  const stream = Readable.from(boundedChunks(client, key, first.value, chunks, maxBytes), {
    objectMode: false,
  });
  // Also when nobody reads it: otherwise it would hold its connection for ever.
  stream.once('close', () => void chunks.return(undefined));
  return stream;
}

/** Recognises messages by their header and the size they are listed with. Messages without an answer are left out. */
export async function* fingerprintsOf(
  client: GraphClient,
  keys: readonly string[],
): AsyncGenerator<Fingerprint> {
  const sizes = new Map<string, number>();
  for await (const items of listKeys(client, keys)) for (const { key, size } of items) sizes.set(key, size);
  const read = async (key: string): Promise<Fingerprint | null> => {
    const headerSha256 = await headerDigestOf(client, key);
    return headerSha256 && { key, headerSha256, size: sizes.get(key) ?? 0 };
  };
  for await (const print of inParallel([...sizes.keys()], client.options.concurrency, read))
    if (print) yield print;
}

async function fetchBytes(client: GraphClient, key: string, maxBytes: number): Promise<Fetched> {
  try {
    const bytes = await client.bytes(`${messagePath(client, key)}/$value`, ASK, maxBytes);
    if (bytes === null) return { key, tooLarge: true };
    // An empty answer is no message: taking it for one would let it be deleted.
    return bytes.length > 0 ? { key, bytes } : { key, error: unfetched(key, null) };
  } catch (thrown) {
    const error = await blamed(client, key, thrown as PenstockError);
    return { key, error };
  }
}

/**
 * The error of this message, when it is the message's. Throws what concerns the mailbox: whether a failure is one or the
 * other shows when something else is asked for.
 */
async function blamed(client: GraphClient, key: string, error: PenstockError): Promise<PenstockError> {
  if (error.code === 'permission_denied') return error;
  // 429 counts requests, whatever they are for.
  if (FOR_ALL.has(error.code) || error.fields.status === 429) throw error;
  if (SUSPICIOUS.has(error.code)) {
    if (client.ended.aborted) throw error;
    await client.json(`${client.mailbox('/mailFolders/inbox')}?$select=id`, { what: 'probe' });
  }
  return unfetched(key, error);
}

async function* boundedChunks(
  client: GraphClient,
  key: string,
  first: Buffer,
  rest: AsyncGenerator<Buffer>,
  maxBytes: number,
): AsyncGenerator<Buffer> {
  let received = 0;
  try {
    for (let chunk: Buffer | null = first; chunk !== null; ) {
      received += chunk.length;
      if (received > maxBytes) {
        throw fail('message_oversized', `The message is larger than ${maxBytes} bytes`, { key, maxBytes });
      }
      yield chunk;
      const next: IteratorResult<Buffer, void> = await rest.next();
      chunk = next.done ? null : next.value;
    }
  } catch (thrown) {
    const error = thrown as PenstockError;
    throw error.code === 'message_oversized' ? error : await blamed(client, key, error);
  } finally {
    await rest.return(undefined);
  }
}

/** SHA-256 of the header block; null when the message cannot be read. */
async function headerDigestOf(client: GraphClient, key: string): Promise<Buffer | null> {
  let head: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of client.chunks(`${messagePath(client, key)}/$value`, ASK)) {
      head = Buffer.concat([head, chunk]);
      const length = headerBlockLength(head);
      if (length !== -1) return createHash('sha256').update(head.subarray(0, length)).digest();
      if (head.length > LIMITS.headerBytes) return null;
    }
  } catch (error) {
    await blamed(client, key, error as PenstockError);
    return null;
  }
  return head.length > 0 ? createHash('sha256').update(head).digest() : null;
}

function unfetched(key: string, cause: PenstockError | null): PenstockError {
  const why = cause?.message ?? 'Graph gave no bytes for this message';
  const fields = { ...cause?.fields, key };
  return fail('fetch_failed', why, fields, cause ?? undefined);
}
