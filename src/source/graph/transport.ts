/**
 * The last link of the SDK's chain of middleware, in place of its own ones: over node:https, because that takes a
 * certificate authority for a mailbox; without the SDK's retries, which repeat what must not be repeated and cap what
 * the server asked for; and to one origin only, so that no token and no stored link can lead anywhere else.
 */
import https from 'node:https';
import { Readable } from 'node:stream';
import tls from 'node:tls';
import { type Context, GraphClientError, type Middleware } from '@microsoft/microsoft-graph-client';
import { fail, type PenstockError } from '../../errors.ts';
import { tlsOptions } from '../probe.ts';
import { networkError } from './errors.ts';
import { type GraphOptions, type GraphSettings, graphOrigin } from './settings.ts';

/** Carries an error of ours through the SDK, which passes its own errors on and rebuilds all others. */
export class TransportFailed extends GraphClientError {
  readonly failure: PenstockError;

  constructor(failure: PenstockError) {
    super(failure.message);
    this.failure = failure;
  }
}

/** Statuses whose answers have no body (RFC 9110 section 6.4.1). */
const BODILESS = new Set([101, 204, 205, 304]);

export class GraphTransport implements Middleware {
  readonly #agent: https.Agent;
  readonly #origin: string;
  readonly #options: GraphOptions;

  constructor(settings: GraphSettings, options: GraphOptions) {
    this.#origin = graphOrigin(settings.graphHost);
    this.#options = options;
    const { rejectUnauthorized, ca } = tlsOptions(settings);
    this.#agent = new https.Agent({
      keepAlive: true,
      // A body that somebody reads holds its connection.
      maxSockets: options.concurrency * 2,
      rejectUnauthorized,
      // Made once: the agent finds its connections by their options, and a hundred authorities are much to compare.
      ...(ca ? { secureContext: tls.createSecureContext({ ca }) } : {}),
    });
  }

  async execute(context: Context): Promise<void> {
    const url = String(context.request);
    const { method = 'GET', headers, body, signal } = context.options ?? {};
    try {
      if (new URL(url).origin !== this.#origin) {
        throw fail('internal', 'A request was about to leave the configured Graph host', {
          origin: this.#origin,
        });
      }
      context.response = await this.#exchange(url, method, headers as Record<string, string>, body, signal);
    } catch (error) {
      throw new TransportFailed(networkError(error, method));
    }
  }

  /** Ends idle connections and those in use. */
  close(): void {
    this.#agent.destroy();
  }

  async #exchange(
    url: string,
    method: string,
    headers: Record<string, string>,
    body: unknown,
    signal: AbortSignal | null | undefined,
  ): Promise<Response> {
    const { connectMs, answerMs } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const request = https.request(url, {
      method,
      headers,
      agent: this.#agent,
      ...(signal ? { signal } : {}),
    });
    const end = (code: 'connect_timeout' | 'stalled', message: string): void => {
      request.destroy(fail(code, message, { request: method }));
    };
    const connecting = setTimeout(
      () => end('connect_timeout', `No connection within ${connectMs} ms`),
      connectMs,
    );
    const waiting = setTimeout(() => end('stalled', `No answer within ${answerMs} ms`), answerMs);
    request.on('socket', (socket) => {
      if (request.reusedSocket) clearTimeout(connecting);
      else (socket as tls.TLSSocket).once('secureConnect', () => clearTimeout(connecting));
    });
    // Stays attached: errors may follow one another, and one that nobody listens to ends the process.
    request.on('error', reject);
    request.on('response', (incoming) => {
      const answer = new Headers();
      for (const [name, value] of Object.entries(incoming.headers)) answer.set(name, String(value));
      const status = incoming.statusCode ?? 0;
      const bodiless = BODILESS.has(status);
      if (bodiless) incoming.resume();
      resolve(
        new Response(bodiless ? null : (Readable.toWeb(incoming) as ReadableStream), {
          status,
          headers: answer,
        }),
      );
    });
    request.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : undefined);
    try {
      return await promise;
    } finally {
      clearTimeout(connecting);
      clearTimeout(waiting);
    }
  }
}
