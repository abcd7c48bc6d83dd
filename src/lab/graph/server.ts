/**
 * A scriptable Microsoft Graph in memory, for what mail needs of it: for the demo, for tests, and for an operator who
 * wants to see what happens when Graph misbehaves. It speaks TLS, as clients insist, on the loopback address only.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LabAnswer } from '../http/answer.ts';
import { answerUnder } from '../http/faults.ts';
import { type HttpServerOptions, LabHttpServer } from '../http/server.ts';
import type { Content } from '../mail-store.ts';
import { errorAnswer, GraphFault } from './answer.ts';
import { LabOutgoing } from './delivery.ts';
import { DeltaTokens } from './delta.ts';
import { GraphFaults, type RouteName } from './faults.ts';
import { type DeliverOptions, LabMailbox, type LabMessage } from './mail-store.ts';
import { OUTGOING_ROUTES } from './outgoing.ts';
import { bodyOf, jsonOf, matchRoute, segmentsOf } from './paths.ts';
import { parseQuery } from './query.ts';
import { ROUTES, type Role } from './routes.ts';
import { Subscriptions } from './subscriptions.ts';

export interface LabGraphOptions extends HttpServerOptions {
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

const ALL_ROLES: readonly Role[] = ['read', 'write', 'contacts', 'send'];
const ALL_ROUTES = [...ROUTES, ...OUTGOING_ROUTES];

export class LabGraphServer extends LabHttpServer<LoggedRequest> {
  readonly faults = new GraphFaults();
  readonly delta = new DeltaTokens();
  readonly subscriptions: Subscriptions;
  readonly mailboxes = new Map<string, LabMailbox>();
  readonly tokens = new Map<string, Grant>();
  readonly outgoing = new LabOutgoing(this.mailboxes);
  /** The most requests at once for one mailbox so far. */
  peak = 0;
  readonly #options: LabGraphOptions;
  readonly #running = new Map<LabMailbox, number>();

  constructor(options: LabGraphOptions) {
    super(options);
    this.#options = options;
    this.subscriptions = new Subscriptions({
      maxMinutes: options.subscriptionMaxMinutes ?? 10_080,
      ca: options.notificationCa,
      tenantId: randomUUID(),
    });
  }

  get requests(): readonly LoggedRequest[] {
    return this.seen;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
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

  protected override async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/', headers } = request;
    const target = new URL(url, `https://${this.host}`);
    const prefer = String(headers.prefer ?? '');
    const matched = matchRoute(method, segmentsOf(target.pathname), ALL_ROUTES);
    const seen: LoggedRequest = {
      route: matched?.name ?? 'get-message',
      method,
      url,
      mailbox: matched?.names.user ?? '',
      prefer,
      status: 0,
      at: performance.now(),
    };
    this.log(seen);
    let leave = (): void => {};
    try {
      const raw = await bodyOf(request);
      const upload = /^\/upload\/([\w-]+)$/.exec(target.pathname)?.[1];
      if (upload !== undefined) {
        const act = async (): Promise<LabAnswer> =>
          this.outgoing.put(upload, String(headers['content-range'] ?? ''), raw, headers.authorization);
        const action = this.faults.strike('upload', null, null);
        seen.status = await answerUnder(action, response, () => act().catch(answerTo));
        return;
      }
      const isText = String(headers['content-type'] ?? '').startsWith('text/plain');
      const body = isText ? {} : jsonOf(raw);
      if (!matched)
        throw new GraphFault(400, 'BadRequest', `Resource not found for ${method} ${target.pathname}`);
      const { name, names, route } = matched;
      const grant = this.#grantOf(headers.authorization);
      const mailbox = names.user === undefined ? null : this.mailbox(names.user);
      if (mailbox) seen.mailbox = mailbox.address;
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
      seen.status = await answerUnder(action, response, () => act().catch(answerTo));
    } catch (error) {
      seen.status = await answerUnder(null, response, () => answerTo(error));
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
      case 'list-subscriptions':
        return this.subscriptions.list();
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

function answerTo(error: unknown): LabAnswer {
  return error instanceof GraphFault ? error.answer : errorAnswer(500, 'InternalServerError', String(error));
}
