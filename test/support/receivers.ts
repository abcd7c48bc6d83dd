/**
 * Those who receive outcomes, for tests: a webhook, PagerDuty, Splunk On-Call and a Halo, on one port. Each checks what
 * it gets against the published shapes and answers as the real one, and misbehaves when told to (`faults`).
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { onTestFinished } from 'vitest';
import type { LabAnswer } from '../../src/lab/http/answer.ts';
import { answerUnder, HttpFaults } from '../../src/lab/http/faults.ts';

type Json = Record<string, unknown>;
interface Post {
  headers: IncomingMessage['headers'];
  body: Json;
  text: string;
}

export type Route = 'webhook' | 'pagerduty' | 'splunk' | 'token' | 'mail' | 'tickets' | 'actions';

export const HALO_SECRET = 'halo client secret';
export const ROUTING_KEY = '0123456789abcdef0123456789abcdef';

export class Receivers {
  readonly faults = new HttpFaults();
  /** What came to each route, also what was refused or lost. */
  readonly posts = new Map<Route, Post[]>();
  /** What did not fit the published shape. A test that ends with one has failed. */
  readonly complaints: string[] = [];
  /** Keys that webhooks are verified with, by reference code of Standard Webhooks. */
  webhookKeys: string[] = [];
  /** By dedup_key: what PagerDuty shows, and how often it called somebody. */
  readonly pages = new Map<string, { state: 'triggered' | 'acknowledged' | 'resolved'; calls: number }>();
  /** By entity_id: every message type, in order. */
  readonly timeline = new Map<string, string[]>();
  readonly halo = {
    mails: new Map<string, Json>(),
    tickets: new Map<number, Json>(),
    actions: [] as Json[],
    tokens: 0,
  };
  readonly #server: Server = createServer((request, response) => {
    void this.#handle(request, response).catch(() => response.destroy());
  });
  #lastId = 100;

  /** Ends with the test, which fails when there were complaints. */
  static async start(): Promise<Receivers> {
    const receivers = new Receivers();
    await receivers.listen(0);
    onTestFinished(async () => {
      await receivers.stop();
      if (receivers.complaints.length > 0) throw new Error(receivers.complaints.join('\n'));
    });
    return receivers;
  }

  port = 0;

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.port = (this.#server.address() as AddressInfo).port;
  }

  /** Nobody answers at the port any more, until {@link listen}. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get splunkUrl(): string {
    return `${this.origin}/integrations/generic/20131114/alert/api-key/routing-key`;
  }

  of(route: Route): Post[] {
    return this.posts.get(route) ?? [];
  }

  /** Distinct ids that the webhook got, in the order of their first arrival. */
  webhookIds(): string[] {
    return [...new Set(this.of('webhook').map(({ headers }) => String(headers['webhook-id'])))];
  }

  async #handle(request: IncomingMessage, response: Parameters<typeof answerUnder>[1]): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const url = new URL(request.url ?? '/', this.origin);
    const route = routeOf(url.pathname);
    const isForm = request.headers['content-type'] === 'application/x-www-form-urlencoded';
    const parsed =
      text === '' ? {} : isForm ? Object.fromEntries(new URLSearchParams(text)) : JSON.parse(text);
    const body = (Array.isArray(parsed) ? parsed[0] : parsed) as Json;
    const post = { headers: request.headers, body, text };
    if (request.method === 'POST') this.posts.set(route, [...this.of(route), post]);
    const action = this.faults.strike(route, null);
    await answerUnder(action, response, () => this.#answer(route, request.method ?? '', url, post));
  }

  #answer(route: Route, method: string, url: URL, post: Post): LabAnswer {
    switch (route) {
      case 'webhook':
        return this.#webhook(post);
      case 'pagerduty':
        return this.#pagerDuty(post);
      case 'splunk':
        return this.#splunk(post);
      case 'token':
        return this.#token(post);
      default:
        if (post.headers.authorization !== `Bearer token-${this.halo.tokens}`) return { status: 401 };
        return this.#halo(route, method, url, post);
    }
  }

  #wants(what: string, holds: boolean): boolean {
    if (!holds) this.complaints.push(what);
    return holds;
  }

  #webhook({ headers, text, body }: Post): LabAnswer {
    for (const key of this.webhookKeys) new Webhook(key).verify(text, headers as Record<string, string>);
    this.#wants(
      'a webhook has type, timestamp and data',
      'type' in body && 'timestamp' in body && 'data' in body,
    );
    this.#wants('a webhook-id has no dot', /^msg_[0-9a-f]{32}$/.test(String(headers['webhook-id'])));
    return { status: 204 };
  }

  /** Events API v2, "Send an Alert Event". */
  #pagerDuty({ body }: Post): LabAnswer {
    const { routing_key, event_action, dedup_key, payload } = body as Record<string, string> & {
      payload?: Json;
    };
    const known = [
      'routing_key',
      'event_action',
      'dedup_key',
      'payload',
      'client',
      'client_url',
      'links',
      'images',
    ];
    const errors = [
      this.#wants('a routing key has 32 characters', routing_key?.length === 32),
      this.#wants('an action is known', ['trigger', 'acknowledge', 'resolve'].includes(event_action!)),
      this.#wants('a dedup_key has 1 to 255 characters', dedup_key!.length > 0 && dedup_key!.length <= 255),
      this.#wants(
        'every property is known',
        Object.keys(body).every((name) => known.includes(name)),
      ),
    ];
    if (event_action === 'trigger') {
      const { summary, source, severity, timestamp } = (payload ?? {}) as Record<string, string>;
      errors.push(
        this.#wants('a summary has 1 to 1024 characters', summary!.length > 0 && summary!.length <= 1024),
        this.#wants('a trigger names its source', typeof source === 'string' && source !== ''),
        this.#wants('a severity is known', ['critical', 'error', 'warning', 'info'].includes(severity!)),
        this.#wants('a timestamp is ISO 8601', !Number.isNaN(Date.parse(timestamp!))),
      );
    }
    if (errors.includes(false))
      return { status: 400, body: { status: 'invalid event', message: 'Event object is invalid' } };
    const page = this.pages.get(dedup_key!);
    if (event_action === 'trigger') {
      if (page === undefined || page.state === 'resolved')
        this.pages.set(dedup_key!, { state: 'triggered', calls: (page?.calls ?? 0) + 1 });
    } else if (page !== undefined) page.state = event_action === 'resolve' ? 'resolved' : 'acknowledged';
    return { status: 202, body: { status: 'success', message: 'Event processed', dedup_key } };
  }

  /** "REST Endpoint integration for Splunk On-Call". */
  #splunk({ body }: Post): LabAnswer {
    const { message_type, entity_id } = body as Record<string, string>;
    const types = ['CRITICAL', 'WARNING', 'ACKNOWLEDGEMENT', 'INFO', 'RECOVERY'];
    const fits =
      this.#wants('a message type is known', types.includes(message_type!)) &&
      this.#wants('an entity has an id', typeof entity_id === 'string' && entity_id !== '') &&
      this.#wants('a start time is seconds since 1970', Number.isInteger(body.state_start_time));
    if (!fits) return { status: 400, body: { result: 'failure', message: 'invalid' } };
    this.timeline.set(entity_id!, [...(this.timeline.get(entity_id!) ?? []), message_type!]);
    return { status: 200, body: { result: 'success', entity_id } };
  }

  /** halo-api.md 1.3. */
  #token({ body }: Post): LabAnswer {
    if (body.client_secret !== HALO_SECRET || body.grant_type !== 'client_credentials')
      return { status: 400, body: { error: 'invalid_client' } };
    this.halo.tokens += 1;
    const access_token = `token-${this.halo.tokens}`;
    return { status: 200, body: { access_token, token_type: 'Bearer', expires_in: 3600, scope: 'all' } };
  }

  #halo(route: Route, method: string, url: URL, { body }: Post): LabAnswer {
    const { mails, tickets, actions } = this.halo;
    if (route === 'mail') {
      const id = String(body.id);
      this.#wants('a message names its mailbox', Number.isInteger(body.haloMailboxId));
      this.#wants('a message is there', typeof body.raw === 'string' || typeof body.mimeMessage === 'object');
      const known = mails.get(id);
      if (known !== undefined) return { status: 200, body: known };
      const subject = (body.mimeMessage as Json | undefined)?.subject ?? null;
      const mail = {
        id: ++this.#lastId,
        mbid: body.haloMailboxId,
        mailid: id,
        subject,
        ticket_id: ++this.#lastId,
      };
      mails.set(id, mail);
      return { status: 201, body: mail };
    }
    if (route === 'tickets' && method === 'POST') {
      const id = Number(body.id ?? ++this.#lastId);
      const before = tickets.get(id);
      this.#wants('an update is of a ticket that is there', body.id === undefined || before !== undefined);
      tickets.set(id, { ...before, ...body, id });
      return { status: 201, body: tickets.get(id) };
    }
    if (route === 'tickets') {
      const one = /\/tickets\/(\d+)$/i.exec(url.pathname)?.[1];
      if (one !== undefined) return { status: 200, body: tickets.get(Number(one)) };
      const wanted = url.searchParams.get('search') ?? '';
      const found = [...tickets.values()].filter(({ details }) => String(details).includes(wanted));
      const shown = found.map(({ id, summary }) => ({ id, summary }));
      return { status: 200, body: { record_count: shown.length, tickets: shown } };
    }
    if (method === 'GET') {
      const ticketId = Number(url.searchParams.get('ticket_id'));
      return { status: 200, body: { actions: actions.filter((action) => action.ticket_id === ticketId) } };
    }
    this.#wants('an action is of a ticket that is there', tickets.has(Number(body.ticket_id)));
    actions.push({ ...body, id: ++this.#lastId });
    return { status: 201, body: actions.at(-1) };
  }
}

function routeOf(path: string): Route {
  const lower = path.toLowerCase();
  if (lower === '/v2/enqueue') return 'pagerduty';
  if (lower.startsWith('/integrations/generic/20131114/alert/')) return 'splunk';
  if (lower === '/auth/token') return 'token';
  if (lower.startsWith('/api/mail/integrator/')) return 'mail';
  if (lower.startsWith('/api/tickets')) return 'tickets';
  if (lower.startsWith('/api/actions')) return 'actions';
  return 'webhook';
}
