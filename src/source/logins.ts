/**
 * What a mailbox logs in with: several credentials, of which the first usable one wins. One that the server refuses, or
 * that gets no token any more, is passed over while another one works; when none does, each is tried again.
 */
import { asPenstockError, type ErrorCode, fail, type PenstockError } from '../errors.ts';
import type { Credential } from './oauth/credential.ts';
import type { TokenService } from './oauth/token-service.ts';
import type { ServerSettings } from './source.ts';

/** What goes to the server. */
export type Login = ServerSettings['auth'];

/** One credential, with all that it needs. */
export interface LoginOption {
  /** The name of the credential. */
  name: string;
  with:
    | Login
    | { kind: 'oauth'; credential: Credential }
    /** It lacks something, such as its secret. */
    | { kind: 'nothing'; error: PenstockError };
  /** The server let nobody in with it the last time. */
  refused: boolean;
}

/** What happens to credentials. Told once for each change, and must not fail. */
export interface LoginReport {
  used(name: string): void;
  /** Null: the server lets us in with it again. */
  refused(name: string, error: PenstockError | null): void;
}

export interface Logins {
  /** What to log in with now. Fails with the error that says why there is nothing. */
  get(): Promise<Login>;
  /** The server let nobody in with it. True when {@link get} will give another one: with that it may be tried at once. */
  refused(login: Login, error: PenstockError): Promise<boolean>;
  /** The server let us in with it. */
  worked(login: Login): void;
}

/** Refusals of a login, by a server, that another credential may be spared. */
export const LOGIN_REFUSALS: ReadonlySet<ErrorCode> = new Set(['auth_failed', 'permission_denied']);

type Tokens = Pick<TokenService, 'token' | 'rejected'>;

/** `options` in the order in which they are tried. */
export function makeLogins(options: readonly LoginOption[], tokens: Tokens, report: LoginReport): Logins {
  return new LoginChain(options, tokens, report);
}

class LoginChain implements Logins {
  readonly #options: LoginOption[];
  readonly #tokens: Tokens;
  readonly #report: LoginReport;
  #last: { option: LoginOption; login: Login } | null = null;

  constructor(options: readonly LoginOption[], tokens: Tokens, report: LoginReport) {
    this.#options = options.map((option) => ({ ...option }));
    this.#tokens = tokens;
    this.#report = report;
  }

  async get(): Promise<Login> {
    const errors: PenstockError[] = [];
    const [standing, refused] = [false, true].map((was) =>
      this.#options.filter((one) => one.refused === was),
    );
    for (const option of [...standing!, ...refused!]) {
      // What may pass by itself is waited for; a server that refused is asked again only when nothing else is left.
      if (option.refused && errors.some((error) => error.temporary)) break;
      try {
        const login = await this.#loginOf(option);
        if (this.#last?.option !== option) this.#report.used(option.name);
        this.#last = { option, login };
        return login;
      } catch (thrown) {
        errors.push(asPenstockError(thrown));
      }
    }
    throw worstReason(errors);
  }

  async refused(login: Login, error: PenstockError): Promise<boolean> {
    const last = this.#last;
    // Somebody else was told the same, and went on.
    if (last === null || !isSame(last.login, login)) return true;
    const { option } = last;
    if (option.with.kind === 'oauth' && login.kind === 'xoauth2') {
      const { credential } = option.with;
      await this.#tokens.rejected(credential, login.token);
      const next = await this.#tokens.token(credential).catch(() => null);
      // It may only have ended, or have been revoked.
      if (next !== null && next !== login.token) return true;
    }
    option.refused = true;
    this.#report.refused(option.name, error);
    return this.#options.some((one) => !one.refused && one.with.kind !== 'nothing');
  }

  worked(login: Login): void {
    const last = this.#last;
    if (last === null || !last.option.refused || !isSame(last.login, login)) return;
    last.option.refused = false;
    this.#report.refused(last.option.name, null);
  }

  async #loginOf(option: LoginOption): Promise<Login> {
    const { with: what } = option;
    switch (what.kind) {
      case 'nothing':
        throw what.error;
      case 'oauth':
        return { kind: 'xoauth2', token: await this.#tokens.token(what.credential) };
      default:
        return what;
    }
  }
}

function isSame(a: Login, b: Login): boolean {
  if (a.kind === 'password') return b.kind === 'password' && a.password === b.password;
  return b.kind === 'xoauth2' && a.token === b.token;
}

/**
 * The error to show for all of them: while one may recover by itself, waiting is right, and the soonest counts; else
 * the first one is what a person should mend.
 */
export function worstReason(errors: readonly PenstockError[]): PenstockError {
  const waitOf = ({ fields }: PenstockError): number =>
    typeof fields.backoffMs === 'number' ? fields.backoffMs : 0;
  const [soonest] = errors.filter((error) => error.temporary).sort((a, b) => waitOf(a) - waitOf(b));
  return soonest ?? errors[0] ?? fail('validation_failed', 'The mailbox has no credential.');
}

/** How often a login is tried in one attempt: each credential, and once more where only its token had ended. */
const MOST_TRIES = 20;

/**
 * Runs an attempt to log in, and again with the next credential where the server refuses one. `attempt` gets the login
 * that it is to use.
 */
export async function withLogin<T>(logins: Logins, attempt: (login: Login) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    const login = await logins.get();
    try {
      const result = await attempt(login);
      logins.worked(login);
      return result;
    } catch (thrown) {
      const error = asPenstockError(thrown);
      if (!LOGIN_REFUSALS.has(error.code) || tries >= MOST_TRIES) throw error;
      if (!(await logins.refused(login, error))) throw error;
    }
  }
}
