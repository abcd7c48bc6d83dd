import type { Tx } from '../store/database.ts';
import { requeueEmails } from '../store/emails.ts';
import { appendTraces } from '../store/ledger.ts';
import type { QueuedEmail } from './services.ts';

/**
 * Gives records new attempts, and notes in their traces who asked. Records that are processed, or in a worker's
 * hands at the moment, are left alone. Returns those that must be enqueued after the commit.
 */
export async function requeue(tx: Tx, ids: number[], actor: string): Promise<QueuedEmail[]> {
  const rows = await requeueEmails(tx, ids);
  await appendTraces(
    tx,
    rows.map(({ ledgerId }) => ({ ledgerId, events: [{ event: 'released' as const, by: actor }] })),
  );
  return rows;
}
