/** Joins a mailbox's settings with its secrets, and makes the source that the poller uses. */
import { fail } from './errors.ts';
import { unsupportedKind } from './source/kinds.ts';
import { type Account, makeSource } from './source/make-source.ts';
import type { ServerSettings, Source, SourceKind } from './source/source.ts';
import type { Database } from './store/database.ts';
import type { Keyring } from './store/keyring.ts';
import type { MailboxSettings } from './store/mailbox-settings.ts';
import type { Mailbox } from './store/mailboxes.ts';
import { readSecret } from './store/secrets.ts';

/** What a mailbox logs in with. */
export interface MailboxSecrets {
  password: string | null;
  token: string | null;
}

/** Owner under which the secrets of a mailbox are kept. */
export const secretOwner = (mailboxId: number): string => `mailbox:${mailboxId}`;

export async function sourceOf(db: Database, keys: Keyring, mailbox: Mailbox): Promise<Source> {
  const read = (name: string): Promise<string | null> => readSecret(db, keys, secretOwner(mailbox.id), name);
  const secrets = { password: await read('password'), token: await read('token') };
  return sourceFor(mailbox.kind, mailbox.settings, secrets);
}

/**
 * Fails with `unsupported` for a kind that cannot be polled, with `validation_failed` when the secret for the chosen
 * way to log in is missing.
 */
export function sourceFor(kind: SourceKind, settings: MailboxSettings, secrets: MailboxSecrets): Source {
  return makeSource(accountOf(kind, settings, secrets));
}

/** The host whose connections are counted for this mailbox. */
export function hostOf(mailbox: Mailbox): string {
  return mailbox.settings.server.host;
}

function accountOf(kind: SourceKind, settings: MailboxSettings, secrets: MailboxSecrets): Account {
  switch (kind) {
    case 'imap':
    case 'pop3':
      return { kind, server: serverOf(settings, secrets) };
    default:
      throw unsupportedKind(kind);
  }
}

/** For the kinds that are reached by host and port. */
function serverOf(settings: MailboxSettings, secrets: MailboxSecrets): ServerSettings {
  const { auth: way, ...server } = settings.server;
  const secret = way === 'password' ? secrets.password : secrets.token;
  if (secret === null) {
    const message = `The mailbox has no ${way === 'password' ? 'password' : 'token'}.`;
    throw fail('validation_failed', message, { auth: way });
  }
  return {
    ...server,
    auth: way === 'password' ? { kind: 'password', password: secret } : { kind: 'xoauth2', token: secret },
    folders: settings.folders,
    maxMessageBytes: settings.maxMessageBytes,
  };
}
