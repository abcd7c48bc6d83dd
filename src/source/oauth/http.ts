/** One small HTTP request with a deadline and a limit: all that OAuth needs. Never follows a redirect. */
import http from 'node:http';
import https from 'node:https';
import { fail } from '../../errors.ts';
import { tlsOptions } from '../probe.ts';
import { networkError } from './network-error.ts';

/** Must end well before the database lets go of a transaction that waits for it (30 seconds). */
export const REQUEST_MS = 20_000;
const ANSWER_BYTES = 256 * 1024;

export interface SmallRequest {
  method: 'GET' | 'POST';
  url: string;
  headers: Record<string, string>;
  /** Sent as application/x-www-form-urlencoded. */
  form: URLSearchParams | null;
  tlsCa: string | null;
}

export interface SmallAnswer {
  status: number;
  /** Milliseconds that the server asks to wait, or null. */
  retryAfterMs: number | null;
  /** The parsed JSON object; null when it is none. */
  body: Record<string, unknown> | null;
}

/** Fails with an error of ours that names the host when there is no answer in time. */
export async function smallRequest(request: SmallRequest, deadlineMs = REQUEST_MS): Promise<SmallAnswer> {
  const url = new URL(request.url);
  const body = request.form?.toString();
  const headers = {
    accept: 'application/json',
    ...request.headers,
    ...(body === undefined
      ? {}
      : {
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': String(Buffer.byteLength(body)),
        }),
  };
  const signal = AbortSignal.timeout(deadlineMs);
  try {
    const options = { method: request.method, headers, signal };
    const sent =
      url.protocol === 'https:'
        ? https.request(url, { ...options, ...tlsOptions({ tlsCa: request.tlsCa, tlsVerify: true }) })
        : http.request(url, options);
    sent.end(body);
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      sent.once('response', resolve);
      // Stays: a request without an 'error' listener ends the process.
      sent.on('error', reject);
    });
    const text = await read(answer, url.host);
    return {
      status: answer.statusCode ?? 0,
      retryAfterMs: retryAfterMs(answer.headers['retry-after'], Date.now()),
      body: parse(text),
    };
  } catch (error) {
    throw networkErrorOf(signal.aborted ? signal.reason : error, url.host);
  }
}

function networkErrorOf(error: unknown, host: string): Error {
  return error instanceof Error && error.name === 'PenstockError' ? error : networkError(error, host);
}

async function read(answer: http.IncomingMessage, host: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_BYTES) {
      answer.destroy();
      throw fail('server_protocol', `${host} sent more than ${ANSWER_BYTES} bytes`, { host });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** Retry-After in either form (RFC 9110 section 10.2.3). `now` is the time in milliseconds, for the date form. */
export function retryAfterMs(value: string | null | undefined, now: number): number | null {
  if (value === null || value === undefined || value === '') return null;
  if (/^\d{1,7}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
