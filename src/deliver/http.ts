/**
 * The one way by which deliveries leave: a request with a deadline, to an address that was looked at, without redirects,
 * and with a limit on what comes back. A connection serves one request: none is open to be misused later, and none
 * breaks just when it is used again.
 */
import { lookup as resolve } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { fail, type PenstockError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { tlsOptions } from '../source/probe.ts';
import { checkUrl } from './destination.ts';
import { type AllowList, plainHost, refusal } from './egress.ts';
import type { Answer } from './verdict.ts';

export interface Outgoing {
  method: 'GET' | 'POST';
  url: string;
  headers: Record<string, string>;
  body: string | null;
  timeoutMs: number;
  tlsCa: string | null;
}

/** Resolves names; that of Node unless a test has its own. */
export type Resolver = typeof resolve;

/** Sends requests. Fails with an error of ours when there is no answer; every answer is returned, whatever it says. */
export class Egress {
  readonly allowed: AllowList;
  readonly #resolve: Resolver;

  constructor(allowed: AllowList, resolver: Resolver = resolve) {
    this.allowed = allowed;
    this.#resolve = resolver;
  }

  async send(outgoing: Outgoing): Promise<Answer> {
    const url = checkUrl(outgoing.url, this.allowed);
    const host = plainHost(url.hostname);
    // No name is looked up for an address, so it is judged here.
    const refused = isIP(host) === 0 ? null : refusal(host, host, this.allowed);
    if (refused !== null) throw refused;
    const signal = AbortSignal.timeout(outgoing.timeoutMs);
    try {
      return await this.#exchange(url, outgoing, signal);
    } catch (error) {
      throw networkError(signal.aborted ? signal.reason : error, host, outgoing.timeoutMs);
    }
  }

  async #exchange(url: URL, outgoing: Outgoing, signal: AbortSignal): Promise<Answer> {
    const { method, headers, body, tlsCa } = outgoing;
    const options: http.RequestOptions = {
      method,
      headers: {
        accept: 'application/json',
        'user-agent': 'Penstock',
        ...headers,
        ...(body === null ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      },
      agent: false,
      lookup: this.#lookup,
      signal,
    };
    const { promise, resolve: answered, reject } = Promise.withResolvers<http.IncomingMessage>();
    const request =
      url.protocol === 'https:'
        ? https.request(url, { ...options, ...tlsOptions({ tlsCa, tlsVerify: true }) })
        : http.request(url, options);
    // Stays attached: errors may follow one another, and one that nobody listens to ends the process.
    request.on('error', reject);
    request.on('response', answered);
    request.end(body ?? undefined);
    try {
      const incoming = await promise;
      return {
        status: incoming.statusCode ?? 0,
        retryAfterSeconds: retryAfterSeconds(incoming.headers['retry-after'], Date.now()),
        text: await beginning(incoming),
      };
    } finally {
      request.destroy();
    }
  }

  /** Node connects to exactly the addresses that this returns. One that is closed closes the name. */
  #lookup: LookupFunction = (host, options, done) => {
    this.#resolve(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, '', 0);
      const addresses = Array.isArray(found) ? found : [found];
      for (const { address } of addresses) {
        const refused = refusal(host, address, this.allowed);
        if (refused !== null) return done(refused, '', 0);
      }
      const first = addresses[0];
      if (first === undefined) return done(fail('dns_failed', `${host} has no address.`, { host }), '', 0);
      if (options.all === true) return done(null, addresses);
      return done(null, first.address, first.family);
    });
  };
}

/** What is read of an answer; the rest is not taken. */
async function beginning(incoming: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= LIMITS.answerBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, LIMITS.answerBytes).toString('utf8');
}

/** Retry-After in either form (RFC 9110 section 10.2.3), in seconds. `now` in milliseconds, for the date form. */
export function retryAfterSeconds(value: string | undefined, now: number): number | null {
  if (value === undefined) return null;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, (date - now) / 1000);
}

const DNS = ['ENOTFOUND', 'EAI_AGAIN', 'ENODATA'];

function networkError(thrown: unknown, host: string, timeoutMs: number): PenstockError {
  const error = thrown as NodeJS.ErrnoException;
  if (error.name === 'PenstockError') return thrown as PenstockError;
  const code = String(error.code ?? '');
  const fields = { host, ...(code === '' ? {} : { errno: code }) };
  if (error.name === 'TimeoutError')
    return fail('stalled', `${host} did not answer within ${timeoutMs / 1000} s`, fields, thrown);
  if (DNS.includes(code)) return fail('dns_failed', `${host} cannot be resolved (${code})`, fields, thrown);
  if (/^(CERT|ERR_TLS|ERR_SSL|DEPTH|SELF|UNABLE|HOSTNAME|EPROTO)/.test(code))
    return fail('tls_failed', `TLS with ${host} failed (${code})`, fields, thrown);
  if (/^(ECONNRESET|EPIPE|HPE_)/.test(code))
    return fail('connection_lost', `${host} dropped the line before it answered (${code})`, fields, thrown);
  return fail('connect_failed', `${host} cannot be reached (${code || error.message})`, fields, thrown);
}
