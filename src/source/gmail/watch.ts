/**
 * Asks Gmail to tell a Pub/Sub topic when a mailbox changes (developers.google.com/workspace/gmail/api/guides/push). A
 * notification is only a hint: some are dropped, so listing by interval goes on.
 */
import { fail } from '../../errors.ts';
import type { GmailApi } from './api.ts';
import { findLabel } from './labels.ts';

const DAY_MS = 24 * 3_600_000;
const TOPIC = /^projects\/[a-z][a-z0-9-]{4,28}[a-z0-9]\/topics\/[A-Za-z][\w.~+%-]{2,254}$/;

/** A watch as it was made. Times in milliseconds. */
export interface Watch {
  madeAt: number;
  expiresAt: number;
}

/**
 * Makes a watch or renews it, which is the same call. The topic must let `gmail-api-push@system.gserviceaccount.com`
 * publish. Fails with `validation_failed` for what is no name of a topic, with `folder_missing` for a label.
 */
export async function makeWatch(
  api: GmailApi,
  topic: string,
  now: number,
  signal: AbortSignal,
): Promise<Watch> {
  if (!TOPIC.test(topic)) {
    throw fail('validation_failed', 'The topic must look like projects/<project>/topics/<topic>', { topic });
  }
  const labels = await api.labels(signal);
  const labelIds = api.settings.folders.map((path) => {
    const label = findLabel(labels, path);
    if (label === null) throw fail('folder_missing', `The mailbox has no label ${path}`, { folder: path });
    return label.id;
  });
  const request = { topicName: topic, labelIds, labelFilterBehavior: 'INCLUDE' };
  const { expiration } = await api.watch(request, signal);
  const expiresAt = Number(expiration);
  if (!Number.isFinite(expiresAt) || expiresAt <= 0) throw fail('server_protocol', 'The watch has no end');
  return { madeAt: now, expiresAt };
}

/** Whether a watch is to be renewed: every day, as Google advises, or at half of a life that is shorter. Pure. */
export function watchIsDue(watch: Watch | null, now: number): boolean {
  if (watch === null) return true;
  return now >= watch.madeAt + Math.min(DAY_MS, (watch.expiresAt - watch.madeAt) / 2);
}
