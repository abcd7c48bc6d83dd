/** Reads the trace of a message. */
import type { TraceRow } from '../observe/trace.ts';
import type { Database } from './database.ts';

/** What happened to a message, oldest first. Events of one commit have the same time. */
export async function readTrace(db: Database, ledgerId: number): Promise<TraceRow[]> {
  const rows = await db
    .selectFrom('trace')
    .select(['at', 'events'])
    .where('ledger_id', '=', ledgerId)
    .orderBy('id')
    .execute();
  return rows.flatMap(({ at, events }) =>
    events.map((event) => ({ at: at.toISOString(), ...event }) as TraceRow),
  );
}
