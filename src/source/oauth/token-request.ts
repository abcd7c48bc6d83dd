/** The request for a token by each grant, and its sending. */
import { readFile } from 'node:fs/promises';
import { asPenstockError, fail } from '../../errors.ts';
import { clientAssertion, serviceAccountAssertion } from './assertion.ts';
import type { ClientAuth, Credential, Tokens } from './credential.ts';
import { type SmallRequest, smallRequest } from './http.ts';
import { judgeTokenAnswer, type TokenFailure } from './token-answer.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const CLIENT_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const TOKEN_FILE_BYTES = 64 * 1024;

/** Fields that say who the application is. `now` is the time in milliseconds. */
export async function clientFields(
  client: ClientAuth,
  clientId: string,
  tokenUrl: string,
  now: number,
): Promise<Record<string, string>> {
  switch (client.kind) {
    case 'none':
      return { client_id: clientId };
    case 'secret':
      return { client_id: clientId, client_secret: client.secret };
    case 'certificate': {
      const assertion = await clientAssertion(client, clientId, tokenUrl, now);
      return { client_id: clientId, client_assertion_type: CLIENT_ASSERTION, client_assertion: assertion };
    }
    case 'federated': {
      const assertion = await readTokenFile(client.tokenFile);
      return { client_id: clientId, client_assertion_type: CLIENT_ASSERTION, client_assertion: assertion };
    }
  }
}

/** Read at each use: the platform replaces the file well before its token ends. */
async function readTokenFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw fail('credential_refused', `The token file ${file} cannot be read`, { file }, error);
  });
  const token = text.trim();
  if (token === '' || token.length > TOKEN_FILE_BYTES) {
    throw fail('credential_refused', `The token file ${file} holds no token`, { file });
  }
  return token;
}

/** `refreshToken` is the newest one, for the grant that needs it. */
export async function tokenRequest(
  credential: Credential,
  refreshToken: string | null,
  now: number,
): Promise<SmallRequest> {
  const { grant, tokenUrl, clientId, scope, tlsCa } = credential;
  const post = (fields: Record<string, string>): SmallRequest => ({
    method: 'POST',
    url: tokenUrl,
    headers: {},
    form: new URLSearchParams(fields),
    tlsCa,
  });
  switch (grant.kind) {
    case 'client_credentials': {
      const who = await clientFields(grant.client, clientId, tokenUrl, now);
      return post({ grant_type: 'client_credentials', scope, ...who });
    }
    case 'refresh_token': {
      const who = await clientFields(grant.client, clientId, tokenUrl, now);
      const newest = refreshToken ?? grant.refreshToken;
      // Entra's scope chooses the service; Google gives what was granted, and refuses more.
      const what: Record<string, string> = credential.provider === 'google' ? {} : { scope };
      return post({ grant_type: 'refresh_token', refresh_token: newest, ...what, ...who });
    }
    case 'service_account': {
      const assertion = await serviceAccountAssertion(grant, scope, tokenUrl, now);
      return post({ grant_type: JWT_BEARER, assertion });
    }
    case 'managed_identity': {
      const { url, headers } = grant.endpoint;
      return { method: 'GET', url, headers, form: null, tlsCa };
    }
  }
}

/** Asks for a token. Never fails: what went wrong is the answer. */
export async function requestTokens(
  credential: Credential,
  refreshToken: string | null,
  now: number,
): Promise<Tokens | TokenFailure> {
  try {
    const answer = await smallRequest(await tokenRequest(credential, refreshToken, now));
    return judgeTokenAnswer(
      { provider: credential.provider, isServiceAccount: credential.grant.kind === 'service_account' },
      answer,
    );
  } catch (thrown) {
    const { code, message, temporary, fields } = asPenstockError(thrown);
    // TLS or a token file may be mended without anybody touching the credential.
    const terminal = !temporary && code !== 'tls_failed' && fields.file === undefined;
    return { terminal, code, message, reason: String(fields.detail ?? ''), askedMs: null };
  }
}
