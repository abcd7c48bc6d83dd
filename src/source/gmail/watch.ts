/**
 * Asks Gmail to tell a Pub/Sub topic when a mailbox changes (developers.google.com/workspace/gmail/api/guides/push). A
 * notification is only a hint: some are dropped, so listing by interval goes on.
 */
import { fail } from '../../errors.ts';
import type { Subscription, Subscriptions } from '../subscriptions.ts';
import type { GmailApi } from './api.ts';
import { findLabel } from './labels.ts';

const TOPIC = /^projects\/[a-z][a-z0-9-]{4,28}[a-z0-9]\/topics\/[A-Za-z][\w.~+%-]{2,254}$/;

/** The watch of a mailbox, for who keeps it: an account has one, which tells about all its labels. */
export function gmailWatch(openApi: () => GmailApi): Subscriptions {
  const run = async <T>(ask: (api: GmailApi) => Promise<T>): Promise<T> => {
    const api = openApi();
    try {
      return await ask(api);
    } finally {
      api.close();
    }
  };
  return {
    make: ({ address, folders }, signal) => run((api) => makeWatch(api, address, folders, signal)),
    renew: (_id, { address, folders }, signal) => run((api) => makeWatch(api, address, folders, signal)),
    // An account has one watch, and making it again is renewing it.
    removeStrays: async () => undefined,
    remove: (_id, signal) => run((api) => api.stopWatch(signal)),
  };
}

/**
 * Makes a watch or renews it, which is the same call. The topic must let `gmail-api-push@system.gserviceaccount.com`
 * publish. Fails with `validation_failed` for what is no name of a topic, with `folder_missing` for a label.
 */
export async function makeWatch(
  api: GmailApi,
  topic: string,
  folders: readonly string[],
  signal: AbortSignal,
): Promise<Subscription> {
  if (!TOPIC.test(topic)) {
    throw fail('validation_failed', 'The topic must look like projects/<project>/topics/<topic>', { topic });
  }
  const labels = await api.labels(signal);
  const labelIds = folders.map((path) => {
    const label = findLabel(labels, path);
    if (label === null) throw fail('folder_missing', `The mailbox has no label ${path}`, { folder: path });
    return label.id;
  });
  const request = { topicName: topic, labelIds, labelFilterBehavior: 'INCLUDE' };
  const { address } = await api.profile(signal);
  const { expiration, historyId } = await api.watch(request, signal);
  const expiresAt = Number(expiration);
  if (!Number.isFinite(expiresAt) || expiresAt <= 0) throw fail('server_protocol', 'The watch has no end');
  return {
    // A watch has no id: an account has one.
    id: address,
    resource: address,
    expiresAt: new Date(expiresAt),
    secretSha256: null,
    historyId: typeof historyId === 'string' ? historyId : null,
  };
}
