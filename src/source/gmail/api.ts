/** The calls of the Gmail API that a mailbox needs. */
import { Agent } from 'node:https';
import { Readable } from 'node:stream';
import { createSecureContext } from 'node:tls';
import { gmail, type gmail_v1 } from 'googleapis/build/src/apis/gmail/index.js';
import { fail } from '../../errors.ts';
import { tlsOptions } from '../probe.ts';
import type { Method } from './quota.ts';
import { rawBytes } from './raw-stream.ts';
import { type Answer, type CallOptions, Requests } from './requests.ts';
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

const PAGE_SIZE = 500;

export class GmailApi {
  readonly settings: GmailSettings;
  readonly options: GmailOptions;
  readonly #requests: Requests;
  readonly #agent: Agent;
  readonly #gmail: gmail_v1.Gmail;
  readonly #userId: string;

  constructor(settings: GmailSettings, options: GmailOptions) {
    this.settings = settings;
    this.options = options;
    this.#userId = settings.user;
    this.#requests = new Requests(settings, options);
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
      const response = await this.#requests.call('get', AbortSignal.any([signal, stop.signal]), (call) =>
        this.#gmail.users.messages.get(params, { ...call, responseType: 'stream' }),
      );
      yield* rawBytes(this.#requests.timed(response.data, stop));
    } catch (error) {
      throw this.#requests.explain(error, 'get', signal, stop.signal);
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

  /** Sends a mail and returns its id. Not repeated unless Gmail said that it did nothing. */
  async send(mime: Buffer, signal: AbortSignal): Promise<string> {
    const data = await this.#json('send', signal, (call) => {
      // A stream is read once, so each attempt has its own.
      const media = { mimeType: 'message/rfc822', body: Readable.from([mime]) };
      // Uploads go elsewhere than all other calls, and follow this option only.
      const { rootUrl } = this.settings;
      return this.#gmail.users.messages.send({ userId: this.#userId, media }, { ...call, rootUrl });
    });
    return requireId(data.id);
  }

  /** Ids of messages that a search finds, the newest first. */
  async search(q: string, maxResults: number, signal: AbortSignal): Promise<string[]> {
    const params = { userId: this.#userId, q, maxResults };
    const data = await this.#json('list', signal, (call) => this.#gmail.users.messages.list(params, call));
    return (data.messages ?? []).flatMap(({ id }) => id ?? []);
  }

  /** Header fields of a message by lower-case name, with its labels. Fails with `message_gone` when there is none. */
  async fields(
    id: string,
    metadataHeaders: string[],
    signal: AbortSignal,
  ): Promise<{ labels: Set<string>; get(name: string): string | undefined }> {
    const params = { userId: this.#userId, id, format: 'metadata', metadataHeaders };
    const data = await this.#json('get', signal, (call) => this.#gmail.users.messages.get(params, call));
    const fields = new Map<string, string>();
    for (const { name, value } of data.payload?.headers ?? []) {
      if (name && typeof value === 'string') fields.set(name.toLowerCase(), value);
    }
    return { labels: new Set(data.labelIds ?? []), get: (name) => fields.get(name) };
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
    return (await this.#requests.call(method, signal, send)).data;
  }
}

const page = (pageToken: string | null): { pageToken?: string } => (pageToken === null ? {} : { pageToken });

function requireId(id: string | null | undefined): string {
  if (typeof id === 'string' && id !== '') return id;
  throw fail('server_protocol', 'Gmail gave no id');
}
