/** Faults that a lab HTTP server commits when told to: the ways in which real ones fail. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export type HttpAction =
  /** Answers this instead of doing what was asked. */
  | { do: 'answer'; status: number; body?: unknown; headers?: Record<string, string> }
  /** Stops answering and keeps the connection open. */
  | { do: 'hang' }
  /** Cuts the connection before anything was done. */
  | { do: 'drop' }
  /** Does what was asked, and cuts the connection instead of saying so. */
  | { do: 'lose' }
  | { do: 'wait'; ms: number }
  /** Sends so many bytes of the body, then cuts the connection. */
  | { do: 'cut'; after: number };

export interface HttpFault {
  /** Name of the route. */
  at: string;
  action: HttpAction;
  /** Only for requests about this (a message id, a client id). */
  about?: string;
  /** How often it strikes; for ever when left out. */
  times?: number;
}

/** The faults of one server, looked at in the order in which they were added. */
export class HttpFaults {
  #faults: HttpFault[] = [];

  /** Adds a fault; the returned function removes it. */
  add(fault: HttpFault): () => void {
    const own = { ...fault };
    this.#faults.push(own);
    return () => {
      this.#faults = this.#faults.filter((other) => other !== own);
    };
  }

  clear(): void {
    this.#faults = [];
  }

  /** The action for a request, and counts it as struck. */
  strike(at: string, about: string | null): HttpAction | null {
    for (const fault of this.#faults) {
      if (fault.at !== at || (fault.about !== undefined && fault.about !== about)) continue;
      if (fault.times === undefined) return fault.action;
      if (fault.times <= 0) continue;
      fault.times -= 1;
      return fault.action;
    }
    return null;
  }
}

/** What a route answers. */
export interface LabAnswer {
  status: number;
  /** Sent as JSON; undefined sends nothing. */
  body?: unknown;
  headers?: Record<string, string>;
}

/** Carries out a request under an action, or without one. */
export async function answerUnder(
  action: HttpAction | null,
  response: ServerResponse,
  handle: () => LabAnswer | Promise<LabAnswer>,
): Promise<void> {
  switch (action?.do) {
    case 'hang':
      return;
    case 'drop':
      response.destroy();
      return;
    case 'answer':
      return send(response, action);
    case 'lose':
      await handle();
      response.destroy();
      return;
    case 'wait':
      await sleep(action.ms);
      return send(response, await handle());
    case 'cut':
      return cut(response, await handle(), action.after);
    default:
      return send(response, await handle());
  }
}

function send(response: ServerResponse, { status, body, headers }: LabAnswer): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    ...(body === undefined ? {} : { 'content-type': 'application/json; charset=UTF-8' }),
    'content-length': String(Buffer.byteLength(text)),
    ...headers,
  });
  response.end(text);
}

function cut(response: ServerResponse, { status, body }: LabAnswer, after: number): void {
  const text = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': 'application/json; charset=UTF-8',
    'content-length': String(text.length),
  });
  response.write(text.subarray(0, after), () => response.destroy());
}
