/** Sends an answer, or commits a fault instead. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorAnswer, GraphFault, type LabAnswer } from './answer.ts';
import type { Action } from './faults.ts';

/** Returns the status that was sent; 0 for none. `act` carries out what was asked. */
export async function send(
  response: ServerResponse,
  action: Action | null,
  act: () => Promise<LabAnswer>,
): Promise<number> {
  switch (action?.do) {
    case 'hang':
      return 0;
    case 'reset':
      response.socket?.destroy();
      return 0;
    case 'act-and-reset':
      await acted(act);
      response.socket?.destroy();
      return 0;
    case 'answer': {
      const { status, code = '', message = 'By the script', retryAfter, html } = action;
      const headers: Record<string, string> =
        retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) };
      if (html === undefined) return await write(response, errorAnswer(status, code, message, headers));
      const body = Buffer.from(html);
      return await write(response, { status, headers: { ...headers, 'Content-Type': 'text/html' }, body });
    }
    case 'act-and-answer':
      await acted(act);
      return await write(response, errorAnswer(action.status, action.code, 'By the script'));
    case 'empty':
      return await write(response, { status: 200, body: Buffer.alloc(0) });
    case 'wait':
      await sleep(action.ms);
      return await write(response, await acted(act));
    case 'cut':
      return await cut(response, await acted(act), action.after, action.end);
    case 'drip':
      return await drip(response, await acted(act), action.bytes, action.ms);
    case 'endless':
      return await endless(response);
    default:
      return await write(response, await acted(act));
  }
}

async function acted(act: () => Promise<LabAnswer>): Promise<LabAnswer> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof GraphFault) return error.answer;
    throw error;
  }
}

function begin(response: ServerResponse, { status, headers = {}, body }: LabAnswer): Buffer {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body === null ? '' : JSON.stringify(body));
  const json = {
    'Content-Type': 'application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8',
  };
  response.writeHead(status, { ...(body === null || Buffer.isBuffer(body) ? {} : json), ...headers });
  return bytes;
}

async function write(response: ServerResponse, answer: LabAnswer): Promise<number> {
  const bytes = begin(response, answer);
  // In chunks and without a length, as Graph does.
  if (bytes.length > 0) response.write(bytes);
  response.end();
  return answer.status;
}

async function cut(
  response: ServerResponse,
  answer: LabAnswer,
  after: number,
  end: 'reset' | 'hang',
): Promise<number> {
  const bytes = begin(response, answer);
  const { promise, resolve } = Promise.withResolvers<void>();
  response.write(bytes.subarray(0, after), () => resolve());
  await promise;
  if (end === 'reset') response.socket?.destroy();
  return answer.status;
}

async function drip(response: ServerResponse, answer: LabAnswer, size: number, ms: number): Promise<number> {
  const bytes = begin(response, answer);
  for (let start = 0; start < bytes.length && !response.destroyed; start += size) {
    response.write(bytes.subarray(start, start + size));
    await sleep(ms);
  }
  response.end();
  return answer.status;
}

async function endless(response: ServerResponse): Promise<number> {
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  const chunk = Buffer.alloc(64 * 1024, 'x');
  while (!response.destroyed) {
    if (response.write(chunk)) continue;
    // Whichever comes first; the other must not be left listening.
    const over = new AbortController();
    const { signal } = over;
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]).catch(
      () => undefined,
    );
    over.abort();
  }
  return 200;
}
