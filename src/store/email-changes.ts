/** What people change about records of incoming mail. */
import { sql } from 'kysely';
import type { Tx } from './database.ts';

/** Hides records; what is known about their messages stays in the ledger. A worker that holds one lets it go. */
export async function deleteEmails(tx: Tx, ids: number[]): Promise<void> {
  await sql`
    update incoming_email set deleted_at = now(), claim_token = null, claimed_until = null
    where id = any(${ids}::bigint[]) and deleted_at is null`.execute(tx);
}

/** Notes for processing which ticket a message belongs to, whatever threading would say. */
export async function assignEmail(
  tx: Tx,
  id: number,
  change: { ticketId?: number | null; agentId?: number | null },
): Promise<void> {
  await tx
    .updateTable('incoming_email')
    .set({
      ...(change.ticketId === undefined ? {} : { add_to_ticket_id: change.ticketId }),
      ...(change.agentId === undefined ? {} : { agent_id: change.agentId }),
    })
    .where('id', '=', id)
    .execute();
}
