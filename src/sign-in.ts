/**
 * Sign-in of a person for a mailbox, in a browser. An administrator makes a link that lasts ten minutes; whoever opens it is
 * sent to the provider, and comes back with a code that is exchanged here: no token ever reaches the browser or the link.
 *
 * The browser that began holds the PKCE verifier in a cookie and is the only place where it is: an answer that comes by
 * another browser, or for another beginning, is worth nothing. See docs/decisions.
 */
import { createHash, randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { asPenstockError, type ErrorCode, fail, type PenstockError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { type LoginSecrets, signInTarget } from './mailbox-credential.ts';
import type { MailSources } from './mailbox-source.ts';
import { beginSignIn, challengeOf, exchangeCode, finishSignIn } from './source/oauth/authorization-code.ts';
import { writeAudit } from './store/audit-log.ts';
import {
  findCredential,
  listCredentials,
  type MailboxCredential,
  saveCredential,
} from './store/credentials.ts';
import type { Database } from './store/database.ts';
import type { Keyring } from './store/keyring.ts';
import { joinSettings } from './store/mailbox-settings.ts';
import { findMailbox, type Mailbox } from './store/mailboxes.ts';
import { writeSecret } from './store/secrets.ts';
import { addAttempt, addLink, endLink, findLink, linkState, takeAttempt } from './store/sign-ins.ts';

export interface SignInLink {
  url: string;
  expiresAt: Date;
  /** How it stands: `done` when somebody has signed in with it. */
  state(): Promise<'open' | 'done' | 'over'>;
}

/** Where a browser goes, and what it keeps until it comes back. */
export interface BegunSignIn {
  location: string;
  cookie: { name: string; value: string; path: string; secure: boolean; seconds: number };
}

/** What became of a sign-in, for the page that says so. */
export type SignInOutcome =
  /** `remark`: why the mailbox could not be tried, though nothing speaks against the account. */
  | { kind: 'done'; mailbox: Mailbox; remark: string | null }
  | { kind: 'refused'; mailbox: Mailbox; error: PenstockError }
  /** The account does not open the mailbox; nothing was stored. */
  | { kind: 'wrong_account'; mailbox: Mailbox; error: PenstockError }
  /** Too late, used already, or never begun. */
  | { kind: 'over' }
  | { kind: 'other_browser' };

interface Parts {
  db: Database;
  keys: Keyring;
  sources: MailSources;
  /** Where people reach this server; null when that is not said. */
  publicUrl: string | null;
}

const LINK_SECONDS = 10 * 60;
const ATTEMPT_SECONDS = 10 * 60;
const ATTEMPTS_PER_LINK = 20;
const CALLBACK_PATH = '/oauth/callback';

export class SignIns {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Makes a link for a mailbox; `credentialId` null means the first of its credentials for which somebody signs in. Fails
   * with `not_found`, `unsupported`, `validation_failed`, or `config_invalid` when there is no address to come back to.
   */
  async link(mailboxId: number, credentialId: number | null, actor: string): Promise<SignInLink> {
    const { db } = this.#parts;
    const base = this.#base();
    const { credential, mailbox } = await this.choose(mailboxId, credentialId);
    // What is missing is told now, not to the person with the link.
    signInTarget(mailbox, await this.#parts.sources.secrets(credential.name));
    const secret = randomBytes(32).toString('base64url');
    const sha256 = digest(secret);
    const expiresAt = await addLink(db, { sha256, credentialId: credential.id, actor }, LINK_SECONDS);
    const url = `${base}/oauth/start/${mailboxId}?link=${secret}`;
    return { url, expiresAt, state: () => linkState(db, sha256) };
  }

  /** The credential that somebody signs in for, with the mailbox as it is with its login. Fails as {@link link}. */
  async choose(
    mailboxId: number,
    credentialId: number | null,
  ): Promise<{ credential: MailboxCredential; mailbox: Mailbox }> {
    const { db } = this.#parts;
    const mailbox = await findMailbox(db, mailboxId);
    if (mailbox === null) throw fail('not_found', `There is no mailbox ${mailboxId}.`, { id: mailboxId });
    const all = await listCredentials(db, [mailboxId]);
    const signsIn = ({ settings: { auth, oauth } }: MailboxCredential): boolean =>
      auth === 'oauth' && oauth?.grant === 'refresh_token';
    const credential =
      credentialId === null ? (all.find(signsIn) ?? all[0]) : all.find(({ id }) => id === credentialId);
    if (credential === undefined) {
      throw fail('not_found', `Mailbox ${mailboxId} has no credential ${credentialId}.`, { credentialId });
    }
    return { credential, mailbox: withLogin(mailbox, credential) };
  }

  /** A browser has opened a link. Null when the link is over, or not of this mailbox. */
  async begin(mailboxId: number, secret: string): Promise<BegunSignIn | null> {
    const { db, sources } = this.#parts;
    const redirectUri = `${this.#base()}${CALLBACK_PATH}`;
    const linkSha256 = digest(secret);
    const link = await findLink(db, linkSha256);
    if (link === null || link.mailboxId !== mailboxId) return null;
    const { credential, mailbox } = await this.choose(mailboxId, link.credentialId);
    const { application, authorizeUrl, scope } = signInTarget(
      mailbox,
      await sources.secrets(credential.name),
    );
    const loginHint = mailbox.settings.server.user;
    const begun = beginSignIn(application, { authorizeUrl, redirectUri, scope, loginHint });
    const { state, codeVerifier } = begun;
    const attempt = {
      stateSha256: digest(state),
      linkSha256,
      challenge: challengeOf(codeVerifier),
      redirectUri,
    };
    if (!(await addAttempt(db, attempt, ATTEMPT_SECONDS, ATTEMPTS_PER_LINK))) return null;
    const { pathname, protocol } = new URL(redirectUri);
    const cookie = {
      name: cookieOf(state),
      value: codeVerifier,
      path: pathname,
      secure: protocol === 'https:',
      seconds: ATTEMPT_SECONDS,
    };
    return { location: begun.url, cookie };
  }

  /**
   * A browser has come back. `answer` are the query parameters, `cookies` what it keeps. The refresh token is stored when
   * the account opens the mailbox.
   */
  async finish(answer: URLSearchParams, cookies: ReadonlyMap<string, string>): Promise<SignInOutcome> {
    const { db, sources } = this.#parts;
    const state = answer.get('state') ?? '';
    const codeVerifier = cookies.get(cookieOf(state)) ?? '';
    const taken = await takeAttempt(db, digest(state), challengeOf(codeVerifier));
    if (taken === 'over' || taken === 'other_browser') return { kind: taken };
    const { credential, mailbox } = await this.choose(taken.mailboxId, taken.credentialId);
    const secrets = await sources.secrets(credential.name);
    let refreshToken: string;
    let accessToken: string;
    try {
      const { application } = signInTarget(mailbox, secrets);
      const signIn = { state, codeVerifier, redirectUri: taken.redirectUri };
      ({ refreshToken, accessToken } = await finishSignIn(application, signIn, answer));
    } catch (thrown) {
      return { kind: 'refused', mailbox, error: asPenstockError(thrown) };
    }
    const problem = await sources.tryToken(mailbox, accessToken, AbortSignal.timeout(LIMITS.diagnosisMs));
    if (problem !== null && OF_THE_ACCOUNT.has(problem.code)) {
      return { kind: 'wrong_account', mailbox, error: problem };
    }
    const isStored = await this.#store(credential, refreshToken, taken);
    return isStored ? { kind: 'done', mailbox, remark: problem?.message ?? null } : { kind: 'over' };
  }

  /** The name of the cookie that a sign-in has. */
  static cookieName(state: string): string {
    return cookieOf(state);
  }

  /**
   * Exchanges a code that another program got, in Halo's way: without PKCE, because what that program kept is not known
   * here. Returns the refresh token. Fails with what the provider refused.
   */
  async exchange(
    mailbox: Pick<Mailbox, 'kind' | 'settings'>,
    secrets: LoginSecrets,
    given: { code: string; redirectUri: string },
  ): Promise<string> {
    const { application } = signInTarget(mailbox, secrets);
    return (await exchangeCode(application, { ...given, codeVerifier: null })).refreshToken;
  }

  /** Keeps a refresh token that was got for a credential; also of a sign-in on another device. Fails with `conflict`. */
  async keep(credential: MailboxCredential, refreshToken: string, actor: string): Promise<void> {
    await this.#store(credential, refreshToken, { actor, linkSha256: null });
  }

  async #store(
    credential: MailboxCredential,
    refreshToken: string,
    { actor, linkSha256 }: { actor: string; linkSha256: Buffer | null },
  ): Promise<boolean> {
    const { db, keys } = this.#parts;
    const { id, mailboxId } = credential;
    return await db.transaction().execute(async (tx) => {
      const now = await findCredential(tx, id);
      // The token is of the application that was asked, and of no other.
      if (now === null || !isDeepStrictEqual(now.settings, credential.settings)) {
        throw fail(
          'conflict',
          `Credential ${id} of mailbox ${mailboxId} was changed meanwhile; sign in again.`,
        );
      }
      if (linkSha256 !== null && !(await endLink(tx, linkSha256))) return false;
      await writeSecret(tx, keys, now.name, 'refresh_token', refreshToken);
      await saveCredential(tx, now);
      const change = { mailbox: mailboxId };
      await writeAudit(tx, {
        actor,
        action: 'authorize',
        entity: 'mailbox_credential',
        entityId: id,
        change,
      });
      return true;
    });
  }

  #base(): string {
    const { publicUrl } = this.#parts;
    if (publicUrl === null) {
      const message =
        'Providers send browsers back to an address that they know: set server.publicUrl (PENSTOCK_PUBLIC_URL).';
      throw fail('config_invalid', message, { field: 'server.publicUrl' });
    }
    return publicUrl.replace(/\/+$/, '');
  }
}

/** The account is not one that may read the mailbox, or did not allow what was asked. */
const OF_THE_ACCOUNT: ReadonlySet<ErrorCode> = new Set([
  'auth_failed',
  'permission_denied',
  'mailbox_missing',
]);

function withLogin(mailbox: Mailbox, credential: MailboxCredential): Mailbox {
  return { ...mailbox, settings: joinSettings(mailbox.settings, credential.settings) };
}

/** One for each beginning, so that two tabs do not disturb each other. */
function cookieOf(state: string): string {
  return `penstock_sign_in_${digest(state).toString('hex').slice(0, 16)}`;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
