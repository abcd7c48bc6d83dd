/**
 * Requests to Graph about one mailbox: through the SDK for what it does well (URLs, the chain of middleware), with our
 * own retries, limits, tokens and deadlines. Every call settles with an answer or with an error of ours.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, ResponseType } from '@microsoft/microsoft-graph-client';
import { fail, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { bodyChunks, wholeBody } from './body.ts';
import { networkError, type Refusal, refusalError, retryAfterMs } from './errors.ts';
import type { Gate, Leave } from './gate.ts';
import { retryInMs } from './retry.ts';
import {
  type AccessTokens,
  GRAPH_VERSION,
  type GraphOptions,
  type GraphSettings,
  graphOrigin,
} from './settings.ts';
import { GraphTransport, TransportFailed } from './transport.ts';

export interface Ask {
  /** Names the request in errors. */
  what: string;
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  body?: Record<string, unknown>;
  /** In place of `body`: MIME in base64, which Graph takes as plain text. */
  text?: string;
  /** Items wanted in one page of a listing. */
  pageSize?: number;
}

interface Answer {
  response: Response;
  leave: Leave;
}

const REFUSAL_BYTES = 64 * 1024;
/**
 * Without it every move gives a message a new id, and the next listing would take it for a new message. It must be on
 * every request: a link that was made with it does not carry it.
 */
const IMMUTABLE = 'IdType="ImmutableId"';

export class GraphClient {
  readonly settings: GraphSettings;
  readonly options: GraphOptions;
  readonly #tokens: AccessTokens;
  readonly #gate: Gate;
  readonly #transport: GraphTransport;
  readonly #sdk: Client;
  readonly #end = new AbortController();

