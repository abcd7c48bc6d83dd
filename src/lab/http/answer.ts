/** Requests that lab HTTP servers read, and what they answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface LabAnswer {
  status: number;
  headers?: Record<string, string>;
  /** Sent as JSON unless it is bytes; undefined sends nothing. */
  body?: unknown;
}

/** The body of a request, or null when it has more than `limit` bytes. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Sends status and headers, and returns the bytes that are to follow. */
export function begin(response: ServerResponse, { status, headers, body }: LabAnswer): Buffer {
  const isJson = body !== undefined && !Buffer.isBuffer(body);
  response.writeHead(status, {
    ...(isJson ? { 'Content-Type': 'application/json; charset=utf-8' } : {}),
    ...headers,
  });
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(isJson ? JSON.stringify(body) : '');
}

/** In chunks and without a length, as large services answer. */
export function send(response: ServerResponse, answer: LabAnswer): void {
  const bytes = begin(response, answer);
  if (bytes.length > 0) response.write(bytes);
  response.end();
}
