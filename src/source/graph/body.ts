/** Reads the body of an answer under deadlines: one that stalls, drips or breaks off fails, and never ends short. */
import { fail } from '../../errors.ts';
import { networkError } from './errors.ts';
import type { GraphOptions } from './settings.ts';

type Pace = Pick<GraphOptions, 'bodyIdleMs' | 'minBytesPerSecond'>;

/** The bytes as they come. Whoever stops reading must end the iteration, which lets go of the connection. */
export async function* bodyChunks(response: Response, pace: Pace, what: string): AsyncGenerator<Buffer> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  let received = 0;
  let waitedMs = 0;
  try {
    for (;;) {
      const begun = performance.now();
      const { done, value } = await inTime(reader.read(), pace.bodyIdleMs, what);
      if (done) return;
      // Only the time that the server takes counts: what the reader does meanwhile may take longer.
      waitedMs += performance.now() - begun;
      received += value.length;
      if (waitedMs > pace.bodyIdleMs + (received / pace.minBytesPerSecond) * 1000) {
        throw fail('stalled', 'The answer came too slowly', { request: what, received });
      }
      yield Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
  } catch (error) {
    throw networkError(error, what);
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** The whole body, or null when it has more than `maxBytes`. */
export async function wholeBody(
  response: Response,
  pace: Pace,
  maxBytes: number,
  what: string,
): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(response, pace, what)) {
    size += chunk.length;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function inTime<T>(reading: Promise<T>, ms: number, what: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(fail('stalled', `The answer stopped for ${ms} ms`, { request: what })),
    ms,
  );
  // After the deadline nobody waits for the read; its end must not go unhandled.
  reading.catch(() => undefined);
  try {
    return await Promise.race([reading, promise]);
  } finally {
    clearTimeout(timer);
  }
}
