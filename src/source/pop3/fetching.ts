/** Fetches messages: small ones in batches, large ones as streams, headers for recognition. */
import { Readable } from 'node:stream';
import { fail, type PenstockError } from '../../errors.ts';
import { headerDigest } from '../../message/header-block.ts';
import type { Fetched, Fingerprint } from '../source.ts';
import type { Commands } from './commands.ts';
import { sessionRefusal } from './errors.ts';
import type { Named } from './keys.ts';
import type { Link } from './link.ts';
import type { Reply } from './reply.ts';

/**
 * Messages of up to `maxBytes`, found too large by their bytes, whatever size the server claims. `onGivenUp` is told
 * of a message that was still going on when the connection was ended because of it. `other` finds a message that was not
 * asked for, if there is one: it tells a server that is busy from one that says so about a message it cannot read.
 */
export async function* fetchWhole(
  commands: Commands,
  messages: readonly Named[],
  maxBytes: number,
  other: () => Named | undefined,
  onGivenUp: (key: string, received: number) => void,
): AsyncGenerator<Fetched> {
  const busy: { key: string; error: PenstockError; refusal: PenstockError }[] = [];
  let at = 0;
  for await (const reply of commands.retrieve(messages.map(({ number }) => number))) {
    const { key } = messages[at] as Named;
    at += 1;
    if (reply.status === 'ok') {
      yield await wholeMessage(commands.link, key, maxBytes, onGivenUp);
      continue;
    }
    const error = refused(key, reply);
    const refusal = sessionRefusal(reply, 'RETR', null);
    if (refusal) busy.push({ key, error, refusal });
    else yield { key, error };
  }
  const [first] = busy;
  if (first && busy.length === messages.length && !(await canRetrieve(commands, other())))
    throw first.refusal;
  for (const { key, error } of busy) yield { key, error };
}

async function canRetrieve(commands: Commands, message: Named | undefined): Promise<boolean> {
  if (!message) return false;
  let isThere = false;
  for await (const { status } of commands.retrieve([message.number])) {
    isThere = status === 'ok';
    if (isThere) await wholeMessage(commands.link, message.key, 0, () => {});
  }
  return isThere;
}

/** Streams one message. Fails with `fetch_failed` when the server refuses it. */
export async function streamMessage(commands: Commands, message: Named, maxBytes: number): Promise<Readable> {
  const { key, number } = message;
  const replies = commands.retrieve([number]);
  const reply = (await replies.next()).value as Reply;
  if (reply.status !== 'ok') {
    await replies.return();
    throw refused(key, reply);
  }
  const pieces = async function* (): AsyncGenerator<Buffer> {
    try {
      yield* limited(commands.link, message, maxBytes);
    } finally {
      await replies.return();
    }
  };
  return Readable.from(pieces(), { objectMode: false });
}

/** Recognises messages by their header and size. Messages that cannot be read are left out. */
export async function* fingerprintsOf(
  commands: Commands,
  messages: readonly Named[],
): AsyncGenerator<Fingerprint> {
  const byNumber = new Map(messages.map((message) => [message.number, message]));
  for await (const { number, header } of commands.headers([...byNumber.keys()])) {
    const { key, size } = byNumber.get(number) as Named;
    if (header.length > 0) yield { key, headerSha256: headerDigest(header), size };
  }
}

async function wholeMessage(
  link: Link,
  key: string,
  maxBytes: number,
  onGivenUp: (key: string, received: number) => void,
): Promise<Fetched> {
  const pieces: Buffer[] = [];
  let received = 0;
  for await (const piece of bodyOf(link, key)) {
    received += piece.length;
    if (received <= maxBytes) pieces.push(piece);
    else {
      pieces.length = 0;
      if (isGivenUp(link, key, received - maxBytes)) {
        onGivenUp(key, received);
        break;
      }
    }
  }
  if (received > maxBytes) return { key, tooLarge: true };
  if (received === 0) return { key, error: fail('fetch_failed', EMPTY, { key }) };
  return { key, bytes: Buffer.concat(pieces) };
}

/** An empty answer is no message: taking it for one would let it be deleted. */
const EMPTY = 'The server gave no bytes for this message';

async function* limited(link: Link, { key, size }: Named, maxBytes: number): AsyncGenerator<Buffer> {
  let received = 0;
  for await (const piece of bodyOf(link, key)) {
    received += piece.length;
    if (received <= maxBytes) yield piece;
    else if (isGivenUp(link, key, received - maxBytes)) break;
  }
  if (received > maxBytes) throw oversized(key, maxBytes, size);
  if (received === 0) throw fail('fetch_failed', EMPTY, { key });
}

export function oversized(key: string, maxBytes: number, claimed: number): PenstockError {
  const message = `The message is larger than ${maxBytes} bytes`;
  return fail('message_oversized', message, { key, maxBytes, claimed });
}

/**
 * There is no way to stop a server in the middle of a message: one reads past what is too much, or hangs up. True when
 * it was `skipped` for too long, and the connection is ended.
 */
function isGivenUp(link: Link, key: string, skipped: number): boolean {
  if (skipped <= link.options.skipBytes) return false;
  link.end(fail('connection_lost', 'A message was too large to be read to its end', { suspectKey: key }));
  return true;
}

/** The bytes of a message. Errors name it where it may be what breaks the session; a mere loss happens anywhere. */
async function* bodyOf(link: Link, key: string): AsyncGenerator<Buffer> {
  try {
    yield* link.body();
  } catch (thrown) {
    const error = thrown as PenstockError;
    if (error.code !== 'server_protocol' && error.code !== 'stalled') throw error;
    throw fail(error.code, error.message, { ...error.fields, suspectKey: key }, error.cause);
  }
}

function refused(key: string, reply: Reply): PenstockError {
  const why = reply.text || 'no reason given';
  return fail('fetch_failed', `The server refused RETR: ${why}`, { key, server: reply.text });
}
