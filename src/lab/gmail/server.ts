/**
 * A Gmail API for labs, over TLS, for the real client library: profile, labels, messages, history that ends, watch with
 * signed pushes, quotas and faults by script.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type LabAnswer, readBody } from '../http/answer.ts';
import { answerUnder, HttpFaults } from '../http/faults.ts';
import { type HttpServerOptions, LabHttpServer } from '../http/server.ts';
import { apiError } from './errors.ts';
import { LabMailbox } from './mail-store.ts';
import { Quota } from './quota.ts';
import { ROUTES } from './routes.ts';
import { sendUpload, UPLOAD_BYTES } from './sending.ts';
import { Watches } from './watches.ts';

/** Whom a token lets in, and for what. */
export interface Caller {
  user: string;
  /** Space-separated scopes. */
  scope: string;
}

export interface LabGmailOptions extends HttpServerOptions {
  /** Looks up a token; null when it is not valid. */
  callerOf(token: string): Caller | null;
}

/** A request as it came; `about` is the id of its message or label. */
export interface SeenRequest {
  route: string;
  about: string;
  at: number;
}

/** What is wrong with an account or its project. */
export type AccountTrouble = 'api-disabled' | 'domain-policy' | 'no-mailbox';

const GMAIL = 'https://www.googleapis.com/auth/gmail.';
const SCOPES = {
  read: [`${GMAIL}readonly`, `${GMAIL}modify`, 'https://mail.google.com/'],
  modify: [`${GMAIL}modify`, 'https://mail.google.com/'],
  full: ['https://mail.google.com/'],
} as const;

export class LabGmailServer extends LabHttpServer<SeenRequest> {
  readonly faults = new HttpFaults();
  readonly quota = new Quota();
  readonly watches = new Watches();
  /** Mail that is sent gets a Message-ID of Gmail's own. */
  rewritesMessageIds = false;
  readonly trouble = new Map<string, AccountTrouble>();
  readonly #options: LabGmailOptions;
  readonly #mailboxes = new Map<string, LabMailbox>();

  constructor(options: LabGmailOptions) {
    super(options);
    this.#options = options;
  }

  get rootUrl(): string {
    return `${this.origin}/`;
  }

  addUser(address: string): LabMailbox {
    const mailbox = new LabMailbox(address);
    mailbox.onChange = () => this.watches.changed(mailbox);
    this.#mailboxes.set(address.toLowerCase(), mailbox);
    return mailbox;
  }

  protected override async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.rootUrl);
    const raw = await readBody(request, UPLOAD_BYTES);
    if (raw === null) throw new Error('The body is too large');
    const isUpload = url.pathname.startsWith('/upload/');
    const body =
      isUpload || raw.length === 0 ? {} : (JSON.parse(raw.toString('utf8')) as Record<string, unknown>);
    const [, user = '', path = ''] =
      /^(?:\/upload)?\/gmail\/v1\/users\/([^/]+)\/(.*)$/.exec(url.pathname) ?? [];
    const method = request.method ?? 'GET';
    const found = ROUTES.find((route) => route.method === method && route.path.test(path));
    const id = decodeURIComponent(found?.path.exec(path)?.[1] ?? '');
    const isSend = isUpload && path === 'messages/send';
    const name = found?.name ?? (path === 'watch' || path === 'stop' ? path : isSend ? 'send' : 'unknown');
    this.log({ route: name, about: id, at: performance.now() });
    const left = this.quota.enter();
    response.once('close', left);
    await answerUnder(this.faults.strike(name, id), response, () => {
      const mailbox = this.#admit(
        decodeURIComponent(user),
        request.headers.authorization,
        found?.scope ?? 'modify',
      );
      if (!(mailbox instanceof LabMailbox)) return mailbox;
      const limited = this.quota.charge(mailbox.address, found?.units ?? 100);
      if (limited !== null) return limited;
      if (isSend)
        return sendUpload(mailbox, raw, (address) => this.#mailboxes.get(address), this.rewritesMessageIds);
      if (name === 'watch') return this.watches.make(mailbox, body);
      if (name === 'stop') return this.watches.stop(mailbox);
      if (found === undefined) return apiError(404, 'notFound', 'Not found');
      return found.handle(mailbox, { method, path, query: url.searchParams, body }, id);
    });
  }

  #admit(user: string, authorization: string | undefined, need: keyof typeof SCOPES): LabMailbox | LabAnswer {
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
    const caller = token === undefined ? null : this.#options.callerOf(token);
    if (caller === null) {
      const text = 'Request had invalid authentication credentials. Expected OAuth 2 access token.';
      return apiError(401, 'authError', text, 'CREDENTIALS_MISSING');
    }
    const own = caller.user.toLowerCase();
    switch (this.trouble.get(own)) {
      case 'api-disabled':
        return apiError(
          403,
          'accessNotConfigured',
          'Gmail API has not been used in project 42 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/gmail.googleapis.com/overview?project=42 then retry.',
          'SERVICE_DISABLED',
        );
      case 'domain-policy':
        return apiError(403, 'domainPolicy', 'The domain administrators have disabled Gmail apps.');
      case 'no-mailbox':
        return apiError(400, 'failedPrecondition', 'Mail service not enabled');
      default:
    }
    const scopes = caller.scope.split(' ');
    if (!SCOPES[need].some((scope) => scopes.includes(scope))) {
      const text = 'Request had insufficient authentication scopes.';
      return apiError(403, 'insufficientPermissions', text, 'ACCESS_TOKEN_SCOPE_INSUFFICIENT');
    }
    if (user !== 'me' && user.toLowerCase() !== own) {
      return apiError(403, 'forbidden', `Delegation denied for ${caller.user}`);
    }
    return this.#mailboxes.get(own) ?? apiError(400, 'failedPrecondition', 'Mail service not enabled');
  }
}
