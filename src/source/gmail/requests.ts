/**
 * How requests to the Gmail API are made: within the quota, with a token, a deadline, errors of ours, and again a few
 * times when what failed passes by itself. All requests may be repeated but the one that sends a mail.
 */
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { asPenstockError, fail, PenstockError } from '../../errors.ts';
import { retryAfterMs } from '../oauth/http.ts';
import { networkError } from '../oauth/network-error.ts';
import { gmailError, readApiError } from './gmail-error.ts';
import { type Method, QuotaGate } from './quota.ts';
import type { GmailOptions, GmailSettings } from './settings.ts';

/** What is asked, and with what tokens. */
type ReachedApi = Pick<GmailSettings, 'tokens' | 'rootUrl'>;

/** Options that every call passes to the SDK. */
export interface CallOptions {
  headers: { Authorization: string };
  signal: AbortSignal;
}

export interface Answer<T> {
  data: T;
}

/** Answers without mail in them; the largest is a page of history. */
const ANSWER_BYTES = 32 * 1024 * 1024;

export class Requests {
  readonly #settings: ReachedApi;
  readonly #options: GmailOptions;
  readonly #gate: QuotaGate;

  constructor(settings: ReachedApi, options: GmailOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#gate = new QuotaGate(options.unitsPerMinute);
  }

  /** Sends a request, within the quota, with a token, and again when what failed passes by itself. */
  async call<T>(
    method: Method,
    signal: AbortSignal,
    send: (call: CallOptions) => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    let refused = false;
    for (let attempt = 0; ; attempt += 1) {
      await this.#gate.pass(method, signal).catch((error) => this.#rethrow(error, signal));
      // After the wait, which may outlast a token.
      const token = await this.#settings.tokens.get();
      try {
        return await this.#once(method, token, signal, send);
      } catch (thrown) {
        const error = asPenstockError(thrown);
        if (error.code === 'auth_failed' && !refused) {
          refused = true;
          await this.#settings.tokens.rejected(token);
          // The same token again would be refused again.
          if ((await this.#settings.tokens.get()) !== token) continue;
        }
        const waitMs = mayRepeat(method, error) ? this.#retryWait(error, attempt) : null;
        if (waitMs === null) throw error;
        await sleep(waitMs, undefined, { signal }).catch((aborted) => this.#rethrow(aborted, signal));
      }
    }
  }

  async #once<T>(
    method: Method,
    token: string,
    signal: AbortSignal,
    send: (call: CallOptions) => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(timeout()), this.#options.requestMs);
    const call = {
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.any([signal, stop.signal]),
      retry: false,
      maxRedirects: 0,
      ...(method === 'get' ? {} : { maxContentLength: ANSWER_BYTES }),
    };
    try {
      return await send(call);
    } catch (error) {
      throw this.explain(error, method, signal, stop.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Null when the error is for the caller: it does not pass, or takes too long. */
  #retryWait(error: PenstockError, attempt: number): number | null {
    if (error.code === 'server_busy') {
      const asked = typeof error.fields.backoffMs === 'number' ? error.fields.backoffMs : 0;
      // All calls of this mailbox, not only this one.
      this.#gate.pause(asked);
      if (asked > this.#options.patienceMs) return null;
    }
    if (!error.temporary || error.fields.closed === true || attempt >= this.#options.retries) return null;
    return this.#options.retryMs * 2 ** attempt * (1 + Math.random() / 4);
  }

  /** Ends the request when the server takes too long over it. The time that the reader takes does not count. */
  async *timed(data: Readable, stop: AbortController): AsyncGenerator<Buffer> {
    const { requestMs, minBytesPerSecond } = this.#options;
    let size = 0;
    let waitedMs = 0;
    const pieces = data[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    try {
      for (;;) {
        const begun = performance.now();
        const left = requestMs + (size / minBytesPerSecond) * 1000 - waitedMs;
        const timer = setTimeout(() => stop.abort(timeout()), Math.min(left, requestMs));
        const { done, value } = await pieces.next().finally(() => clearTimeout(timer));
        if (done) return;
        waitedMs += performance.now() - begun;
        size += value.length;
        yield value;
      }
    } finally {
      data.destroy();
    }
  }

  /** An error of ours for whatever went wrong; `closed` and `late` tell why a request was ended from here. */
  explain(thrown: unknown, method: Method, closed: AbortSignal, late: AbortSignal): PenstockError {
    if (thrown instanceof PenstockError) return thrown;
    if (closed.aborted) return asClosed(closed);
    const { host } = new URL(this.#settings.rootUrl);
    if (late.aborted) return networkError(late.reason, host, { method });
    const response = (thrown as { response?: { status: number; headers: Headers; data: unknown } }).response;
    if (response === undefined || response.status < 400)
      return networkError(causeOf(thrown), host, { method });
    const wait = retryAfterMs(response.headers.get('retry-after'), Date.now());
    // The SDK drops the body of a failed request for a stream, but for its text in the message.
    const data = response.data ?? (thrown as Error).message;
    return gmailError(readApiError(response.status, data, wait), method);
  }

  #rethrow(error: unknown, closed: AbortSignal): never {
    throw closed.aborted ? asClosed(closed) : error;
  }
}

/** What was sent once must not be sent again, unless Gmail said that it did nothing. */
function mayRepeat(method: Method, { fields: { status } }: PenstockError): boolean {
  return method !== 'send' || (typeof status === 'number' && status >= 400 && status < 500);
}

/** The reason that a session gives when it ends is an error of ours. */
function asClosed(signal: AbortSignal): PenstockError {
  if (signal.reason instanceof PenstockError) return signal.reason;
  return fail('connection_lost', 'The session was ended', { closed: true }, signal.reason);
}

function timeout(): DOMException {
  return new DOMException('No answer in time', 'TimeoutError');
}

/** The SDK's own error holds the whole request, with its token: it must not reach a log. */
function causeOf(thrown: unknown): unknown {
  return thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
}
