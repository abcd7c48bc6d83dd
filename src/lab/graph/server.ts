/**
 * A scriptable Microsoft Graph in memory, for what mail needs of it: for the demo, for tests, and for an operator who
 * wants to see what happens when Graph misbehaves. It speaks TLS, as clients insist, on the loopback address only.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Certificate } from '../certificate.ts';
import type { Content } from '../mail-store.ts';
import { errorAnswer, GraphFault, type LabAnswer } from './answer.ts';
import { LabOutgoing } from './delivery.ts';
import { DeltaTokens } from './delta.ts';
import { GraphFaults, type RouteName } from './faults.ts';
import { type DeliverOptions, LabMailbox, type LabMessage } from './mail-store.ts';
import { OUTGOING_ROUTES } from './outgoing.ts';
import { bodyOf, jsonOf, matchRoute, segmentsOf } from './paths.ts';
import { parseQuery } from './query.ts';
import { ROUTES, type Role } from './routes.ts';
import { send } from './sending.ts';
import { Subscriptions } from './subscriptions.ts';

export interface LabGraphOptions {
  certificate: Certificate;
  /** 0, the default, takes a free port. */
  port?: number;
  /** Requests at once for one mailbox; more are refused with 429, as Exchange does. */
  concurrency?: number;
  subscriptionMaxMinutes?: number;
  /** Authority of the certificates of addresses that want notifications. */
  notificationCa?: string;
  /** Looks up a token that is not one of {@link LabGraphServer.tokens}; null when it is not valid. */
  grantOf?(token: string): Grant | null;
}

/** What a token allows. `mailboxes` null: all of them. */
export interface Grant {
  roles: ReadonlySet<Role>;
  mailboxes: ReadonlySet<string> | null;
}

/** A request as it came, and what it was answered with. */
export interface LoggedRequest {
  route: RouteName;
  method: string;
  url: string;
  mailbox: string;
  prefer: string;
  /** 0: it got no answer. */
  status: number;
  /** Milliseconds of a clock that does not go back. */
  at: number;
}

const LOG_LENGTH = 10_000;
const ALL_ROLES: readonly Role[] = ['read', 'write', 'contacts', 'send'];
const ALL_ROUTES = [...ROUTES, ...OUTGOING_ROUTES];

export class LabGraphServer {
  readonly faults = new GraphFaults();
  readonly delta = new DeltaTokens();
  readonly subscriptions: Subscriptions;
  readonly mailboxes = new Map<string, LabMailbox>();
  readonly tokens = new Map<string, Grant>();
  readonly outgoing = new LabOutgoing(this.mailboxes);
  /** The last 10,000 requests. */
  readonly requests: LoggedRequest[] = [];
  /** The most requests at once for one mailbox so far. */
  peak = 0;
  readonly #options: LabGraphOptions;
  readonly #server: https.Server;
  readonly #open = new Set<Duplex>();
  readonly #running = new Map<LabMailbox, number>();

  constructor(options: LabGraphOptions) {
    this.#options = options;
    const { key, cert } = options.certificate;
    this.subscriptions = new Subscriptions({
      maxMinutes: options.subscriptionMaxMinutes ?? 10_080,
      ca: options.notificationCa,
      tenantId: randomUUID(),
    });
    this.#server = https.createServer(
      { key, cert },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.on('connection', (socket) => {
      this.#open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#open.delete(socket));
    });
    // A client that does not like the certificate must not end the server.
    this.#server.on('tlsClientError', () => {});
  }

