/** Faults that a lab HTTP server commits when told to: the ways in which real ones fail. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultList } from '../fault-list.ts';
import { begin, type LabAnswer, send } from './answer.ts';

export type HttpAction =
  /** Answers this instead of doing what was asked. */
  | ({ do: 'answer' } & LabAnswer)
  /** Does what was asked, and answers this all the same: what a gateway does that has lost patience. */
  | ({ do: 'act-and-answer' } & LabAnswer)
  /** Stops answering and keeps the connection open. */
  | { do: 'hang' }
  /** Cuts the connection before anything was done. */
  | { do: 'drop' }
  /** Does what was asked, and cuts the connection instead of saying so. */
  | { do: 'lose' }
  | { do: 'wait'; ms: number }
  /** Sends `after` bytes of the body, then cuts the connection or falls silent. */
  | { do: 'cut'; after: number; end?: 'drop' | 'hang' }
  /** Sends the body in pieces of `bytes`, one every `ms`. */
  | { do: 'drip'; bytes: number; ms: number }
  /** Sends bytes without end. */
  | { do: 'endless' };

export interface HttpFault {
  /** Name of the route. */
  at: string;
  action: HttpAction;
  /** Only for requests about this (a message id, a client id). */
  about?: string;
  /** How often it strikes; for ever when left out. */
  times?: number;
  /** Requests that pass before it strikes for the first time. */
  after?: number;
}

export class HttpFaults extends FaultList<HttpFault> {
  /** The action for a request, and counts it as struck. */
  strike(at: string, about: string | null): HttpAction | null {
    return this.first((fault) => fault.at === at && (fault.about === undefined || fault.about === about));
  }
}

/** Carries out a request under an action, or without one. Returns the status that was sent; 0 for none. */
export async function answerUnder(
  action: HttpAction | null,
  response: ServerResponse,
  handle: () => LabAnswer | Promise<LabAnswer>,
): Promise<number> {
  switch (action?.do) {
    case 'hang':
      return 0;
    case 'drop':
      response.destroy();
      return 0;
    case 'lose':
      await handle();
      response.destroy();
      return 0;
    case 'answer':
      send(response, action);
      return action.status;
    case 'act-and-answer':
      await handle();
      send(response, action);
      return action.status;
    case 'endless':
      return await endless(response);
  }
  if (action?.do === 'wait') await sleep(action.ms);
  const answer = await handle();
  if (action?.do === 'cut') await cut(response, answer, action.after, action.end ?? 'drop');
  else if (action?.do === 'drip') await drip(response, answer, action.bytes, action.ms);
  else send(response, answer);
  return answer.status;
}

async function cut(
  response: ServerResponse,
  answer: LabAnswer,
  after: number,
  end: 'drop' | 'hang',
): Promise<void> {
  const bytes = begin(response, answer);
  const { promise, resolve } = Promise.withResolvers<void>();
  response.write(bytes.subarray(0, after), () => resolve());
  await promise;
  if (end === 'drop') response.destroy();
}

async function drip(response: ServerResponse, answer: LabAnswer, size: number, ms: number): Promise<void> {
  const bytes = begin(response, answer);
  for (let start = 0; start < bytes.length && !response.destroyed; start += size) {
    response.write(bytes.subarray(start, start + size));
    await sleep(ms);
  }
  response.end();
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
