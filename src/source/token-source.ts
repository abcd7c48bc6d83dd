/** An IMAP or POP3 source that logs in with access tokens: each connection with one that is good then. */
import { asPenstockError } from '../errors.ts';
import type { AccessTokens } from './oauth/access-tokens.ts';
import type { DiagnosisStep, ServerSettings, Source } from './source.ts';

/** `make` is called once: a source may know when the server takes the next login. */
export function tokenSource(
  server: Omit<ServerSettings, 'auth'>,
  tokens: AccessTokens,
  make: (server: ServerSettings) => Source,
): Source {
  const auth = { kind: 'xoauth2' as const, token: '' };
  const source = make({ ...server, auth });
  const renew = async (): Promise<string> => {
    auth.token = await tokens.get();
    return auth.token;
  };
  const { ready } = source;
  return {
    kind: source.kind,
    ...(ready === undefined ? {} : { ready }),
    async connect(signal) {
      const token = await renew();
      try {
        return await source.connect(signal);
      } catch (error) {
        if (asPenstockError(error).code !== 'auth_failed') throw error;
        // It may have been revoked. The same one again would be refused again.
        await tokens.rejected(token);
        if ((await renew()) === token) throw error;
        return await source.connect(signal);
      }
    },
    async diagnose(signal) {
      const begun = performance.now();
      try {
        await renew();
      } catch (error) {
        return [failedLogin(error, performance.now() - begun)];
      }
      return await source.diagnose(signal);
    },
  };
}

/** There is no token, so nothing else was tried. */
function failedLogin(thrown: unknown, milliseconds: number): DiagnosisStep {
  const { message, hint } = asPenstockError(thrown);
  return { step: 'login', ok: false, found: message, advice: hint, milliseconds: Math.round(milliseconds) };
}
