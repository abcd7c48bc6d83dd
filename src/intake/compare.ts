/** Server against ledger: which messages of the open folder have no row. The heart of the audit. */
import type { Session } from '../source/source.ts';
import type { Database } from '../store/database.ts';
import { knownKeys } from '../store/ledger.ts';

export interface Comparison {
  listed: number;
  /** Keys on the server that the ledger does not know. */
  missing: string[];
}

export async function compareFolder(
  db: Database,
  session: Session,
  folderId: number,
  epoch: string,
): Promise<Comparison> {
  let listed = 0;
  const missing: string[] = [];
  for await (const keys of session.keys()) {
    listed += keys.length;
    const known = await knownKeys(db, folderId, epoch, keys);
    missing.push(...keys.filter((key) => !known.has(key)));
  }
  return { listed, missing };
}