  /** Starts to listen and returns `host:port`. */
  async start(): Promise<string> {
    this.#server.listen(this.#options.port ?? 0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this.host;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Stops listening and cuts every connection. May be called again. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  /** `online` false: a user without a mailbox. */
  addMailbox(address: string, online = true): LabMailbox {
    const mailbox = new LabMailbox(address, online);
    this.mailboxes.set(address.toLowerCase(), mailbox);
    return mailbox;
  }

  /** Lets a token do these things, in these mailboxes or in all. */
  grant(token: string, roles: readonly Role[] = ALL_ROLES, mailboxes: readonly string[] | null = null): void {
    this.tokens.set(token, { roles: new Set(roles), mailboxes: mailboxes && new Set(mailboxes) });
  }

  /** Puts a message into a folder, as transport would, and tells those who have subscribed. */
  deliver(
    address: string,
    content: Buffer | Content,
    options?: DeliverOptions,
    folder = 'inbox',
  ): LabMessage {
    const mailbox = this.mailbox(address);
    const target = mailbox.folder(folder);
    if (!target) throw new Error(`No folder ${folder}`);
    const stored = Buffer.isBuffer(content) ? { size: content.length, bytes: () => content } : content;
    const message = mailbox.deliver(target, stored, options);
    this.subscriptions.messageCreated(message, mailbox);
    return message;
  }

  /** By address or object id. Fails as Graph does. */
  mailbox(name: string): LabMailbox {
    const byId = [...this.mailboxes.values()].find(({ objectId }) => objectId === name);
    const mailbox = byId ?? this.mailboxes.get(name.toLowerCase());
    if (!mailbox) throw new GraphFault(404, 'ErrorInvalidUser', `The requested user '${name}' is invalid.`);
    if (mailbox.online) return mailbox;
    const message = 'The mailbox is either inactive, soft-deleted, or is hosted on-premise.';
    throw new GraphFault(404, 'MailboxNotEnabledForRESTAPI', message);
  }

  /** How many requests of a kind came. */
  count(route: RouteName): number {
    return this.requests.filter((request) => request.route === route).length;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = request;
    const target = new URL(url, `https://${this.host}`);
    const prefer = String(headers.prefer ?? '');
    const matched = matchRoute(method, segmentsOf(target.pathname), ALL_ROUTES);
    const log: LoggedRequest = {
      route: matched?.name ?? 'get-message',
      method,
      url,
      mailbox: matched?.names.user ?? '',
      prefer,
      status: 0,
      at: performance.now(),
    };
    this.requests.push(log);
    if (this.requests.length > LOG_LENGTH) this.requests.shift();
    let leave = (): void => {};
    try {
      const raw = await bodyOf(request);
      const upload = /^\/upload\/([\w-]+)$/.exec(target.pathname)?.[1];
      if (upload !== undefined) {
        const act = async (): Promise<LabAnswer> =>
          this.outgoing.put(upload, String(headers['content-range'] ?? ''), raw, headers.authorization);
        log.status = await send(response, this.faults.strike('upload', null, null), act);
        return;
      }
      const isText = String(headers['content-type'] ?? '').startsWith('text/plain');
      const body = isText ? {} : jsonOf(raw);
      if (!matched)
        throw new GraphFault(400, 'BadRequest', `Resource not found for ${method} ${target.pathname}`);
      const { name, names, route } = matched;
      const grant = this.#grantOf(headers.authorization);
      const mailbox = names.user === undefined ? null : this.mailbox(names.user);
      if (mailbox) log.mailbox = mailbox.address;
      const key = names.message === undefined ? null : (mailbox?.message(names.message)?.immutableId ?? null);
      leave = this.#enter(mailbox);
      const act = async (): Promise<LabAnswer> => {
        if (route === null)
          return await this.#answerSubscription(name, names.subscription ?? '', body, grant);
        this.#require(grant, route.role, mailbox as LabMailbox);
        const query = parseQuery(target.searchParams);
        const link = (options: string): string => `https://${this.host}${target.pathname}?${options}`;
        return route.answer({
          method,
          mailbox: mailbox as LabMailbox,
          names,
          query,
          prefer,
          body,
          text: isText ? raw.toString('latin1') : null,
          outgoing: this.outgoing,
          host: this.host,
          delta: this.delta,
          link,
        });
      };
      const action = this.faults.strike(name, mailbox?.address ?? null, key);
      log.status = await send(response, action, act);
    } catch (error) {
      const fault =
        error instanceof GraphFault ? error.answer : errorAnswer(500, 'InternalServerError', String(error));
      log.status = await send(response, null, async () => fault);
    } finally {
      leave();
    }
  }

  async #answerSubscription(
    name: RouteName,
    id: string,
    body: Record<string, unknown>,
    grant: Grant,
  ): Promise<LabAnswer> {
    switch (name) {
      case 'create-subscription':
        return await this.subscriptions.create(body, (user) => {
          const mailbox = this.mailbox(user);
          this.#require(grant, 'read', mailbox);
          return mailbox;
        });
      case 'renew-subscription':
        return this.subscriptions.renew(id, body);
      case 'reauthorize-subscription':
        return this.subscriptions.reauthorize(id);
      case 'delete-subscription':
        return this.subscriptions.remove(id);
      default:
        return this.subscriptions.get(id);
    }
  }

  #grantOf(authorization: string | undefined): Grant {
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
    if (token === undefined)
      throw new GraphFault(401, 'InvalidAuthenticationToken', 'Access token is empty.');
    const grant = this.tokens.get(token) ?? this.#options.grantOf?.(token);
    if (grant) return grant;
    throw new GraphFault(
      401,
      'InvalidAuthenticationToken',
      'Lifetime validation failed, the token is expired.',
    );
  }

  #require({ roles, mailboxes }: Grant, role: Role, { address }: LabMailbox): void {
    const hasRole = roles.has(role) || (role === 'read' && roles.has('write'));
    if (hasRole && (mailboxes === null || mailboxes.has(address))) return;
    throw new GraphFault(403, 'ErrorAccessDenied', 'Access is denied. Check credentials and try again.');
  }

  #enter(mailbox: LabMailbox | null): () => void {
    if (!mailbox) return () => {};
    const running = (this.#running.get(mailbox) ?? 0) + 1;
    this.peak = Math.max(this.peak, running);
    if (running > (this.#options.concurrency ?? 4)) {
      const message = 'Application is over its MailboxConcurrency limit.';
      throw new GraphFault(429, 'ApplicationThrottled', message, { 'Retry-After': '1' });
    }
    this.#running.set(mailbox, running);
    return () => void this.#running.set(mailbox, (this.#running.get(mailbox) ?? 1) - 1);
  }
}
