/**
 * Sign-in of a person by authorization code with PKCE (RFC 6749 section 4.1, RFC 7636, RFC 9700). Two steps: where to
 * send the browser, and what to do with the answer that it brings back. What lies between is the caller's to keep.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { fail } from '../../errors.ts';
import type { ClientAuth, Provider, Tokens } from './credential.ts';
import { smallRequest } from './http.ts';
import { failureError, judgeTokenAnswer } from './token-answer.ts';
import { clientFields } from './token-request.ts';

/** The application that asks, as it is registered with the provider. */
export interface Application {
  provider: Provider;
  clientId: string;
  client: ClientAuth;
  tokenUrl: string;
  tlsCa: string | null;
}

/** A sign-in that has begun. Keep it, bound to the browser session, until the answer comes; ten minutes are enough. */
export interface SignIn {
  /** Where the browser goes. */
  url: string;
  state: string;
  codeVerifier: string;
  redirectUri: string;
}

/** What is sent ahead of a verifier, by method S256 (RFC 7636 section 4.2). */
export function challengeOf(codeVerifier: string): string {
  return createHash('sha256').update(codeVerifier).digest('base64url');
}

/** `loginHint` is the address of the mailbox: whoever signs in need not type it. */
export function beginSignIn(
  application: Application,
  request: { authorizeUrl: string; redirectUri: string; scope: string; loginHint: string | null },
): SignIn {
  const state = randomBytes(32).toString('base64url');
  const codeVerifier = randomBytes(32).toString('base64url');
  const url = new URL(request.authorizeUrl);
  const fields = {
    response_type: 'code',
    client_id: application.clientId,
    redirect_uri: request.redirectUri,
    scope: request.scope,
    state,
    code_challenge: challengeOf(codeVerifier),
    code_challenge_method: 'S256',
    ...(request.loginHint === null ? {} : { login_hint: request.loginHint }),
    // Else the browser's own account is taken without a word, which is seldom that of the mailbox.
    ...(application.provider === 'microsoft' ? { prompt: 'select_account' } : {}),
    // Google gives a refresh token only when asked for one, and after the first time only with consent.
    ...(application.provider === 'google' ? { access_type: 'offline', prompt: 'consent' } : {}),
  };
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
  return { url: url.href, state, codeVerifier, redirectUri: request.redirectUri };
}

/**
 * Exchanges what came back for tokens. `answer` are the query parameters of the redirect. Fails with `forbidden` when
 * the answer is not to this sign-in, else with what the provider refused.
 */
export async function finishSignIn(
  application: Application,
  signIn: Pick<SignIn, 'state' | 'codeVerifier' | 'redirectUri'>,
  answer: URLSearchParams,
  now = Date.now(),
): Promise<Tokens & { refreshToken: string }> {
  if (!isSame(answer.get('state') ?? '', signIn.state)) {
    throw fail('forbidden', 'The answer does not belong to this sign-in; begin again.');
  }
  const asker = { provider: application.provider, isServiceAccount: false };
  const error = answer.get('error');
  const code = answer.get('code');
  if (error !== null || code === null) {
    const body = { error: error ?? 'invalid_request', error_description: answer.get('error_description') };
    throw refused(judgeTokenAnswer(asker, { status: 400, retryAfterMs: null, body }));
  }
  return await exchangeCode(application, { ...signIn, code }, now);
}

/**
 * Exchanges a code for tokens. `codeVerifier` is null where whoever asked for the code sent no challenge. Fails with what the
 * provider refused.
 */
export async function exchangeCode(
  application: Application,
  { code, codeVerifier, redirectUri }: { code: string; codeVerifier: string | null; redirectUri: string },
  now = Date.now(),
): Promise<Tokens & { refreshToken: string }> {
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    ...(codeVerifier === null ? {} : { code_verifier: codeVerifier }),
    ...(await clientFields(application.client, application.clientId, application.tokenUrl, now)),
  });
  const { tokenUrl: url, tlsCa, provider } = application;
  const judged = judgeTokenAnswer(
    { provider, isServiceAccount: false },
    await smallRequest({ method: 'POST', url, headers: {}, form, tlsCa }),
  );
  if (!('accessToken' in judged)) throw refused(judged);
  const { refreshToken } = judged;
  if (refreshToken === null) {
    const why = 'The provider gave no refresh token; the scope must ask for offline access.';
    throw fail('token_request_refused', why);
  }
  return { ...judged, refreshToken };
}

function refused(judged: ReturnType<typeof judgeTokenAnswer>): Error {
  if ('accessToken' in judged) return fail('internal', 'A refusal was judged to be a token');
  return failureError(judged, 'sign-in');
}

/** In constant time, so that the state cannot be guessed bit by bit. */
function isSame(given: string, expected: string): boolean {
  const a = createHash('sha256').update(given).digest();
  const b = createHash('sha256').update(expected).digest();
  return timingSafeEqual(a, b);
}
