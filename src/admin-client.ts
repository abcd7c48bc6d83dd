/** The first start makes one client that may do everything, and leaves its credentials in a private file. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Runtime } from './runtime.ts';
import { writeAudit } from './store/audit-log.ts';
import { createClient, listClients } from './store/clients.ts';

export interface AdminClient {
  clientId: string;
  clientSecret: string;
  /** Where they are written, mode 0600. */
  file: string;
}

/** Null when there are clients already. */
export async function ensureAdminClient(runtime: Runtime): Promise<AdminClient | null> {
  const { db, dataDirectory } = runtime;
  if ((await listClients(db)).length > 0) return null;
  const file = join(dataDirectory, 'admin-client.json');
  return await db.transaction().execute(async (tx) => {
    const client = await createClient(tx, 'admin', ['all']);
    await writeAudit(tx, { actor: 'system', action: 'create', entity: 'client', entityId: client.clientId });
    const text = JSON.stringify({ client_id: client.clientId, client_secret: client.clientSecret }, null, 2);
    // Before the commit: a client whose secret nobody has would lock everybody out.
    await writeFile(file, `${text}\n`, { mode: 0o600 });
    return { ...client, file };
  });
}
