import type { Database, Tx } from './database.ts';

/** SQLSTATE deadlock_detected. */
const DEADLOCK = '40P01';
const ATTEMPTS = 5;

/**
 * Makes a change in a transaction, and makes it again when PostgreSQL gave it up because it and another one waited for each
 * other: items that came in two orders do that. `work` may run several times, and begins anew with whatever it gathers
 * outside.
 */
export async function transact<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction().execute(work);
    } catch (error) {
      if (attempt === ATTEMPTS || (error as { code?: unknown }).code !== DEADLOCK) throw error;
    }
  }
}
