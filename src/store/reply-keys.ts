/** The secret key of reply tokens: made at first use, the same for all processes of an installation. */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from './database.ts';
import type { Keyring } from './keyring.ts';
import { readSecret, writeSecret } from './secrets.ts';

const OWNER = 'instance';
const NAME = 'reply_token_key';
/** Two processes that start at once must not make two keys. */
const LOCK = 728_341_906;

/** The keys, the current one first. */
export async function replyKeys(db: Database, keys: Keyring): Promise<Uint8Array[]> {
  const encoded =
    (await readSecret(db, keys, OWNER, NAME)) ??
    (await db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx);
      const known = await readSecret(tx, keys, OWNER, NAME);
      if (known !== null) return known;
      const made = randomBytes(32).toString('base64');
      await writeSecret(tx, keys, OWNER, NAME, made);
      return made;
    }));
  return [Buffer.from(encoded, 'base64')];
}
