/** Sign-in of a person on another device (RFC 8628): for a server without a browser or a public address. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../../errors.ts';
import type { Application } from './authorization-code.ts';
import type { Tokens } from './credential.ts';
import { type SmallAnswer, smallRequest } from './http.ts';
import { failureError, judgeTokenAnswer } from './token-answer.ts';
import { clientFields } from './token-request.ts';

/** What to tell the person. */
export interface DeviceSignIn {
  deviceCode: string;
  userCode: string;
  verificationUri: string;
  expiresInMs: number;
  intervalMs: number;
}

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const DEFAULT_INTERVAL_MS = 5_000;
const LONGEST_MS = 30 * 60_000;

/** Fails with what the provider refused. */
export async function beginDeviceSignIn(
  application: Application,
  deviceCodeUrl: string,
  scope: string,
): Promise<DeviceSignIn> {
  const { clientId, tlsCa, provider } = application;
  const form = new URLSearchParams({ client_id: clientId, scope });
  const answer = await smallRequest({ method: 'POST', url: deviceCodeUrl, headers: {}, form, tlsCa });
  const { body } = answer;
  const deviceCode = body?.device_code;
  const userCode = body?.user_code;
  // Google's name for it is older than the standard.
  const verificationUri = body?.verification_uri ?? body?.verification_url;
  if (typeof deviceCode === 'string' && typeof userCode === 'string' && typeof verificationUri === 'string') {
    const expiresInMs = Math.min(milliseconds(body?.expires_in) ?? LONGEST_MS, LONGEST_MS);
    const intervalMs = milliseconds(body?.interval) ?? DEFAULT_INTERVAL_MS;
    return { deviceCode, userCode, verificationUri, expiresInMs, intervalMs };
  }
  const judged = judgeTokenAnswer(
    { provider, isServiceAccount: false },
    { ...answer, status: answer.status || 400 },
  );
  if ('accessToken' in judged) throw fail('server_protocol', 'The device code endpoint gave a token');
  throw failureError(judged, 'sign-in');
}

/** What to do after a question: done, ask again after a wait, or give up. Pure (RFC 8628 section 3.5). */
export function devicePollStep(
  answer: SmallAnswer,
  intervalMs: number,
): 'done' | 'failed' | { waitMs: number } {
  if (answer.status === 200) return 'done';
  const error = answer.body?.error;
  if (error === 'authorization_pending') return { waitMs: intervalMs };
  if (error === 'slow_down') return { waitMs: intervalMs + 5_000 };
  const isTemporary = answer.status >= 500 || answer.status === 429;
  return isTemporary ? { waitMs: Math.max(intervalMs * 2, answer.retryAfterMs ?? 0) } : 'failed';
}

/** Waits until the person has signed in. Fails with `sign_in_needed` when the time is up, else as the provider says. */
export async function finishDeviceSignIn(
  application: Application,
  signIn: DeviceSignIn,
  signal: AbortSignal,
): Promise<Tokens> {
  const { tokenUrl, clientId, client, tlsCa, provider } = application;
  const deadline = performance.now() + signIn.expiresInMs;
  let waitMs = signIn.intervalMs;
  while (performance.now() + waitMs < deadline) {
    await sleep(waitMs, undefined, { signal });
    const form = new URLSearchParams({
      grant_type: GRANT,
      device_code: signIn.deviceCode,
      ...(await clientFields(client, clientId, tokenUrl, Date.now())),
    });
    const answer = await smallRequest({ method: 'POST', url: tokenUrl, headers: {}, form, tlsCa });
    const step = devicePollStep(answer, waitMs);
    if (typeof step === 'object') {
      ({ waitMs } = step);
      continue;
    }
    const judged = judgeTokenAnswer({ provider, isServiceAccount: false }, answer);
    if ('accessToken' in judged) return judged;
    throw failureError(judged, 'sign-in');
  }
  throw fail('sign_in_needed', 'Nobody signed in before the code ended');
}

function milliseconds(seconds: unknown): number | null {
  return typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : null;
}
