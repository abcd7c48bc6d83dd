/**
 * Sends by SMTP (RFC 5321) with nodemailer's connection. The connection is used without its transport, because what
 * must be known to the byte is when the mail itself goes out: its bytes are a stream that is first read after the
 * server has said yes to DATA.
 */
import { hostname } from 'node:os';
import { Readable } from 'node:stream';
import SMTPConnection, { type SMTPConnectionSendInfo } from 'nodemailer/lib/smtp-connection';
import XOAuth2 from 'nodemailer/lib/xoauth2';
import { fail, PenstockError } from '../errors.ts';
import type { AccessTokens } from '../source/oauth/access-tokens.ts';
import { tlsOptions } from '../source/probe.ts';
import { composeMail } from './compose.ts';
import { type OutgoingMail, pendingRecipients, type Sent, type Transport } from './mail.ts';
import { allRefused, type SmtpFailure, smtpError } from './smtp-error.ts';

export interface SmtpServer {
  host: string;
  port: number;
  tls: 'implicit' | 'starttls' | 'none';
  tlsVerify: boolean;
  tlsCa: string | null;
  login: SmtpLogin;
}

export type SmtpLogin =
  | { kind: 'none' }
  | { kind: 'password'; user: string; password: string }
  | { kind: 'tokens'; user: string; tokens: AccessTokens };

/** Times in milliseconds. RFC 5321 section 4.5.3.2 asks for ten minutes after the last byte; five are what we wait. */
export interface SmtpOptions {
  connectMs: number;
  greetingMs: number;
  silenceMs: number;
}
const DEFAULTS: SmtpOptions = { connectMs: 30_000, greetingMs: 60_000, silenceMs: 300_000 };

/** A connection for each mail: mail of a helpdesk is little, and a connection that was kept may be a dead one. */
export function smtpTransport(server: SmtpServer, options: Partial<SmtpOptions> = {}): Transport {
  const times = { ...DEFAULTS, ...options };
  return {
    canLook: false,
    async send(mail, handover, signal) {
      const link = await connect(server, times, signal);
      try {
        return await link.deliver(mail, handover);
      } finally {
        link.end();
      }
    },
    async check(signal) {
      (await connect(server, times, signal)).end();
    },
    find: () => Promise.reject(fail('unsupported', 'SMTP cannot say whether a mail was sent.')),
    close: () => undefined,
  };
}

/** Connects and logs in. With tokens once more, when the first one is refused: it may have been revoked. */
async function connect(server: SmtpServer, times: SmtpOptions, signal: AbortSignal): Promise<SmtpLink> {
  const { login } = server;
  const token = login.kind === 'tokens' ? await login.tokens.get() : null;
  const link = new SmtpLink(server, times, signal);
  try {
    await link.open(token);
    return link;
  } catch (error) {
    link.end();
    if (login.kind !== 'tokens' || (error as PenstockError).code !== 'auth_failed') throw error;
    await login.tokens.rejected(token!);
    const other = await login.tokens.get();
    if (other === token) throw error;
  }
  const second = new SmtpLink(server, times, signal);
  try {
    await second.open(await login.tokens.get());
    return second;
  } catch (error) {
    second.end();
    throw error;
  }
}

class SmtpLink {
  readonly #server: SmtpServer;
  readonly #connection: SMTPConnection;
  readonly #ended = Promise.withResolvers<never>();
  readonly #signal: AbortSignal;
  readonly #abort = (): void => this.#ended.reject(this.#signal.reason);

  constructor(server: SmtpServer, times: SmtpOptions, signal: AbortSignal) {
    this.#server = server;
    this.#signal = signal;
    this.#connection = new SMTPConnection({
      host: server.host,
      port: server.port,
      secure: server.tls === 'implicit',
      requireTLS: server.tls === 'starttls',
      ignoreTLS: server.tls === 'none',
      tls: tlsOptions(server),
      name: hostname() || 'localhost',
      connectionTimeout: times.connectMs,
      greetingTimeout: times.greetingMs,
      socketTimeout: times.silenceMs,
    });
    // Errors may follow one another, and one that nobody listens to ends the process.
    this.#connection.on('error', (error: Error) => this.#ended.reject(error));
    this.#connection.on('end', () => this.#ended.reject(new Error('The server closed the connection')));
    this.#ended.promise.catch(() => undefined);
    if (signal.aborted) this.#abort();
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  async open(token: string | null): Promise<void> {
    const { login, tls } = this.#server;
    await this.#step('connect', (done) => this.#connection.connect(done));
    if (tls === 'starttls' && !this.#connection.secure) {
      throw fail('starttls_missing', 'The server does not offer STARTTLS', { host: this.#server.host });
    }
    if (login.kind === 'none') return;
    const { user } = login;
    const auth =
      login.kind === 'password'
        ? { user, credentials: { user, pass: login.password } }
        : { user, method: 'XOAUTH2', oauth2: new XOAuth2({ user, accessToken: token! }) };
    await this.#step('login', (done) => this.#connection.login(auth, done));
  }

  async deliver(mail: OutgoingMail, handover: () => Promise<void>): Promise<Sent> {
    const mime = await composeMail(mail);
    const envelope = { from: mail.from.address, to: pendingRecipients(mail), size: mime.length };
    let refusal: unknown = null;
    const body = Readable.from(
      (async function* () {
        await handover().catch((error: unknown) => {
          refusal = error;
          throw error;
        });
        yield mime;
      })(),
      { objectMode: false },
    );
    body.on('error', () => undefined);
    try {
      const info = await this.#step<SMTPConnectionSendInfo>('send', (done) =>
        this.#connection.send(envelope, body, done),
      );
      return sentOf(info);
    } catch (error) {
      if (refusal !== null) throw refusal;
      const refused = allRefused(error as SmtpFailure);
      if (refused !== null) return { accepted: [], refused, providerId: null, messageId: null };
      throw error;
    }
  }

  end(): void {
    this.#signal.removeEventListener('abort', this.#abort);
    this.#connection.close();
  }

  /** One step of nodemailer, which ends when the connection does, whatever nodemailer thinks. */
  async #step<T = void>(
    what: 'connect' | 'login' | 'send',
    run: (done: (error?: Error | null, result?: unknown) => void) => void,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    try {
      run((error, result) => (error ? reject(error) : resolve(result as T)));
      return await Promise.race([promise, this.#ended.promise]);
    } catch (error) {
      if (error instanceof PenstockError) throw error;
      if (what === 'send' && allRefused(error as SmtpFailure) !== null) throw error;
      throw smtpError(error as SmtpFailure, what, this.#server.host);
    }
  }
}

function sentOf({ accepted, rejectedErrors = [], serverMessageId }: SMTPConnectionSendInfo): Sent {
  return {
    accepted,
    refused: allRefused({ rejectedErrors }) ?? [],
    providerId: null,
    messageId: serverMessageId?.replace(/^<|>$/g, '') ?? null,
  };
}
