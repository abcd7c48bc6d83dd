/**
 * Deliveries to a Halo instance, as its integrator: a token for client credentials (halo-api.md 1.3), then either the
 * message itself for Halo to decide on (section 2), or the ticket and actions that we decided.
 *
 * A message is taken once there, by its id. Tickets and actions are not: each carries the id of its delivery in its
 * text, and before one that may have arrived is sent again it is looked for.
 */
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { ParsedMessage } from '../message/message.ts';
import type { DestinationSettings, HaloSettings } from './destination.ts';
import type { OutcomeEvent } from './event.ts';
import { integratorMessage } from './halo-message.ts';
import type { Egress } from './http.ts';
import { type Answer, judgeStatus, judgeStrictly, type Verdict } from './verdict.ts';

/** What one delivery needs to know. */
export interface HaloDelivery {
  messageId: string;
  event: OutcomeEvent;
  maybeSent: boolean;
  /** The ticket's id there; null when it is not known there. */
  externalTicketId: string | null;
  /** Fails with `raw_missing` when the bytes are gone. */
  readRaw(): Promise<Buffer>;
  parse(raw: Buffer): Promise<ParsedMessage>;
}

/** A token is not used in its last seconds. */
const TOKEN_MARGIN_MS = 30_000;
const NOTE_CHARS = 100_000;

/** Ends a delivery with a verdict, from wherever it is. */
class Ended extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict) {
    super(verdict.kind);
    this.verdict = verdict;
  }
}

/** One Halo instance, with its token. */
export class HaloClient {
  readonly #egress: Egress;
  readonly #settings: DestinationSettings;
  readonly #halo: HaloSettings;
  readonly #secret: string;
  #token: { value: string; until: number } | null = null;
  /** Deliveries that run side by side sign in once. */
  #signingIn: Promise<string> | null = null;

  constructor(egress: Egress, settings: DestinationSettings, secret: string) {
    this.#egress = egress;
    this.#settings = settings;
    this.#halo = settings.halo!;
    this.#secret = secret;
  }

  /** Fails with an error of ours when there is no answer. `reference` is the ticket's id there. */
  async deliver(delivery: HaloDelivery): Promise<Verdict> {
    try {
      const reference =
        this.#halo.mode === 'mail' ? await this.#sendMail(delivery) : await this.#sendTicket(delivery);
      return { kind: 'delivered', reference };
    } catch (error) {
      if (error instanceof Ended) return error.verdict;
      throw error;
    }
  }

  /** Signs in and asks for nothing: what a test does. */
  async signIn(): Promise<Verdict> {
    try {
      await this.#signIn();
      return { kind: 'delivered', reference: null };
    } catch (error) {
      if (error instanceof Ended) return error.verdict;
      throw error;
    }
  }

  async #sendMail({ messageId, readRaw, parse }: HaloDelivery): Promise<string | null> {
    const raw = await readRaw();
    const { endpoint, mailboxId } = this.#halo;
    const body = integratorMessage(endpoint, {
      id: messageId,
      mailboxId,
      raw,
      message: endpoint === 'Google' ? null : await parse(raw),
    });
    return ticketIdIn(await this.#call('POST', `/Mail/Integrator/${endpoint}`, body));
  }

  async #sendTicket(delivery: HaloDelivery): Promise<string> {
    const { event, externalTicketId } = delivery;
    if (externalTicketId === null) {
      const id =
        (delivery.maybeSent ? await this.#findTicket(delivery.messageId) : null) ??
        (await this.#createTicket(delivery));
      if (event.ticket?.open === false) await this.#close(id);
      return id;
    }
    const isThere = delivery.maybeSent && (await this.#hasAction(externalTicketId, delivery.messageId));
    if (!isThere) await this.#addAction(externalTicketId, delivery);
    if (event.type === 'ticket.closed' || event.type === 'alert.closed') await this.#close(externalTicketId);
    return externalTicketId;
  }

  async #createTicket(delivery: HaloDelivery): Promise<string> {
    const { ticket, email } = delivery.event;
    const item = {
      summary: ticket?.subject || email.subject || '(no subject)',
      details: await this.#note(delivery),
      ...(ticket === null || ticket.typeId === 0 ? {} : { tickettype_id: ticket.typeId }),
    };
    const id = ticketIdIn(await this.#call('POST', '/Tickets', [item]));
    if (id !== null) return id;
    // It may exist all the same; the next attempt looks for it.
    throw new Ended({
      kind: 'retry',
      error: fail('server_protocol', `${this.#host} took a ticket and named no id for it`),
      waitSeconds: null,
    });
  }

  async #addAction(ticketId: string, delivery: HaloDelivery): Promise<void> {
    const action = {
      ticket_id: Number(ticketId),
      outcome: 'Email',
      note: await this.#note(delivery),
      hiddenfromuser: delivery.event.private,
    };
    await this.#call('POST', '/Actions', [action]);
  }

  async #close(ticketId: string): Promise<void> {
    const { closedStatusId } = this.#halo;
    if (closedStatusId > 0)
      await this.#call('POST', '/Tickets', [{ id: Number(ticketId), status_id: closedStatusId }]);
  }

