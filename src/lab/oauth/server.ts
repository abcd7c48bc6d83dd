/**
 * An authorization server for labs, over TLS: token endpoints that speak like Microsoft Entra and like Google, sign-in
 * by code and by device, keys, a managed identity, and faults by script. Tokens that it gives can be looked up, so a
 * lab mail server can let in whoever has one.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { exportJWK, type JWTPayload, SignJWT } from 'jose';
import { type LabAnswer, readBody } from '../http/answer.ts';
import { answerUnder, HttpFaults } from '../http/faults.ts';
import { LabHttpServer } from '../http/server.ts';
import { type Authority, Grants } from './grants.ts';

/** A request that came, for tests that count. */
export interface SeenRequest {
  route: string;
  form: URLSearchParams;
}

const FORM_BYTES = 64 * 1024;

export class LabOauthServer extends LabHttpServer<SeenRequest> {
  readonly faults = new HttpFaults();
  readonly grants = new Grants();
  /** What App Service gives to its own applications, to ask with. */
  readonly identityHeader = randomUUID();
  readonly #keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  readonly #keyId = randomUUID();

  /** Like `login.microsoftonline.com/<tenant>/oauth2/v2.0`. */
  microsoftUrl(name: 'token' | 'authorize' | 'devicecode', tenant = 'lab-tenant'): string {
    return `${this.origin}/${tenant}/oauth2/v2.0/${name}`;
  }

  get googleTokenUrl(): string {
    return `${this.origin}/token`;
  }

  get jwksUrl(): string {
    return `${this.origin}/jwks`;
  }

  /** A token signed with the key of {@link jwksUrl}, such as Pub/Sub sends with a push. */
  async sign(claims: JWTPayload, algorithm = 'RS256'): Promise<string> {
    return await new SignJWT(claims)
      .setProtectedHeader({ alg: algorithm, kid: this.#keyId, typ: 'JWT' })
      .sign(this.#keys.privateKey);
  }

  protected override async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin);
    const form = await readForm(request);
    const { route, authority } = routeOf(url.pathname);
    this.log({ route, form });
    const action = this.faults.strike(route, form.get('client_id'));
    await answerUnder(action, response, () => this.#answer(route, authority, url, form, request));
  }

  async #answer(
    route: string,
    authority: Authority,
    url: URL,
    form: URLSearchParams,
    request: IncomingMessage,
  ): Promise<LabAnswer> {
    switch (route) {
      case 'token':
        return await this.grants.token(authority, `${this.origin}${url.pathname}`, form);
      case 'authorize':
        return this.grants.authorize(url.searchParams);
      case 'devicecode':
        return this.grants.deviceCode(form, this.origin);
      case 'identity':
        return request.headers.metadata === 'true' ||
          request.headers['x-identity-header'] === this.identityHeader
          ? this.grants.managedIdentity(url.searchParams)
          : {
              status: 400,
              body: { error: 'invalid_request', error_description: 'Required metadata header not specified' },
            };
      case 'jwks': {
        const jwk = await exportJWK(this.#keys.publicKey);
        return { status: 200, body: { keys: [{ ...jwk, kid: this.#keyId, alg: 'RS256', use: 'sig' }] } };
      }
      default:
        return { status: 404, body: { error: 'not_found' } };
    }
  }
}

function routeOf(path: string): { route: string; authority: Authority } {
  const [, tenant, name] = /^\/([^/]+)\/oauth2\/v2\.0\/(token|authorize|devicecode)$/.exec(path) ?? [];
  if (tenant !== undefined && name !== undefined)
    return { route: name, authority: { provider: 'microsoft', tenant } };
  const google: Record<string, string> = {
    '/token': 'token',
    '/o/oauth2/v2/auth': 'authorize',
    '/device/code': 'devicecode',
    '/jwks': 'jwks',
    '/metadata/identity/oauth2/token': 'identity',
  };
  return { route: google[path] ?? 'unknown', authority: { provider: 'google' } };
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const body = await readBody(request, FORM_BYTES);
  if (body === null) throw new Error('The form is too large');
  return new URLSearchParams(body.toString('latin1'));
}