  constructor(settings: GraphSettings, tokens: AccessTokens, options: GraphOptions, gate: Gate) {
    this.settings = settings;
    this.options = options;
    this.#tokens = tokens;
    this.#gate = gate;
    this.#transport = new GraphTransport(settings, options);
    const baseUrl = graphOrigin(settings.graphHost);
    this.#sdk = Client.initWithMiddleware({
      baseUrl,
      defaultVersion: GRAPH_VERSION,
      middleware: this.#transport,
    });
  }

  /** The path of something in this mailbox. Segments are encoded; `path` is not. */
  mailbox(path: string): string {
    return `/users/${encodeURIComponent(this.settings.mailbox)}${path}`;
  }

  /** The signal that this client was closed. */
  get ended(): AbortSignal {
    return this.#end.signal;
  }

  /** Sends a request and reads its JSON answer; null when there is none. `path` may be a link of Graph. */
  async json(path: string, ask: Ask): Promise<unknown> {
    const { response, leave } = await this.#send(path, ask);
    try {
      const body = await wholeBody(response, this.options, LIMITS.graphAnswerBytes, ask.what);
      if (body === null) throw fail('server_protocol', 'The answer is too large', { request: ask.what });
      return body.length === 0 ? null : parseJson(body, ask.what);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      leave();
    }
  }

  /** The bytes of an answer, as they are; null when there are more than `maxBytes`. */
  async bytes(path: string, ask: Ask, maxBytes: number): Promise<Buffer | null> {
    const { response, leave } = await this.#send(path, ask);
    try {
      return await wholeBody(response, this.options, maxBytes, ask.what);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      leave();
    }
  }

  /** The same in pieces. Must be read to its end, or ended. */
  async *chunks(path: string, ask: Ask): AsyncGenerator<Buffer> {
    const { response, leave } = await this.#send(path, ask);
    try {
      yield* bodyChunks(response, this.options, ask.what);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      leave();
    }
  }

  /** Ends everything under way. Never throws. */
  close(): void {
    this.#end.abort(fail('connection_lost', 'The session was closed'));
    this.#transport.close();
  }

  /** Sends until there is a good answer, or none to be hoped for. */
  async #send(path: string, ask: Ask): Promise<Answer> {
    const repeatable = ask.method !== 'POST';
    let refused: string | undefined;
    let waitedMs = 0;
    for (let attempt = 1; ; attempt += 1) {
      const token = await this.#token(refused);
      try {
        return await this.#sendOnce(path, ask, token);
      } catch (thrown) {
        const error = this.#failure(thrown);
        // A token may end, or be revoked, in the middle of a run. Twice in a row is no accident.
        if (error.code === 'auth_failed' && refused === undefined) {
          refused = token;
          continue;
        }
        const waitMs = retryInMs({ error, attempt, waitedMs, repeatable }, this.options, Math.random());
        const asked = error.fields.backoffMs;
        if (error.code === 'server_busy') this.#gate.close(waitMs ?? (typeof asked === 'number' ? asked : 0));
        if (waitMs === null) throw error;
        waitedMs += waitMs;
        await this.#rest(waitMs);
      }
    }
  }

  async #sendOnce(path: string, ask: Ask, token: string): Promise<Answer> {
    const leave = await this.#gate.enter(this.ended);
    try {
      const response = await this.#exchange(path, ask, token);
      if (response.ok) return { response, leave };
      throw refusalError(await this.#refusal(response, ask.what), ask.what);
    } catch (error) {
      leave();
      throw error;
    }
  }

  async #exchange(
    path: string,
    { method = 'GET', body, text, pageSize }: Ask,
    token: string,
  ): Promise<Response> {
    const prefer = pageSize === undefined ? IMMUTABLE : `${IMMUTABLE}, odata.maxpagesize=${pageSize}`;
    const request = this.#sdk
      .api(path)
      .headers({
        Authorization: `Bearer ${token}`,
        Prefer: prefer,
        ...(text === undefined ? {} : { 'Content-Type': 'text/plain' }),
      })
      .options({ signal: this.ended })
      // The SDK would decode text as UTF-8, which destroys every other byte.
      .responseType(ResponseType.RAW);
    switch (method) {
      case 'GET':
        return await request.get();
      case 'POST':
        return await request.post(text ?? body ?? {});
      case 'PATCH':
        return await request.patch(body ?? {});
      case 'DELETE':
        return await request.delete();
    }
  }

  async #refusal(response: Response, what: string): Promise<Refusal> {
    const { headers, status } = response;
    const wait = retryAfterMs(headers.get('retry-after'), headers.get('date'), Date.now());
    const body = await wholeBody(response, this.options, REFUSAL_BYTES, what);
    const { code, message } = errorOf(body);
    return { status, code, message, retryAfterMs: wait };
  }

  async #token(refused: string | undefined): Promise<string> {
    this.ended.throwIfAborted();
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(this.ended.reason);
    this.ended.addEventListener('abort', abort, { once: true });
    const ms = this.options.answerMs;
    const timer = setTimeout(() => reject(fail('stalled', `No access token within ${ms} ms`)), ms);
    try {
      return await Promise.race([this.#tokens.get(refused), promise]);
    } finally {
      clearTimeout(timer);
      this.ended.removeEventListener('abort', abort);
    }
  }

  async #rest(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.ended }).catch(() => undefined);
    this.ended.throwIfAborted();
  }

  /** What the caller is told: when we have closed, that; never what the SDK made of it. */
  #failure(thrown: unknown): PenstockError {
    if (this.ended.aborted) return this.ended.reason as PenstockError;
    if (thrown instanceof TransportFailed) return thrown.failure;
    return networkError(thrown, 'a request');
  }
}

function parseJson(body: Buffer, what: string): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw fail(
      'server_protocol',
      'The answer is no JSON; is there a proxy in between?',
      { request: what },
      error,
    );
  }
}

/** Graph's `{"error": {"code", "message"}}`; empty texts when the answer is something else. */
function errorOf(body: Buffer | null): { code: string; message: string } {
  let value: unknown;
  try {
    value = JSON.parse(body?.toString('utf8') ?? '');
  } catch {
    return { code: '', message: '' };
  }
  const { error } = (value ?? {}) as { error?: { code?: unknown; message?: unknown } };
  const text = (given: unknown): string => (typeof given === 'string' ? given : '');
  return { code: text(error?.code), message: text(error?.message) };
}
