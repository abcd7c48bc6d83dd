/** What Pub/Sub pushes: who sent it, and which mailbox it is about. Pure but for the keys of Google. */
import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { asPenstockError, fail } from '../../errors.ts';
import { smallRequest } from '../oauth/http.ts';

export const GOOGLE_KEYS_URL = 'https://www.googleapis.com/oauth2/v3/certs';
const ISSUERS = ['https://accounts.google.com', 'accounts.google.com'];
const CLOCK_SKEW_S = 60;
const TOKEN_CHARS = 8 * 1024;
const DATA_CHARS = 16 * 1024;
const ADDRESS = /^[^\s@]{1,64}@[^\s@]{1,255}$/;

/** Google's keys, fetched when they are needed and kept. */
export function pushKeys(url = GOOGLE_KEYS_URL, tlsCa: string | null = null): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(url), {
    [customFetch]: async (address) => {
      const { status, body } = await smallRequest({
        method: 'GET',
        url: address,
        headers: {},
        form: null,
        tlsCa,
      });
      return Response.json(body, { status });
    },
  });
}

/**
 * Checks the token of a push: signed by Google, for us, and from our own subscription. Without the last, anybody with a
 * Pub/Sub topic of their own could send. Fails with `unauthorized`; with the error of the request when Google's keys
 * cannot be got, so that the push is sent again.
 */
export async function verifyPush(
  authorization: string | undefined,
  expected: { audience: string; serviceAccount: string },
  keys: JWTVerifyGetKey,
  now = new Date(),
): Promise<void> {
  const token = /^Bearer ([\w.-]+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined || token.length > TOKEN_CHARS) throw fail('unauthorized', 'The push has no token');
  const rules = {
    issuer: ISSUERS,
    audience: expected.audience,
    algorithms: ['RS256'],
    clockTolerance: CLOCK_SKEW_S,
    requiredClaims: ['exp', 'iat'],
    currentDate: now,
  };
  const { payload } = await jwtVerify(token, keys, rules).catch((error) => {
    const isRefusal = error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout);
    throw isRefusal
      ? fail('unauthorized', `The token of the push is not valid: ${error.message}`)
      : asPenstockError(error);
  });
  if (payload.email !== expected.serviceAccount || payload.email_verified !== true) {
    throw fail('unauthorized', 'The push comes from another service account');
  }
}

/** A notification. Its history id is only good for the log: to list from it would skip what came before. */
export interface Notification {
  address: string;
  historyId: string;
  messageId: string;
  subscription: string;
}

/** Reads the body of a push. Fails with `validation_failed`. */
export function readPush(body: unknown): Notification {
  const { message, subscription } = object(body);
  const { data, messageId } = object(message);
  if (typeof data !== 'string' || data.length > DATA_CHARS) throw noPush();
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
  } catch {
    throw noPush();
  }
  const { emailAddress, historyId } = object(content);
  if (typeof emailAddress !== 'string' || !ADDRESS.test(emailAddress)) throw noPush();
  return {
    address: emailAddress.toLowerCase(),
    // A number here, though it is text everywhere else in the API.
    historyId: String(historyId ?? ''),
    messageId: typeof messageId === 'string' ? messageId : '',
    subscription: typeof subscription === 'string' ? subscription : '',
  };
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw noPush();
  return value as Record<string, unknown>;
}

function noPush(): Error {
  return fail('validation_failed', 'This is no notification of Gmail');
}
