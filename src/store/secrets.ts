/** Secrets at rest: passwords and tokens of mailboxes, and the key that signs API tokens. */
import type { Database, Tx } from './database.ts';
import type { Keyring } from './keyring.ts';

const context = (owner: string, name: string): string => `${owner}/${name}`;

export async function writeSecret(
  db: Database | Tx,
  keys: Keyring,
  owner: string,
  name: string,
  plain: string,
): Promise<void> {
  await keys.refresh();
  for (;;) {
    const sealed = keys.seal(plain, context(owner, name));
    const row = {
      key_id: sealed.keyId,
      nonce: sealed.nonce,
      ciphertext: sealed.ciphertext,
      updated_at: new Date(),
    };
    await db
      .insertInto('secret')
      .values({ owner, name, ...row })
      .onConflict((conflict) => conflict.columns(['owner', 'name']).doUpdateSet(row))
      .execute();
    // The key may have been changed meanwhile, and its old one be about to go.
    await keys.refresh();
    if (keys.current === sealed.keyId) return;
  }
}

/** Null when there is no such secret. Fails with `key_missing` when it cannot be read. */
export async function readSecret(
  db: Database | Tx,
  keys: Keyring,
  owner: string,
  name: string,
): Promise<string | null> {
  const row = await db
    .selectFrom('secret')
    .selectAll()
    .where('owner', '=', owner)
    .where('name', '=', name)
    .executeTakeFirst();
  if (row === undefined) return null;
  await keys.refresh();
  return keys.open({ keyId: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext }, context(owner, name));
}

export async function deleteSecret(db: Database | Tx, owner: string, name: string): Promise<void> {
  await db.deleteFrom('secret').where('owner', '=', owner).where('name', '=', name).execute();
}

export async function countSecrets(db: Database): Promise<number> {
  const row = await db
    .selectFrom('secret')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Seals every secret with the ring's current key, in one transaction. Returns how many changed. */
export async function resealSecrets(db: Database, keys: Keyring): Promise<number> {
  return await db.transaction().execute(async (tx) => {
    const rows = await tx
      .selectFrom('secret')
      .selectAll()
      .where('key_id', '<>', keys.current)
      .forUpdate()
      .execute();
    for (const row of rows) {
      const plain = keys.open(
        { keyId: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext },
        context(row.owner, row.name),
      );
      await writeSecret(tx, keys, row.owner, row.name, plain);
    }
    return rows.length;
  });
}
