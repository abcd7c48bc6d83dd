/** Sources that log in with the first of several credentials that the server takes: each connection anew. */
import { asPenstockError } from '../errors.ts';
import { type Logins, withLogin } from './logins.ts';
import type { DiagnosisStep, ServerSettings, Source } from './source.ts';

/** An IMAP or POP3 source. `make` is called once: a source may know when the server takes the next login. */
export function loginSource(
  server: Omit<ServerSettings, 'auth'>,
  logins: Logins,
  make: (server: ServerSettings) => Source,
): Source {
  const settings: ServerSettings = { ...server, auth: { kind: 'password', password: '' } };
  const source = make(settings);
  const { ready } = source;
  return {
    kind: source.kind,
    ...(ready === undefined ? {} : { ready }),
    connect: (signal) =>
      withLogin(logins, async (auth) => {
        settings.auth = auth;
        return await source.connect(signal);
      }),
    async diagnose(signal) {
      const begun = performance.now();
      try {
        settings.auth = await logins.get();
      } catch (error) {
        return [failedLogin(error, performance.now() - begun)];
      }
      return await source.diagnose(signal);
    },
  };
}

/** A source whose every request asks for a token by itself. */
export function requestSource(source: Source, logins: Logins): Source {
  return { ...source, connect: (signal) => withLogin(logins, async () => await source.connect(signal)) };
}

/** There is nothing to log in with, so nothing else was tried. */
function failedLogin(thrown: unknown, milliseconds: number): DiagnosisStep {
  const { message, hint } = asPenstockError(thrown);
  return { step: 'login', ok: false, found: message, advice: hint, milliseconds: Math.round(milliseconds) };
}
