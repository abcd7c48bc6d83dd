import { describe, expect, it } from 'vitest';
import { entraError, googleError } from '../../src/lab/oauth/errors.ts';
import type { SmallAnswer } from '../../src/source/oauth/http.ts';
import { type Asker, judgeTokenAnswer } from '../../src/source/oauth/token-answer.ts';

const ENTRA: Asker = { provider: 'microsoft', isServiceAccount: false };
const GOOGLE: Asker = { provider: 'google', isServiceAccount: false };
const ACCOUNT: Asker = { provider: 'google', isServiceAccount: true };

const answer = (
  status: number,
  body: SmallAnswer['body'],
  retryAfterMs: number | null = null,
): SmallAnswer => ({
  status,
  body,
  retryAfterMs,
});
const entra = (code: number): SmallAnswer => {
  const { status, body } = entraError(code);
  return answer(status, body as SmallAnswer['body']);
};
const google = (error: string, text = ''): SmallAnswer => {
  const { status, body } = googleError(error, text);
  return answer(status, body as SmallAnswer['body']);
};

describe('what an answer of a token endpoint means', () => {
  it.each([
    [7000222, 'credential_expired', 'The client secret has expired'],
    [7000215, 'credential_refused', 'The client secret is wrong'],
    [7000218, 'credential_refused', 'needs a client secret'],
    [700027, 'credential_refused', 'The certificate'],
    [70021, 'credential_refused', 'No federated credential'],
    [700016, 'application_unknown', 'The client id'],
    [90002, 'application_unknown', 'The tenant'],
    [65001, 'consent_needed', 'Nobody has consented'],
    [50173, 'sign_in_needed', 'The password was changed'],
    [700082, 'sign_in_needed', 'not used for too long'],
    [50076, 'sign_in_needed', 'A second factor'],
    [1002012, 'token_request_refused', '/.default'],
  ])('AADSTS%i is terminal: %s', (code, expected, message) => {
    const judged = judgeTokenAnswer(ENTRA, entra(code));
    expect(judged).toMatchObject({ terminal: true, code: expected, reason: `AADSTS${code}`, askedMs: null });
    expect(judged).toHaveProperty('message', expect.stringContaining(message));
  });

  it.each([
    [GOOGLE, 'invalid_grant', 'sign_in_needed'],
    [GOOGLE, 'invalid_client', 'credential_refused'],
    [GOOGLE, 'deleted_client', 'application_unknown'],
    [GOOGLE, 'admin_policy_enforced', 'consent_needed'],
    [GOOGLE, 'invalid_scope', 'token_request_refused'],
    [GOOGLE, 'unauthorized_client', 'credential_refused'],
    [ACCOUNT, 'unauthorized_client', 'consent_needed'],
    [ACCOUNT, 'invalid_grant', 'credential_refused'],
    [ENTRA, 'interaction_required', 'sign_in_needed'],
    [ENTRA, 'consent_required', 'consent_needed'],
    [ENTRA, 'invalid_grant', 'sign_in_needed'],
    [ENTRA, 'unsupported_grant_type', 'token_request_refused'],
  ])('%o: %s is terminal: %s', (asker, error, code) => {
    expect(judgeTokenAnswer(asker, google(error))).toMatchObject({ terminal: true, code, reason: error });
  });

  it.each([
    [
      '500 with an error that would be terminal',
      answer(500, { error: 'invalid_grant' }),
      'server_protocol',
      null,
    ],
    ['503 with Retry-After', answer(503, null, 30_000), 'server_protocol', 30_000],
    ['429', answer(429, { error: 'invalid_client' }, 5_000), 'server_busy', 5_000],
    ['temporarily_unavailable', answer(400, { error: 'temporarily_unavailable' }), 'server_protocol', null],
    ['an error that nobody knows', answer(400, { error: 'new_thing' }), 'server_protocol', null],
    ['a property of every object', answer(400, { error: 'constructor' }), 'server_protocol', null],
    ['a page of a proxy', answer(403, null), 'server_protocol', null],
    ['a redirect', answer(302, null), 'server_protocol', null],
    ['200 without a token', answer(200, { hello: 1 }), 'server_protocol', null],
    [
      'a token that is no header value',
      answer(200, { access_token: 'a\r\nb', token_type: 'Bearer' }),
      'server_protocol',
      null,
    ],
    [
      'a token of another type',
      answer(200, { access_token: 'a', token_type: 'pop' }),
      'server_protocol',
      null,
    ],
    [
      'the loop detection of Entra',
      answer(400, { error: 'invalid_grant', error_codes: [50196] }),
      'server_busy',
      null,
    ],
  ] as const)('%s passes by itself', (_case, given, code, askedMs) => {
    expect(judgeTokenAnswer(ENTRA, given)).toMatchObject({ terminal: false, code, askedMs });
  });

  it('takes the number from the text when it is only there', () => {
    const body = {
      error: 'invalid_client',
      error_description: 'AADSTS7000222: The provided client secret keys …',
    };
    expect(judgeTokenAnswer(ENTRA, answer(401, body))).toMatchObject({ code: 'credential_expired' });
  });

  it('keeps what the server says short, in one line and without control characters', () => {
    const body = {
      error: 'invalid_grant',
      error_description: `\u001b[31m${'x'.repeat(1000)}\r\nTrace ID: 1`,
    };
    const judged = judgeTokenAnswer(GOOGLE, answer(400, body)) as { message: string };
    expect(judged.message).toMatch(/\( \[31mx{200,300}\)$/);
    expect(judged.message.length).toBeLessThan(400);
  });

  it.each([
    [{ expires_in: 3599 }, 3_599_000],
    [{ expires_in: '86399' }, 86_399_000],
    [{ expires_in: 1e12 }, 24 * 3_600_000],
    [{ expires_in: -1 }, 300_000],
    [{ expires_in: 'soon' }, 300_000],
    [{}, 300_000],
  ])('reads the life of a token: %o', (more, lifeMs) => {
    const judged = judgeTokenAnswer(ENTRA, answer(200, { access_token: 'a', token_type: 'bearer', ...more }));
    expect(judged).toMatchObject({ accessToken: 'a', lifeMs, refreshToken: null });
  });
});
