/**
 * The calls of the Gmail API that a mailbox needs, each within the quota, with a deadline and with errors of ours.
 * All of them may be repeated, so what passes by itself is repeated here a few times.
 */
import { Agent } from 'node:https';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { gmail, type gmail_v1 } from 'googleapis/build/src/apis/gmail/index.js';
import { asPenstockError, fail, PenstockError } from '../../errors.ts';
import { retryAfterMs } from '../oauth/http.ts';
import { networkError } from '../oauth/network-error.ts';
import { tlsOptions } from '../probe.ts';
import { gmailError, readApiError } from './gmail-error.ts';
import { type Method, QuotaGate } from './quota.ts';
import { rawBytes } from './raw-stream.ts';
import type { GmailOptions, GmailSettings } from './settings.ts';

/** What is asked of a message without its content. */
export interface MessageFacts {
  id: string;
  labels: string[];
  /** An estimate. */
  size: number;
  internalDate: string | null;
}

export interface IdPage {
  ids: string[];
  nextPageToken: string | null;
}

export interface HistoryPage {
  records: gmail_v1.Schema$History[];
  historyId: string;
  nextPageToken: string | null;
}

/** Options that every call passes to the SDK. */
interface CallOptions {
  headers: { Authorization: string };
  signal: AbortSignal;
}

interface Answer<T> {
  data: T;
}

/** Answers without mail in them; the largest is a page of history. */
const ANSWER_BYTES = 32 * 1024 * 1024;
const PAGE_SIZE = 500;

export class GmailApi {
  readonly settings: GmailSettings;
  readonly options: GmailOptions;
  readonly #gate: QuotaGate;
  readonly #agent: Agent;
  readonly #gmail: gmail_v1.Gmail;
  readonly #userId: string;

