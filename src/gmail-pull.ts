/** Binds the pulling of Gmail's notifications to the configuration. */
import { readFile } from 'node:fs/promises';
import { noteGmail } from './api/notified.ts';
import { fail } from './errors.ts';
import { NotificationPuller } from './intake/notification-puller.ts';
import type { Events } from './observe/events.ts';
import type { Runtime } from './runtime.ts';
import { PUBSUB_ROOT_URL, PUBSUB_SCOPE, PubsubSubscription } from './source/gmail/pubsub.ts';
import { GOOGLE_ENDPOINTS } from './source/oauth/authority.ts';
import type { Credential } from './source/oauth/credential.ts';
import { readServiceAccountKey } from './source/oauth/service-account-file.ts';

/** Where Google is; a lab is elsewhere. */
export interface GoogleSite {
  rootUrl: string;
  tokenUrl: string;
  tlsCa: string | null;
}

const GOOGLE: GoogleSite = { rootUrl: PUBSUB_ROOT_URL, tokenUrl: GOOGLE_ENDPOINTS.token, tlsCa: null };

export interface GmailPull {
  start(): void;
  stop(): Promise<void>;
}

/**
 * Null when nothing is to be pulled. Several processes may pull from one subscription: each is given other messages.
 * Fails with `config_invalid` when the key cannot be read.
 */
export async function gmailPull(
  { config, db, sources }: Pick<Runtime, 'config' | 'db' | 'sources'>,
  events: Events,
  { rootUrl, tokenUrl, tlsCa }: GoogleSite = GOOGLE,
): Promise<GmailPull | null> {
  const { subscription, keyFile } = config.pubsub;
  if (subscription === null) return null;
  const credential = { ...(await credentialIn(keyFile)), tokenUrl, tlsCa };
  const pulled = new PubsubSubscription({
    subscription,
    tokens: sources.tokensOf(credential),
    rootUrl,
    tlsCa,
  });
  const puller = new NotificationPuller({
    events,
    pull: (signal) => pulled.pull(signal),
    acknowledge: (ids, signal) => pulled.acknowledge(ids, signal),
    note: (addresses) => noteGmail(db, events, addresses),
  });
  return {
    start: () => puller.start(),
    async stop() {
      await puller.stop();
      pulled.close();
    },
  };
}

/** The account pulls in its own name: those of mailboxes are for mail, and need not know of the project's topics. */
async function credentialIn(keyFile: string | null): Promise<Omit<Credential, 'tokenUrl' | 'tlsCa'>> {
  const setting = { setting: 'pubsub.keyFile' };
  if (keyFile === null) {
    throw fail(
      'config_invalid',
      'pubsub.subscription needs pubsub.keyFile, the key of a service account.',
      setting,
    );
  }
  const text = await readFile(keyFile, 'utf8').catch((error) => {
    throw fail('config_invalid', `The file of pubsub.keyFile cannot be read: ${keyFile}`, setting, error);
  });
  const key = readServiceAccountKey(text);
  const grant = { kind: 'service_account', ...key, subject: null } as const;
  return { id: 'pubsub', provider: 'google', clientId: key.email, scope: PUBSUB_SCOPE, grant };
}
