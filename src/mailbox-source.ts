/** Joins mailboxes' settings with their secrets, and makes the sources that pollers and tests use. One in a process. */
import { isDeepStrictEqual } from 'node:util';
import { asPenstockError, fail, type PenstockError } from './errors.ts';
import { LOGIN_SECRETS, type LoginSecrets, loginOption } from './mailbox-credential.ts';
import type { Transport } from './send/mail.ts';
import type { Contact } from './source/graph/contacts.ts';
import type { GraphMailbox } from './source/graph/graph-source.ts';
import { type LoginOption, type LoginReport, type Logins, makeLogins } from './source/logins.ts';
import { type Account, type MadeSource, makeSource } from './source/make-source.ts';
import type { AccessTokens } from './source/oauth/access-tokens.ts';
import type { Credential } from './source/oauth/credential.ts';
import { memoryTokenStore } from './source/oauth/memory-token-store.ts';
import { type TokenEvent, TokenService } from './source/oauth/token-service.ts';
import type { DiagnosisStep, Source } from './source/source.ts';
import type { Subscriptions } from './source/subscriptions.ts';
import {
  firstCredential,
  listCredentials,
  type MailboxCredential,
  noteRefused,
  noteUsed,
  saveCredential,
} from './store/credentials.ts';
import type { Database } from './store/database.ts';
import type { Keyring } from './store/keyring.ts';
import { joinSettings } from './store/mailbox-settings.ts';
import { findMailbox, livingMailboxes, type Mailbox } from './store/mailboxes.ts';
import { credentialId, tokenStore } from './store/oauth-tokens.ts';
import { readSecret } from './store/secrets.ts';
import { sendingOf } from './store/sending-settings.ts';

/** What a source is made of. `id` is 0 for a mailbox that is not saved. */
type Reached = Pick<Mailbox, 'id' | 'kind' | 'settings'>;

/** What became of a credential of a mailbox. Told by the process that uses it. */
export type LoginEvent =
  | TokenEvent
  | { kind: 'used'; mailbox: number; credentialId: number }
  | { kind: 'refused'; mailbox: number; credentialId: number; error: PenstockError };

/**
 * Owner under which the secrets of a mailbox are kept: those for sending, and those of the first credential that it was made
 * with. Further credentials have names of their own.
 */
export const secretOwner = (mailboxId: number): string => credentialId(mailboxId);

/** The host whose connections are counted for this mailbox. */
export const hostOf = (mailbox: Mailbox): string => mailbox.settings.server.host;

export class MailSources {
  readonly #db: Database;
  readonly #keys: Keyring;
  readonly #tokens: TokenService;
  readonly #report: (event: LoginEvent) => void;
  /** By mailbox: they know how much of a quota is used. */
  readonly #made = new Map<number, MadeSource & { changeSeq: number }>();
  /** What is noted of credentials is written one after the other, in its order. */
  #notes: Promise<void> = Promise.resolve();

  /** `report` is told of each token that was got or refused, and of each credential that is used or refused. */
  constructor(db: Database, keys: Keyring, report: (event: LoginEvent) => void = () => undefined) {
    this.#db = db;
    this.#keys = keys;
    this.#report = report;
    this.#tokens = new TokenService({ store: tokenStore(db, keys), report });
  }

  /** How many mailboxes something is kept of. */
  get size(): number {
    return this.#made.size;
  }