  constructor(settings: GmailSettings, options: GmailOptions) {
    this.settings = settings;
    this.options = options;
    this.#userId = settings.user;
    this.#gate = new QuotaGate(options.unitsPerMinute);
    this.#agent = new Agent({
      // Made once: an agent that is given authorities goes through all of them at each request.
      secureContext: createSecureContext(tlsOptions({ tlsCa: settings.tlsCa, tlsVerify: true })),
      keepAlive: true,
      maxSockets: options.concurrency + 2,
      proxyEnv: process.env,
    });
    this.#gmail = gmail({ version: 'v1', rootUrl: settings.rootUrl, agent: this.#agent });
  }

  async profile(signal: AbortSignal): Promise<{ address: string; historyId: string }> {
    const userId = this.#userId;
    const data = await this.#json('profile', signal, (call) =>
      this.#gmail.users.getProfile({ userId }, call),
    );
    return { address: (data.emailAddress ?? '').toLowerCase(), historyId: requireId(data.historyId) };
  }

  async labels(signal: AbortSignal): Promise<{ id: string; name: string }[]> {
    const userId = this.#userId;
    const data = await this.#json('labels', signal, (call) =>
      this.#gmail.users.labels.list({ userId }, call),
    );
    return (data.labels ?? []).flatMap(({ id, name }) => (id && name ? [{ id, name }] : []));
  }

  /** How many messages have a label. */
  async labelCount(id: string, signal: AbortSignal): Promise<number> {
    const userId = this.#userId;
    const data = await this.#json('labels', signal, (call) =>
      this.#gmail.users.labels.get({ userId, id }, call),
    );
    return data.messagesTotal ?? 0;
  }

  /** Fails with `conflict` when there is one of that name. */
  async createLabel(name: string, signal: AbortSignal): Promise<string> {
    const userId = this.#userId;
    const requestBody = { name, labelListVisibility: 'labelShow', messageListVisibility: 'show' };
    const data = await this.#json('createLabel', signal, (call) =>
      this.#gmail.users.labels.create({ userId, requestBody }, call),
    );
    return requireId(data.id);
  }

  /** Ids of the messages that have all of these labels, newest first. */
  async list(
    labelIds: string[],
    includeSpamTrash: boolean,
    pageToken: string | null,
    signal: AbortSignal,
  ): Promise<IdPage> {
    const params = {
      userId: this.#userId,
      labelIds,
      includeSpamTrash,
      maxResults: PAGE_SIZE,
      ...page(pageToken),
    };
    const data = await this.#json('list', signal, (call) => this.#gmail.users.messages.list(params, call));
    const ids = (data.messages ?? []).flatMap(({ id }) => id ?? []);
    return { ids, nextPageToken: data.nextPageToken ?? null };
  }

  /** Fails with `message_gone` when history does not reach back so far. */
  async history(
    startHistoryId: string,
    labelId: string,
    pageToken: string | null,
    signal: AbortSignal,
  ): Promise<HistoryPage> {
    const historyTypes = ['messageAdded', 'labelAdded', 'labelRemoved'];
    const params = { userId: this.#userId, startHistoryId, labelId, historyTypes, maxResults: PAGE_SIZE };
    const data = await this.#json('history', signal, (call) =>
      this.#gmail.users.history.list({ ...params, ...page(pageToken) }, call),
    );
    const { history: records = [], historyId, nextPageToken = null } = data;
    return { records, historyId: requireId(historyId), nextPageToken };
  }

  /** Fails with `message_gone` when there is none. */
  async facts(id: string, signal: AbortSignal): Promise<MessageFacts> {
    const params = {
      userId: this.#userId,
      id,
      format: 'minimal',
      fields: 'id,labelIds,sizeEstimate,internalDate',
    };
    const data = await this.#json('get', signal, (call) => this.#gmail.users.messages.get(params, call));
    const date = new Date(Number(data.internalDate ?? Number.NaN));
    return {
      id,
      labels: data.labelIds ?? [],
      size: data.sizeEstimate ?? 0,
      internalDate: Number.isNaN(date.getTime()) ? null : date.toISOString(),
    };
  }

  /** The bytes of a message as they come. Fails with `message_gone`, and with `stalled` when they come too slowly. */
  async *raw(id: string, signal: AbortSignal): AsyncGenerator<Buffer> {
    const stop = new AbortController();
    const params = { userId: this.#userId, id, format: 'raw', fields: 'raw' };
    try {
      const response = await this.#call('get', AbortSignal.any([signal, stop.signal]), (call) =>
        this.#gmail.users.messages.get(params, { ...call, responseType: 'stream' }),
      );
      yield* rawBytes(this.#timed(response.data, stop));
    } catch (error) {
      throw this.#explain(error, 'get', signal, stop.signal);
    } finally {
      stop.abort();
    }
  }

  async modify(
    id: string,
    addLabelIds: string[],
    removeLabelIds: string[],
    signal: AbortSignal,
  ): Promise<void> {
    const params = { userId: this.#userId, id, requestBody: { addLabelIds, removeLabelIds } };
    await this.#json('modify', signal, (call) => this.#gmail.users.messages.modify(params, call));
  }

  async trash(id: string, signal: AbortSignal): Promise<void> {
    const params = { userId: this.#userId, id };
    await this.#json('trash', signal, (call) => this.#gmail.users.messages.trash(params, call));
  }

  async watch(
    requestBody: gmail_v1.Schema$WatchRequest,
    signal: AbortSignal,
  ): Promise<gmail_v1.Schema$WatchResponse> {
    const params = { userId: this.#userId, requestBody };
    return await this.#json('watch', signal, (call) => this.#gmail.users.watch(params, call));
  }

  async stopWatch(signal: AbortSignal): Promise<void> {
    const params = { userId: this.#userId };
    await this.#json('stop', signal, (call) => this.#gmail.users.stop(params, call));
  }

  /** Ends idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #json<T>(
    method: Method,
    signal: AbortSignal,
    send: (call: CallOptions) => Promise<Answer<T>>,
  ): Promise<T> {
    return (await this.#call(method, signal, send)).data;
  }

  async #call<T>(
    method: Method,
    signal: AbortSignal,
    send: (call: CallOptions) => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    let refused = false;
    for (let attempt = 0; ; attempt += 1) {
      const token = await this.settings.tokens.get();
      await this.#gate.pass(method, signal).catch((error) => this.#rethrow(error, signal));
      try {
        return await this.#once(method, token, signal, send);
      } catch (thrown) {
        const error = asPenstockError(thrown);
        if (error.code === 'auth_failed' && !refused) {
          refused = true;
          await this.settings.tokens.rejected(token);
          // The same token again would be refused again.
          if ((await this.settings.tokens.get()) !== token) continue;
        }
        const waitMs = this.#retryWait(error, attempt);
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
    const timer = setTimeout(() => stop.abort(timeout()), this.options.requestMs);
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
      throw this.#explain(error, method, signal, stop.signal);
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
      if (asked > this.options.patienceMs) return null;
    }
    if (!error.temporary || error.fields.closed === true || attempt >= this.options.retries) return null;
    return this.options.retryMs * 2 ** attempt * (1 + Math.random() / 4);
  }

  /** Ends the request when the server takes too long over it. The time that the reader takes does not count. */
  async *#timed(data: Readable, stop: AbortController): AsyncGenerator<Buffer> {
    const { requestMs, minBytesPerSecond } = this.options;
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

  #explain(thrown: unknown, method: Method, closed: AbortSignal, late: AbortSignal): PenstockError {
    if (thrown instanceof PenstockError) return thrown;
    if (closed.aborted) return asClosed(closed);
    const { host } = new URL(this.settings.rootUrl);
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

const page = (pageToken: string | null): { pageToken?: string } => (pageToken === null ? {} : { pageToken });

function requireId(id: string | null | undefined): string {
  if (typeof id === 'string' && id !== '') return id;
  throw fail('server_protocol', 'Gmail gave no id');
}
