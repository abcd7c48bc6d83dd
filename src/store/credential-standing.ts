/** How the credentials of mailboxes stand: which one is in use, and why the others are not. */
import { type ErrorCode, hintFor } from '../errors.ts';
import { LOGIN_SECRETS, type MailboxCredential } from './credentials.ts';
import type { Database, Tx } from './database.ts';
import { secretNames } from './mailbox-progress.ts';
import { type TokenStanding, tokenStandings } from './oauth-tokens.ts';

/** `standby`: nothing is known against it. `incomplete`: it lacks what it logs in with. */
export type CredentialState = 'in_use' | 'standby' | 'failing' | 'refused' | 'incomplete';

export interface CredentialStanding {
  state: CredentialState;
  /** In words. */
  reason: string;
  error: { code: ErrorCode; message: string; hint: string | null; at: Date } | null;
  /** Names of the login secrets that are stored. */
  secrets: string[];
  tokenExpiresAt: Date | null;
  refreshExpiresAt: Date | null;
}

export async function credentialStandings(
  db: Database | Tx,
  credentials: readonly MailboxCredential[],
): Promise<Map<number, CredentialStanding>> {
  const names = credentials.map(({ name }) => name);
  const secrets = await secretNames(db, names);
  const tokens = new Map((await tokenStandings(db, names)).map((one) => [one.credential, one]));
  return new Map(
    credentials.map((credential) => {
      const { id, name } = credential;
      const stored = (secrets.get(name) ?? []).filter((one) =>
        (LOGIN_SECRETS as readonly string[]).includes(one),
      );
      return [id, standingOf(credential, stored, tokens.get(name) ?? null)];
    }),
  );
}

/** Pure. `secrets` are the names of those that are stored. */
export function standingOf(
  credential: Pick<MailboxCredential, 'settings' | 'usedSince' | 'refused'>,
  secrets: string[],
  token: TokenStanding | null,
): CredentialStanding {
  const failure = token?.failure ?? null;
  const found = credential.refused ?? failure;
  const error = found && {
    code: found.code,
    message: found.message,
    hint: hintFor(found.code),
    at: found.at,
  };
  const facts = {
    error,
    secrets,
    tokenExpiresAt: token?.expiresAt ?? null,
    refreshExpiresAt: token?.refreshExpiresAt ?? null,
  };
  const missing = missingSecret(credential, secrets);
  if (missing !== null) return { ...facts, state: 'incomplete', reason: missing };
  const isUsed = credential.usedSince !== null;
  if (error !== null) {
    const isFinal = credential.refused !== null || failure?.terminal === true;
    // A token that still lives is used though there may be no next one.
    const until = isUsed && credential.refused === null ? facts.tokenExpiresAt : null;
    const reason =
      until === null ? error.message : `${error.message}; its token lasts until ${until.toISOString()}`;
    return { ...facts, state: isFinal ? 'refused' : 'failing', reason };
  }
  if (isUsed) return { ...facts, state: 'in_use', reason: 'The mailbox logs in with it.' };
  return { ...facts, state: 'standby', reason: 'Not needed: one before it works, or none was tried yet.' };
}

/** What a credential lacks, in words; null when it has everything. */
export function missingSecret(
  { settings: { auth, oauth } }: Pick<MailboxCredential, 'settings'>,
  secrets: readonly string[],
): string | null {
  const lacks = (name: string, message: string): string | null => (secrets.includes(name) ? null : message);
  if (auth === 'password') return lacks('password', 'It has no password.');
  if (auth === 'xoauth2') return lacks('token', 'It has no token.');
  if (oauth === null) return 'It has nothing that tokens are got with.';
  const { grant, client } = oauth;
  if (grant === 'managed_identity') return null;
  if (grant === 'service_account') return lacks('private_key', 'It has no private key.');
  const proof =
    client === 'secret'
      ? lacks('client_secret', 'It has no client secret.')
      : client === 'certificate'
        ? lacks('private_key', 'It has no private key.')
        : null;
  if (proof !== null || grant !== 'refresh_token') return proof;
  return lacks('refresh_token', 'Nobody has signed in for it yet.');
}
