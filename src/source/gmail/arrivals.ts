/** Which messages came into a folder, by records of history. Pure. */
import type { gmail_v1 } from 'googleapis/build/src/apis/gmail/index.js';
import { isMailOf } from './labels.ts';

type HistoryRecord = gmail_v1.Schema$History;

/** A message that leaves these comes back to its folder. */
const HIDING = ['SPAM', 'TRASH', 'DRAFT'];

/**
 * Ids of messages that came into `folder` up to `until` (null = to the end): delivered, moved in, or taken back from
 * spam or trash. A message can be in several records; each id is given once.
 */
export function arrivals(
  records: readonly HistoryRecord[],
  folder: string,
  until: string | null,
): Set<string> {
  const ids = new Set<string>();
  for (const record of records) {
    if (until !== null && record.id && BigInt(record.id) > BigInt(until)) continue;
    for (const { message } of record.messagesAdded ?? []) note(ids, message, folder);
    for (const { message, labelIds } of record.labelsAdded ?? []) {
      if (labelIds?.includes(folder)) note(ids, message, folder);
    }
    for (const { message, labelIds } of record.labelsRemoved ?? []) {
      if (labelIds?.some((label) => HIDING.includes(label))) note(ids, message, folder);
    }
  }
  return ids;
}

/** Records may come without labels; the API was asked for those of this folder only. */
function note(ids: Set<string>, message: gmail_v1.Schema$Message | undefined, folder: string): void {
  if (!message?.id) return;
  if (!message.labelIds || isMailOf(folder, message.labelIds)) ids.add(message.id);
}
