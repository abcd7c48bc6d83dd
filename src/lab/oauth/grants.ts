/** What the lab's token endpoint knows and decides: applications, people who signed in, tokens. */
import { createHash, createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { LabAnswer } from '../http/answer.ts';
import { type EntraCode, entraError, googleError } from './errors.ts';

export type Authority = { provider: 'microsoft'; tenant: string } | { provider: 'google' };

export interface LabClient {
  secret?: string;
  /** PEM certificates that may sign for it. */
  certificates?: string[];
  /** Subject of the federated token that may stand for it. */
  federatedSubject?: string;
  /** Entra answers every request of it with this. */
  entra?: EntraCode;
}

export interface LabServiceAccount {
  /** PEM. */
  publicKey: string;
  /** Scopes that an administrator delegated to it. */
  scopes: string[];
  /** Mailboxes of the domain. */
  users: string[];
}

/** What an access token stands for. */
export interface Holder {
  user: string | null;
  scope: string;
  expiresAt: number;
}

export class Grants {
  readonly tenants = new Set(['lab-tenant']);
  readonly clients = new Map<string, LabClient>();
  readonly serviceAccounts = new Map<string, LabServiceAccount>();
  /** Identities of the machine; the empty one is its own. */
  readonly identities = new Set(['']);
  /** Life of access tokens, in seconds. */
  lifeSeconds = 3600;
  /** Who signs in in a browser: by default whom the request hints at; null declines. */
  browserUser: string | null | undefined = undefined;
  /** A new refresh token comes with each refresh, and the old one is void. */
  rotate = false;
  readonly #refreshTokens = new Map<string, { user: string; scope: string; entra?: EntraCode }>();
  readonly #codes = new Map<
    string,
    { user: string; challenge: string; redirectUri: string; scope: string }
  >();
  readonly #devices = new Map<string, { scope: string; userCode: string; user: string | null }>();
  readonly #issued = new Map<string, Holder>();

  /** A person signed in before the test began. */
  issueRefreshToken(user: string, scope: string): string {
    const token = `refresh-${randomBytes(12).toString('hex')}`;
    this.#refreshTokens.set(token, { user, scope });
    return token;
  }

  /** All refresh tokens of a person end: Entra answers with this code, Google with `invalid_grant`. */
  revoke(user: string, entra: EntraCode = 50173): void {
    for (const token of this.#refreshTokens.values()) if (token.user === user) token.entra = entra;
  }

  /** Whom a token lets in, or null. `now` in milliseconds. */
  holderOf(accessToken: string, now = Date.now()): Holder | null {
    const holder = this.#issued.get(accessToken);
    return holder === undefined || holder.expiresAt <= now ? null : holder;
  }

  /** All access tokens given so far end now. */
  expireAccessTokens(): void {
    for (const holder of this.#issued.values()) holder.expiresAt = 0;
  }

  async token(authority: Authority, endpoint: string, form: URLSearchParams): Promise<LabAnswer> {
    const isEntra = authority.provider === 'microsoft';
    if (isEntra && !this.tenants.has(authority.tenant)) return entraError(90002);
    const grant = form.get('grant_type');
    if (grant === 'urn:ietf:params:oauth:grant-type:jwt-bearer')
      return await this.#serviceAccount(endpoint, form);
    const refused = await this.#checkClient(isEntra, endpoint, form);
    if (refused !== null) return refused;
    const scope = form.get('scope') ?? '';
    switch (grant) {
      case 'client_credentials':
        if (isEntra && !scope.endsWith('/.default')) return entraError(1002012);
        return this.#give(null, scope, null);
      case 'refresh_token':
        return this.#refresh(isEntra, form.get('refresh_token') ?? '');
      case 'authorization_code':
        return this.#exchange(isEntra, form);
      case 'urn:ietf:params:oauth:grant-type:device_code':
        return this.#device(form.get('device_code') ?? '');
      default:
        return googleError('unsupported_grant_type', `Invalid grant_type: ${grant}`);
    }
  }

  /** The person signs in at once; the answer is the redirect that the browser would follow. */
  authorize(query: URLSearchParams): LabAnswer {
    const code = randomBytes(16).toString('hex');
    const redirectUri = query.get('redirect_uri') ?? '';
    const location = new URL(redirectUri);
    location.searchParams.set('state', query.get('state') ?? '');
    if (this.browserUser === null) {
      location.searchParams.set('error', 'access_denied');
      location.searchParams.set('error_description', 'AADSTS65004: User declined to consent.');
      return { status: 302, headers: { location: location.href } };
    }
    this.#codes.set(code, {
      user: this.browserUser ?? query.get('login_hint') ?? 'somebody@example.com',
      challenge: query.get('code_challenge') ?? '',
      redirectUri,
      scope: query.get('scope') ?? '',
    });
    location.searchParams.set('code', code);
    return { status: 302, headers: { location: location.href } };
  }

  deviceCode(form: URLSearchParams, origin: string): LabAnswer {
    const device = randomBytes(16).toString('hex');
    const userCode = randomBytes(4).toString('hex').toUpperCase();
    this.#devices.set(device, { scope: form.get('scope') ?? '', userCode, user: null });
    const body = { device_code: device, user_code: userCode, verification_uri: `${origin}/device` };
    return { status: 200, body: { ...body, expires_in: 900, interval: 0.02 } };
  }

  /** A person enters the code on another device. */
  approveDevice(userCode: string, user: string): void {
    for (const device of this.#devices.values()) if (device.userCode === userCode) device.user = user;
  }

  managedIdentity(query: URLSearchParams): LabAnswer {
    const id = query.get('client_id');
    if (!this.identities.has(id ?? '')) return googleError('invalid_request', 'Identity not found');
    const { body } = this.#give(null, query.get('resource') ?? '', null) as { body: Record<string, unknown> };
    // Azure's metadata service has numbers as strings.
    return {
      status: 200,
      body: { ...body, expires_in: String(body.expires_in), resource: query.get('resource') },
    };
  }

  async #checkClient(isEntra: boolean, endpoint: string, form: URLSearchParams): Promise<LabAnswer | null> {
    const id = form.get('client_id') ?? '';
    const client = this.clients.get(id);
    if (client === undefined) {
      return isEntra
        ? entraError(700016)
        : googleError('invalid_client', 'The OAuth client was not found.', 401);
    }
    if (client.entra !== undefined) return entraError(client.entra);
    const assertion = form.get('client_assertion');
    if (assertion !== null) return await checkAssertion(client, id, endpoint, assertion);
    const secret = form.get('client_secret');
    if (client.secret === undefined && secret === null) return null;
    if (secret === client.secret) return null;
    if (!isEntra) return googleError('invalid_client', 'Unauthorized', 401);
    return entraError(secret === null ? 7000218 : 7000215);
  }

  #refresh(isEntra: boolean, token: string): LabAnswer {
    const known = this.#refreshTokens.get(token);
    if (known === undefined || known.entra !== undefined) {
      if (isEntra) return entraError(known?.entra ?? 70008);
      return googleError('invalid_grant', 'Token has been expired or revoked.');
    }
    if (!this.rotate) return this.#give(known.user, known.scope, null);
    this.#refreshTokens.delete(token);
    return this.#give(known.user, known.scope, this.issueRefreshToken(known.user, known.scope));
  }

  #exchange(isEntra: boolean, form: URLSearchParams): LabAnswer {
    const code = form.get('code') ?? '';
    const known = this.#codes.get(code);
    this.#codes.delete(code);
    const proof = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    // Whoever sent no challenge needs no proof.
    const isProved = known?.challenge === '' || known?.challenge === proof;
    const isRight = known !== undefined && isProved && known.redirectUri === form.get('redirect_uri');
    if (!isRight) return isEntra ? entraError(70008) : googleError('invalid_grant', 'Malformed auth code.');
    return this.#give(known.user, known.scope, this.issueRefreshToken(known.user, known.scope));
  }

  #device(code: string): LabAnswer {
    const device = this.#devices.get(code);
    if (device === undefined) return googleError('expired_token', 'The code has ended.');
    if (device.user === null) return googleError('authorization_pending', 'Nobody has signed in yet.');
    this.#devices.delete(code);
    return this.#give(device.user, device.scope, this.issueRefreshToken(device.user, device.scope));
  }

  async #serviceAccount(endpoint: string, form: URLSearchParams): Promise<LabAnswer> {
    const assertion = form.get('assertion') ?? '';
    const { iss = '', sub = '', scope = '' } = decodeJwt<{ scope?: string }>(assertion);
    const account = this.serviceAccounts.get(iss);
    if (account === undefined) return googleError('invalid_grant', 'Invalid grant: account not found');
    try {
      await jwtVerify(assertion, createPublicKey(account.publicKey), {
        audience: endpoint,
        maxTokenAge: '1h',
      });
    } catch {
      return googleError('invalid_grant', 'Invalid JWT Signature.');
    }
    // In its own name it gets whatever scope it asks for: what it may do is decided elsewhere.
    if (sub === '') return this.#give(iss, scope, null);
    if (!scope.split(' ').every((one) => account.scopes.includes(one))) {
      const text =
        'Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.';
      return googleError('unauthorized_client', text, 401);
    }
    if (!account.users.includes(sub)) return googleError('invalid_grant', 'Invalid email or User ID');
    return this.#give(sub, scope, null);
  }

  #give(user: string | null, scope: string, refreshToken: string | null): LabAnswer {
    const token = `access-${randomBytes(24).toString('base64url')}`;
    this.#issued.set(token, { user, scope, expiresAt: Date.now() + this.lifeSeconds * 1000 });
    return {
      status: 200,
      body: {
        token_type: 'Bearer',
        access_token: token,
        expires_in: this.lifeSeconds,
        scope,
        ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
      },
    };
  }
}

/** A certificate is found by its thumbprint, as Entra does; a federated token by its subject. */
async function checkAssertion(
  client: LabClient,
  id: string,
  endpoint: string,
  assertion: string,
): Promise<LabAnswer | null> {
  const thumbprint = decodeProtectedHeader(assertion)['x5t#S256'];
  if (thumbprint === undefined) {
    return decodeJwt(assertion).sub === client.federatedSubject ? null : entraError(70021);
  }
  for (const pem of client.certificates ?? []) {
    const certificate = new X509Certificate(pem);
    if (createHash('sha256').update(certificate.raw).digest('base64url') !== thumbprint) continue;
    try {
      const rules = { audience: endpoint, issuer: id, subject: id, algorithms: ['PS256'] };
      await jwtVerify(assertion, certificate.publicKey, rules);
      return null;
    } catch {
      return entraError(700027);
    }
  }
  return entraError(700027);
}
