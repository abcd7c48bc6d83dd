/** Calls the addresses of subscriptions: to ask whether they are wanted there, and to tell what has changed. */

import { randomBytes } from 'node:crypto';
import https from 'node:https';

/** What the address answered; null when it did not, or not in time. */
export interface Called {
  status: number;
  contentType: string;
  text: string;
}

/** Graph gives an address so long to answer a handshake. */
const HANDSHAKE_MS = 10_000;

/** Posts to a web address. `ca` is the authority to trust besides the system's own. */
export async function call(
  url: string,
  body: string,
  contentType: string,
  ca: string | undefined,
  more: Record<string, string> = {},
): Promise<Called | null> {
  const { promise, resolve } = Promise.withResolvers<Called | null>();
  const headers = { ...more, 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) };
  const signal = AbortSignal.timeout(HANDSHAKE_MS);
  const request = https.request(url, { method: 'POST', headers, signal, ...(ca ? { ca } : {}) }, (answer) => {
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => chunks.push(chunk));
    answer.on('error', () => resolve(null));
    answer.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      resolve({ status: answer.statusCode ?? 0, contentType: answer.headers['content-type'] ?? '', text });
    });
  });
  request.on('error', () => resolve(null));
  request.end(body);
  return await promise;
}

/** The handshake: the address must give the token back, decoded, as plain text. Returns what is wrong, or null. */
export async function handshake(url: string, ca: string | undefined): Promise<string | null> {
  // With characters that must be encoded in a query, and with some that a page would execute.
  const token = `Validation: ${randomBytes(12).toString('base64')} <b>&+ü`;
  const target = new URL(url);
  target.searchParams.set('validationToken', token);
  const answer = await call(target.href, '', 'text/plain; charset=utf-8', ca);
  if (answer === null) return 'Notification endpoint did not answer in time.';
  if (answer.status !== 200)
    return `Notification endpoint must respond with 200 OK; it said ${answer.status}.`;
  if (!answer.contentType.startsWith('text/plain'))
    return 'Notification endpoint must answer with text/plain.';
  return answer.text === token ? null : 'Notification endpoint must return the validation token.';
}