  /** Fails with `validation_failed` when a secret is missing, with `sign_in_needed` when nobody has signed in. */
  async source(mailbox: Mailbox): Promise<Source> {
    return (await this.#make(mailbox)).source;
  }

  /** A Graph mailbox with everything it can do; it shares its limits with {@link source}. Fails likewise. */
  async graph(mailbox: Mailbox): Promise<GraphMailbox> {
    const { graph } = await this.#make(mailbox);
    if (graph === null) throw fail('unsupported', `Mailbox ${mailbox.id} is not a Graph mailbox.`);
    return graph;
  }

  /** Contacts of a Graph mailbox, up to `most`. Fails as {@link graph}, else with what Graph refused. */
  async contacts(mailbox: Mailbox, most: number): Promise<Contact[]> {
    const { listContacts } = await import('./source/graph/contacts.ts');
    const client = (await this.graph(mailbox)).client();
    try {
      return await listContacts(client, most);
    } finally {
      client.close();
    }
  }

  /** How the provider of a mailbox tells of new mail; null when there is no such way, or no such mailbox. Fails as {@link source}. */
  async subscriptions(mailboxId: number): Promise<Subscriptions | null> {
    const mailbox = await findMailbox(this.#db, mailboxId);
    return mailbox === null ? null : (await this.#make(mailbox)).subscriptions;
  }

  /** How a saved mailbox sends. Fails with `send_not_configured`, else as {@link source}. */
  async transport(mailbox: Mailbox): Promise<Transport> {
    const { makeTransport } = await import('./mailbox-transport.ts');
    const secrets = await this.sendingSecrets(mailbox.id);
    const tokensOf = (credential: Credential): AccessTokens => this.tokensOf(credential);
    return await makeTransport(mailbox, secrets, () => this.#make(mailbox), tokensOf);
  }

  /** The same for settings that may not be saved: to try them. */
  async draftTransport(mailbox: Reached, secrets: LoginSecrets): Promise<Transport> {
    const { makeTransport } = await import('./mailbox-transport.ts');
    const service = new TokenService({ store: memoryTokenStore() });
    const option = loginOption(credentialId(mailbox.id), mailbox, secrets, false);
    const make = () => makeSource(accountOf(mailbox, insistent(service, option)));
    const tokensOf = (credential: Credential): AccessTokens => tokensFrom(service, credential);
    return await makeTransport(mailbox, secrets, make, tokensOf);
  }

  /** What a saved mailbox sends with: the secrets of its first credential, and its own for SMTP. */
  async sendingSecrets(mailboxId: number): Promise<LoginSecrets> {
    const first = await firstCredential(this.#db, mailboxId);
    const secrets = first === null ? {} : await this.secrets(first.name);
    const password = await readSecret(this.#db, this.#keys, secretOwner(mailboxId), 'smtp_password');
    return password === null ? secrets : { ...secrets, smtp_password: password };
  }

  /** Tokens of a credential that is of no mailbox. */
  tokensOf(credential: Credential): AccessTokens {
    return tokensFrom(this.#tokens, credential);
  }

  /** The login secrets under this name: of a credential, or of a mailbox's first one. */
  async secrets(name: string): Promise<LoginSecrets> {
    const found: LoginSecrets = {};
    for (const secret of LOGIN_SECRETS) {
      const value = await readSecret(this.#db, this.#keys, name, secret);
      if (value !== null) found[secret] = value;
    }
    return found;
  }

  /**
   * Tries a mailbox as it is saved, with each of its credentials. A refusal that is remembered does not count: somebody may
   * have mended it, and then the credential counts again.
   */
  async diagnose(mailbox: Mailbox, signal: AbortSignal): Promise<DiagnosisStep[]> {
    const credentials = await listCredentials(this.#db, [mailbox.id]);
    const tried: Tried[] = [];
    for (const credential of credentials) {
      const settings = joinSettings(mailbox.settings, credential.settings);
      const option = await this.#option(mailbox, credential);
      const steps = await diagnoseWith({ ...mailbox, settings }, insistent(this.#tokens, option), signal);
      tried.push({ credential, steps, ok: steps.every(({ ok }) => ok) });
    }
    for (const { credential, ok } of tried) {
      if (ok && credential.refused !== null) {
        await this.#db.transaction().execute((tx) => saveCredential(tx, credential));
      }
    }
    const secrets = await this.sendingSecrets(mailbox.id);
    return [...summary(tried), ...(await this.#diagnoseSending(mailbox, secrets, this.#tokens, signal))];
  }

  /**
   * Tries settings that may not be saved. Their tokens are forgotten, unless they are those of the saved mailbox: `rotated`
   * is told of a refresh token that came in place of the one in `secrets`, which may be void then.
   */
  async diagnoseDraft(
    mailbox: Reached,
    secrets: LoginSecrets,
    signal: AbortSignal,
    rotated: (refreshToken: string) => void = () => undefined,
  ): Promise<DiagnosisStep[]> {
    const saved = mailbox.id === 0 ? null : await findMailbox(this.#db, mailbox.id);
    const first = saved === null ? null : await firstCredential(this.#db, mailbox.id);
    const option = loginOption(first?.name ?? credentialId(mailbox.id), mailbox, secrets, false);
    const known = first === null ? null : await this.#option(saved!, first);
    const own = { ...(saved === null ? {} : await this.sendingSecrets(saved.id)), ...secrets };
    const both = async (service: TokenService): Promise<DiagnosisStep[]> => [
      ...(await diagnoseWith(mailbox, insistent(service, option), signal)),
      ...(await this.#diagnoseSending(mailbox, own, service, signal)),
    ];
    if (isDeepStrictEqual(option.with, known?.with)) return await both(this.#tokens);
    const store = memoryTokenStore();
    try {
      return await both(new TokenService({ store }));
    } finally {
      const newest = store.newest();
      if (newest !== null) rotated(newest);
    }
  }

  /** Logs in to a mailbox with this token alone. Null when that works, else why not. */
  async tryToken(
    mailbox: Pick<Mailbox, 'kind' | 'settings'>,
    token: string,
    signal: AbortSignal,
  ): Promise<PenstockError | null> {
    const option: LoginOption = { name: 'token', with: { kind: 'xoauth2', token }, refused: false };
    const { source } = await makeSource(accountOf(mailbox, makeLogins([option], this.#tokens, UNTOLD)));
    try {
      await (await source.connect(signal)).close();
      return null;
    } catch (thrown) {
      return asPenstockError(thrown);
    }
  }

  /** Forgets what is kept of mailboxes that were removed. */
  async forgetRemoved(): Promise<void> {
    const living = await livingMailboxes(this.#db, [...this.#made.keys()]);
    for (const id of this.#made.keys()) if (!living.has(id)) this.#made.delete(id);
  }

  /** When everything noted of credentials so far is written. */
  async settled(): Promise<void> {
    await this.#notes;
  }

  /** No step when the mailbox sends by the API that it is read by, or not at all. */
  async #diagnoseSending(
    mailbox: Reached,
    secrets: LoginSecrets,
    service: TokenService,
    signal: AbortSignal,
  ): Promise<DiagnosisStep[]> {
    const sending = sendingOf(mailbox);
    if (sending?.by !== 'smtp' || sending.smtp === null) return [];
    const { host, port } = sending.smtp;
    const { diagnoseSending } = await import('./send/diagnose.ts');
    const { makeTransport } = await import('./mailbox-transport.ts');
    const tokensOf = (credential: Credential): AccessTokens => tokensFrom(service, credential);
    const make = () => makeTransport(mailbox, secrets, notByApi, tokensOf);
    return await diagnoseSending(make, `${host}:${port}`, signal);
  }

  async #make(mailbox: Mailbox): Promise<MadeSource> {
    const { id, changeSeq } = mailbox;
    const known = this.#made.get(id);
    if (known?.changeSeq === changeSeq) return known;
    const credentials = await listCredentials(this.#db, [id]);
    const options = await Promise.all(credentials.map((credential) => this.#option(mailbox, credential)));
    refuseUseless(options);
    const logins = makeLogins(options, this.#tokens, this.#noting(id, credentials));
    const fresh = { ...(await makeSource(accountOf(mailbox, logins))), changeSeq };
    this.#made.set(id, fresh);
    return fresh;
  }

  async #option({ kind, settings }: Reached, credential: MailboxCredential): Promise<LoginOption> {
    const { name, refused } = credential;
    const own = joinSettings(settings, credential.settings);
    return loginOption(name, { kind, settings: own }, await this.secrets(name), refused !== null);
  }

  #noting(mailbox: number, credentials: readonly MailboxCredential[]): LoginReport {
    const idOf = (name: string): number => credentials.find((one) => one.name === name)!.id;
    const note = (write: () => Promise<void>): void => {
      // What could not be written is written at the next change.
      this.#notes = this.#notes.then(write).catch(() => undefined);
    };
    return {
      used: (name) => {
        note(() => noteUsed(this.#db, mailbox, name));
        this.#report({ kind: 'used', mailbox, credentialId: idOf(name) });
      },
      refused: (name, error) => {
        note(() => noteRefused(this.#db, name, error));
        if (error !== null) this.#report({ kind: 'refused', mailbox, credentialId: idOf(name), error });
      },
    };
  }
}

function tokensFrom(service: TokenService, credential: Credential): AccessTokens {
  return {
    get: () => service.token(credential),
    rejected: (token) => service.rejected(credential, token),
  };
}

/** When no credential has what it needs, the first one says what that is. */
function refuseUseless(options: readonly LoginOption[]): void {
  const errors = options.flatMap(({ with: what }) => (what.kind === 'nothing' ? [what.error] : []));
  if (errors.length === options.length) {
    throw errors[0] ?? fail('validation_failed', 'The mailbox has no credential.');
  }
}

function accountOf({ kind, settings }: Pick<Reached, 'kind' | 'settings'>, logins: Logins): Account {
  const { auth: _auth, ...where } = settings.server;
  const { folders, maxMessageBytes } = settings;
  return { kind, server: { ...where, folders, maxMessageBytes }, logins };
}

async function diagnoseWith(
  mailbox: Pick<Reached, 'kind' | 'settings'>,
  logins: Logins,
  signal: AbortSignal,
): Promise<DiagnosisStep[]> {
  const { source } = await makeSource(accountOf(mailbox, logins));
  return await source.diagnose(signal);
}

const notByApi = (): Promise<never> => Promise.reject(new Error('Only SMTP is tried.'));

const UNTOLD: LoginReport = { used: () => undefined, refused: () => undefined };

/** The first token is asked for anew, whatever is remembered: one that still lives would hide that there is no next. */
function insistent(service: TokenService, option: LoginOption): Logins {
  const logins = makeLogins([option], service, UNTOLD);
  const { with: what } = option;
  let asked = false;
  return {
    async get() {
      if (!asked && what.kind === 'oauth') {
        asked = true;
        await service.retry(what.credential);
      }
      return await logins.get();
    },
    refused: (login, error) => logins.refused(login, error),
    worked: () => undefined,
  };
}

interface Tried {
  credential: MailboxCredential;
  steps: DiagnosisStep[];
  ok: boolean;
}

/** All steps with the first credential that works, after one for each credential when there are several. */
function summary(tried: readonly Tried[]): DiagnosisStep[] {
  const shown = tried.find(({ ok }) => ok) ?? tried[0];
  if (shown === undefined) throw fail('validation_failed', 'The mailbox has no credential.');
  if (tried.length === 1) return shown.steps;
  const each = tried.map(({ credential: { id }, steps, ok }): DiagnosisStep => {
    const milliseconds = steps.reduce((sum, step) => sum + step.milliseconds, 0);
    const failed = steps.find((step) => !step.ok);
    const found = failed === undefined ? 'it works' : `${failed.step}: ${failed.found}`;
    const advice = failed?.advice ?? null;
    return { step: 'credential', ok, found: `Credential ${id}: ${found}`, advice, milliseconds };
  });
  return [...each, ...shown.steps];
}
