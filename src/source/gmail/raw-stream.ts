/**
 * Takes the bytes of a message out of the JSON that the API wraps them in, as it comes: a message of 50 MB would
 * otherwise be some 200 MB of text and objects. `raw` is base64url (RFC 4648 section 5) and never nested.
 */
import { fail } from '../../errors.ts';

/** The key cannot occur inside a value: its quotes would be escaped there. */
const KEY = /"raw"\s*:\s*"/;
/** What comes before and after it: ids, labels and a snippet. */
const REST_CHARS = 64 * 1024;
/** What can be left of a piece: less than a group, and padding that is escaped. */
const LEFT_CHARS = 32;
const ESCAPED_PADDING = /\\u003d/gi;
const BASE64URL = /^[\w-]*=*$/;

/**
 * Yields the decoded bytes of a JSON text. Fails with `connection_lost` when it ends too early, with `fetch_failed`
 * when it has no message in it.
 */
export async function* rawBytes(json: AsyncIterable<Buffer | string>): AsyncGenerator<Buffer> {
  let state: 'head' | 'body' | 'tail' = 'head';
  let pending = '';
  let tail = 0;
  for await (const chunk of json) {
    if (state === 'tail') {
      tail += chunk.length;
      if (tail > REST_CHARS) return;
      continue;
    }
    pending += typeof chunk === 'string' ? chunk : chunk.toString('latin1');
    if (state === 'head') {
      const key = KEY.exec(pending);
      if (key === null) {
        if (pending.length > REST_CHARS) throw noMessage();
        continue;
      }
      pending = pending.slice(key.index + key[0].length);
      state = 'body';
    }
    const end = pending.indexOf('"');
    if (end >= 0) {
      const bytes = decode(pending.slice(0, end));
      state = 'tail';
      pending = '';
      if (bytes.length > 0) yield bytes;
      continue;
    }
    const whole = wholeGroups(pending);
    const bytes = decode(pending.slice(0, whole));
    pending = pending.slice(whole);
    if (pending.length > LEFT_CHARS) throw fail('server_protocol', 'The message is not in base64url');
    if (bytes.length > 0) yield bytes;
  }
  if (state === 'head') throw noMessage();
  if (state === 'body') throw fail('connection_lost', 'The answer ended in the middle of a message');
}

/** How much of a piece can be decoded: groups of four characters before any escape, which only padding has. */
function wholeGroups(text: string): number {
  const padding = text.indexOf('\\');
  const usable = padding >= 0 ? padding : text.length;
  return usable - (usable % 4);
}

function decode(text: string): Buffer {
  const plain = text.includes('\\') ? text.replace(ESCAPED_PADDING, '=') : text;
  if (!BASE64URL.test(plain)) throw fail('server_protocol', 'The message is not in base64url');
  return Buffer.from(plain, 'base64url');
}

function noMessage(): Error {
  return fail('fetch_failed', 'The answer has no message in it');
}
