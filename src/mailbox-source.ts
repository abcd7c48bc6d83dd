/** Joins mailboxes' settings with their secrets, and makes the sources that pollers and tests use. One in a process. */
import { isDeepStrictEqual } from 'node:util';
import { fail } from './errors.ts';
import { credentialOf, LOGIN_SECRETS, type LoginSecrets } from './mailbox-credential.ts';
import type { Transport } from './send/mail.ts';
import type { Contact } from './source/graph/contacts.ts';
import type { GraphMailbox } from './source/graph/graph-source.ts';
import { type Account, type MadeSource, makeSource } from './source/make-source.ts';
import { type AccessTokens, accessTokens } from './source/oauth/access-tokens.ts';
import type { Credential } from './source/oauth/credential.ts';
import { memoryTokenStore } from './source/oauth/memory-token-store.ts';
import { type TokenEvent, TokenService } from './source/oauth/token-service.ts';
import type { DiagnosisStep, Source } from './source/source.ts';
import type { Subscriptions } from './source/subscriptions.ts';
import type { Database } from './store/database.ts';
import type { Keyring } from './store/keyring.ts';
import { findMailbox, type Mailbox } from './store/mailboxes.ts';
import { tokenStore } from './store/oauth-tokens.ts';
import { readSecret } from './store/secrets.ts';

/** What a source is made of. `id` is 0 for a mailbox that is not saved. */
type Reached = Pick<Mailbox, 'id' | 'kind' | 'settings'>;
type TokensOf = (credential: Credential) => AccessTokens;

/** Owner under which the secrets of a mailbox are kept. */
export const secretOwner = (mailboxId: number): string => `mailbox:${mailboxId}`;

/** The host whose connections are counted for this mailbox. */
export const hostOf = (mailbox: Mailbox): string => mailbox.settings.server.host;

export class MailSources {
  readonly #db: Database;
  readonly #keys: Keyring;
  readonly #tokens: TokenService;
  /** By mailbox: they know how much of a quota is used. */
  readonly #made = new Map<number, MadeSource & { changeSeq: number }>();

  /** `report` is told of each token that was got or refused. */
  constructor(db: Database, keys: Keyring, report?: (event: TokenEvent) => void) {
    this.#db = db;
    this.#keys = keys;
    this.#tokens = new TokenService({ store: tokenStore(db, keys), report });
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
    const tokensOf: TokensOf = (credential) => accessTokens(this.#tokens, [credential]);
    return await makeTransport(mailbox, await this.secrets(mailbox.id), () => this.#make(mailbox), tokensOf);
  }

  /** The same for settings that may not be saved: to try them. */
  async draftTransport(mailbox: Reached, secrets: LoginSecrets): Promise<Transport> {
    const { makeTransport } = await import('./mailbox-transport.ts');
    const service = new TokenService({ store: memoryTokenStore() });
    const tokensOf: TokensOf = (credential) => insistent(service, credential);
    const make = () => makeSource(accountOf(mailbox, secrets, tokensOf));
    return await makeTransport(mailbox, secrets, make, tokensOf);
  }

  /** The credential of a saved mailbox; null when it does not get tokens itself. Fails as {@link source}. */
  async credential(mailbox: Mailbox): Promise<Credential | null> {
    const isOauth = mailbox.settings.server.auth === 'oauth';
    return isOauth ? credentialOf(mailbox, await this.secrets(mailbox.id)) : null;
  }

  async secrets(mailboxId: number): Promise<LoginSecrets> {
    const found: LoginSecrets = {};
    for (const name of LOGIN_SECRETS) {
      const value = await readSecret(this.#db, this.#keys, secretOwner(mailboxId), name);
      if (value !== null) found[name] = value;
    }
    return found;
  }

  /** Tries a mailbox as it is saved. A refusal that is remembered does not count: somebody may have mended it. */
  async diagnose(mailbox: Mailbox, signal: AbortSignal): Promise<DiagnosisStep[]> {
    return await this.diagnoseDraft(mailbox, await this.secrets(mailbox.id), signal);
  }

  /** Tries settings that may not be saved. Their tokens are forgotten, unless they are those of the saved mailbox. */
  async diagnoseDraft(
    mailbox: Reached,
    secrets: LoginSecrets,
    signal: AbortSignal,
  ): Promise<DiagnosisStep[]> {
    const saved = mailbox.id === 0 ? null : await findMailbox(this.#db, mailbox.id);
    const known = saved && (await this.credential(saved).catch(() => null));
    const tokensOf: TokensOf = (credential) => {
      const isKnown = isDeepStrictEqual(credential, known);
      const service = isKnown ? this.#tokens : new TokenService({ store: memoryTokenStore() });
      return insistent(service, credential);
    };
    const { source } = await makeSource(accountOf(mailbox, secrets, tokensOf));
    return await source.diagnose(signal);
  }

  async #make(mailbox: Mailbox): Promise<MadeSource> {
    const { id, changeSeq } = mailbox;
    const known = this.#made.get(id);
    if (known?.changeSeq === changeSeq) return known;
    const tokensOf: TokensOf = (credential) => accessTokens(this.#tokens, [credential]);
    const account = accountOf(mailbox, await this.secrets(id), tokensOf);
    const fresh = { ...(await makeSource(account)), changeSeq };
    this.#made.set(id, fresh);
    return fresh;
  }
}

function accountOf(mailbox: Reached, secrets: LoginSecrets, tokensOf: TokensOf): Account {
  const { kind, settings } = mailbox;
  const { auth, ...where } = settings.server;
  const { folders, maxMessageBytes } = settings;
  const server = { ...where, folders, maxMessageBytes };
  if (auth === 'oauth') {
    const tokens = tokensOf(credentialOf(mailbox, secrets));
    return { kind, server, login: { kind: 'tokens', tokens } };
  }
  const secret = auth === 'password' ? secrets.password : secrets.token;
  if (secret === undefined) {
    const message = `The mailbox has no ${auth === 'password' ? 'password' : 'token'}.`;
    throw fail('validation_failed', message, { auth });
  }
  if (auth === 'password') return { kind, server, login: { kind: 'password', password: secret } };
  return { kind, server, login: { kind: 'tokens', tokens: fixed(secret) } };
}

/** A token that somebody gave us: there is no other. */
const fixed = (token: string): AccessTokens => ({
  get: async () => token,
  rejected: async () => undefined,
});

/** The first token is asked for anew, whatever is remembered. */
function insistent(service: TokenService, credential: Credential): AccessTokens {
  const tokens = accessTokens(service, [credential]);
  let asked = false;
  return {
    async get() {
      if (!asked) {
        asked = true;
        await service.retry(credential);
      }
      return await tokens.get();
    },
    rejected: (token) => tokens.rejected(token),
  };
}
