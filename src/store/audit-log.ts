/** Who changed what. Written in the transaction of the change; never holds a secret. */
import type { Database, Tx } from './database.ts';

export interface AuditEntry {
  /** `client:<client_id>`, `cli`, or `system`. */
  actor: string;
  action: string;
  entity: string;
  entityId: string | number;
  change?: object;
}

export async function writeAudit(tx: Database | Tx, entry: AuditEntry): Promise<void> {
  await tx
    .insertInto('audit_log')
    .values({
      actor: entry.actor,
      action: entry.action,
      entity: entry.entity,
      entity_id: String(entry.entityId),
      change: JSON.stringify(entry.change ?? {}),
    })
    .execute();
}