  /** What the sender wrote, and by what it is recognised. */
  async #note({ event, messageId, readRaw, parse }: HaloDelivery): Promise<string> {
    const text = (await parse(await readRaw())).newestText.slice(0, NOTE_CHARS);
    return `From: ${event.email.from}\n\n${text}\n\n${marker(messageId)}`;
  }

  async #findTicket(messageId: string): Promise<string | null> {
    const found = await this.#call('GET', `/Tickets?search=${encodeURIComponent(messageId)}&count=10`);
    for (const one of listIn(found, 'tickets')) {
      const id = ticketIdIn(one);
      if (id === null) continue;
      const whole = await this.#call('GET', `/Tickets/${id}?includedetails=true`);
      if (mentions(whole, messageId)) return id;
    }
    return null;
  }

  async #hasAction(ticketId: string, messageId: string): Promise<boolean> {
    const found = await this.#call('GET', `/Actions?ticket_id=${encodeURIComponent(ticketId)}&count=100`);
    return listIn(found, 'actions').some((action) => mentions(action, messageId));
  }

  /** One call with a token; a token that is not taken is replaced once. */
  async #call(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const token = await this.#tokenNow();
    let answer = await this.#request(method, path, token, body);
    if (answer.status === 401) {
      // Another delivery may have replaced it already.
      if (this.#token?.value === token) this.#token = null;
      answer = await this.#request(method, path, await this.#tokenNow(), body);
    }
    const verdict = judgeStrictly(answer, this.#host);
    if (verdict.kind !== 'delivered') throw new Ended(verdict);
    return parseJson(answer.text);
  }

  async #request(method: 'GET' | 'POST', path: string, token: string, body?: object): Promise<Answer> {
    return await this.#egress.send({
      method,
      url: `${this.#base}/api${path}`,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      ...this.#limits,
    });
  }

  async #tokenNow(): Promise<string> {
    if (this.#token !== null && this.#token.until > performance.now()) return this.#token.value;
    this.#signingIn ??= this.#signIn().finally(() => {
      this.#signingIn = null;
    });
    return await this.#signingIn;
  }

  async #signIn(): Promise<string> {
    const { clientId, scope, tenant } = this.#halo;
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: this.#secret,
      scope,
    });
    const query = tenant === null ? '' : `?tenant=${encodeURIComponent(tenant)}`;
    const answer = await this.#egress.send({
      method: 'POST',
      url: `${this.#base}/auth/token${query}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
      ...this.#limits,
    });
    if (answer.status === 400 || answer.status === 401 || answer.status === 403) {
      const error = fail(
        'destination_refused',
        `${this.#host} gives no token: it answered ${answer.status}`,
        {
          host: this.#host,
          status: answer.status,
        },
      );
      throw new Ended({ kind: 'retry', error, waitSeconds: null });
    }
    const verdict = judgeStatus(answer, this.#host);
    if (verdict.kind !== 'delivered') throw new Ended(verdict);
    const { access_token: value, expires_in: seconds } = parseJson(answer.text) as Record<string, unknown>;
    if (typeof value !== 'string' || value === '')
      throw fail('server_protocol', `${this.#host} answered without a token`, { host: this.#host });
    const lifeMs = (typeof seconds === 'number' && seconds > 0 ? seconds : 600) * 1000;
    this.#token = { value, until: performance.now() + lifeMs - TOKEN_MARGIN_MS };
    return value;
  }

  get #base(): string {
    return this.#settings.url.replace(/\/+$/, '').replace(/\/api$/i, '');
  }

  get #host(): string {
    return new URL(this.#settings.url).host;
  }

  get #limits() {
    return { timeoutMs: this.#settings.timeoutSeconds * 1000, tlsCa: this.#settings.tlsCa };
  }
}

function marker(messageId: string): string {
  return `[Penstock ${messageId}]`;
}

/** Whether a record carries our mark in one of its texts. */
function mentions(record: unknown, messageId: string): boolean {
  return typeof record === 'object' && record !== null
    ? Object.values(record).some((value) => typeof value === 'string' && value.includes(marker(messageId)))
    : false;
}

/** The ticket's id in an answer: that of a ticket, or the one that a mail belongs to now. Null when it names none. */
export function ticketIdIn(answer: unknown): string | null {
  const record = Array.isArray(answer) ? answer[0] : answer;
  if (typeof record !== 'object' || record === null) return null;
  // An incoming mail has an id, too: its own. It is told by its mailbox.
  const names =
    'mbid' in record ? ['ticket_id', 'faultid', 'addactiontofaultid'] : ['ticket_id', 'faultid', 'id'];
  for (const name of names) {
    const value = (record as Record<string, unknown>)[name];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return String(value);
  }
  return null;
}

/** The rows of a list, in either of its shapes (halo-api.md 1.6). */
function listIn(answer: unknown, collection: string): unknown[] {
  if (Array.isArray(answer)) return answer.slice(0, LIMITS.pageSize);
  const rows = (answer as Record<string, unknown> | null)?.[collection];
  return Array.isArray(rows) ? rows.slice(0, LIMITS.pageSize) : [];
}

/** Null for what is no JSON: some calls answer with nothing. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
