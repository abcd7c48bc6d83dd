/** Fetches messages: facts, bytes whole and streamed, digests of headers. Marks nothing. */
import { Readable } from 'node:stream';
import { fail, PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { headerDigest } from '../../message/header-block.ts';
import type { Fetched, Fingerprint, Listed } from '../source.ts';
import type { GmailApi, MessageFacts } from './api.ts';
import { allOf, eachOf } from './parallel.ts';

/** Between two pieces of a listing: each message costs a request. */
const FACTS_AT_ONCE = 50;

/** Null when Gmail does not have the message. */
export async function factsOf(api: GmailApi, id: string, signal: AbortSignal): Promise<MessageFacts | null> {
  try {
    return await api.facts(id, signal);
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

/**
 * One that Gmail cannot tell about is listed all the same, without size and date: it must not hide the others, and its
 * fetch fails by itself.
 */
export async function* listFacts(
  api: GmailApi,
  keys: readonly string[],
  isMail: (facts: MessageFacts) => boolean,
  signal: AbortSignal,
): AsyncGenerator<Listed[]> {
  for (let start = 0; start < keys.length; start += FACTS_AT_ONCE) {
    const chunk = keys.slice(start, start + FACTS_AT_ONCE);
    const told = await allOf(chunk, api.options.concurrency, (id) => factsOrFault(api, id, signal));
    // A server that cannot answer this either is broken, and no message is to blame.
    if (told.some((facts) => facts === 'fault')) await api.profile(signal);
    yield told.flatMap((facts, index) => {
      if (facts === 'fault') return [{ key: chunk[index]!, size: 0, internalDate: null }];
      if (facts === null || !isMail(facts)) return [];
      return [{ key: facts.id, size: facts.size, internalDate: facts.internalDate }];
    });
  }
}

async function factsOrFault(
  api: GmailApi,
  id: string,
  signal: AbortSignal,
): Promise<MessageFacts | null | 'fault'> {
  try {
    return await factsOf(api, id, signal);
  } catch (error) {
    if (ofMessage(error, id) === null) throw error;
    return 'fault';
  }
}

/** A message is found too large by its bytes, whatever size was estimated; no more of it is read then. */
export async function* fetchWhole(
  api: GmailApi,
  keys: readonly string[],
  maxBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Fetched> {
  yield* eachOf(keys, api.options.concurrency, async (key): Promise<Fetched> => {
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of api.raw(key, signal)) {
        size += chunk.length;
        if (size > maxBytes) return { key, tooLarge: true };
        chunks.push(chunk);
      }
    } catch (thrown) {
      const error = ofMessage(thrown, key);
      if (error === null) throw thrown;
      return { key, error };
    }
    return { key, bytes: Buffer.concat(chunks) };
  });
}

/** Fails at once when the message is not there. */
export async function streamMessage(
  api: GmailApi,
  key: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Readable> {
  const pieces = api.raw(key, signal);
  const first = await pieces.next().catch((thrown) => {
    throw ofMessage(thrown, key) ?? thrown;
  });
  const limited = async function* (): AsyncGenerator<Buffer> {
    let size = 0;
    for (let piece = first; !piece.done; piece = await pieces.next()) {
      size += piece.value.length;
      if (size > maxBytes) {
        throw fail('message_oversized', `The message has more than ${maxBytes} bytes`, { key, maxBytes });
      }
      yield piece.value;
    }
  };
  const stream = Readable.from(limited(), { objectMode: false });
  // Also when nobody ever read from it.
  stream.once('close', () => void pieces.return(undefined));
  return stream;
}

/** Recognises messages by their header and true size. Those that are gone or cannot be read are left out. */
export async function* fingerprintsOf(
  api: GmailApi,
  keys: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Fingerprint> {
  const prints = eachOf(keys, api.options.concurrency, async (key): Promise<Fingerprint | null> => {
    const head: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of api.raw(key, signal)) {
        if (size < LIMITS.headerBytes) head.push(chunk);
        size += chunk.length;
      }
    } catch (thrown) {
      if (ofMessage(thrown, key) === null) throw thrown;
      return null;
    }
    return { key, headerSha256: headerDigest(Buffer.concat(head)), size };
  });
  for await (const print of prints) if (print !== null) yield print;
}

/** A failure of one message; null when it concerns the session. */
function ofMessage(thrown: unknown, key: string): PenstockError | null {
  if (isGone(thrown)) return fail('fetch_failed', 'Gmail does not have this message', { key }, thrown);
  if (!(thrown instanceof PenstockError)) return null;
  const isOwn = thrown.code === 'fetch_failed' || thrown.code === 'server_protocol';
  return isOwn ? fail('fetch_failed', thrown.message, { ...thrown.fields, key }, thrown) : null;
}

const isGone = (thrown: unknown): boolean =>
  thrown instanceof PenstockError && thrown.code === 'message_gone';
