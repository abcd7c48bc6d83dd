/** One owner per mailbox, by the database's clock. `token` fences: it grows whenever the owner changes. */
import { sql } from 'kysely';
import { fail } from '../errors.ts';
import { bigints, ints } from './columns.ts';
import type { Database, Tx } from './database.ts';

/** Takes a mailbox that nobody holds. Returns the fencing token, or null when somebody else holds it. */
export async function acquireLease(
  db: Database,
  mailboxId: number,
  owner: string,
  seconds: number,
): Promise<number | null> {
  const { rows } = await sql<{ token: number }>`
    insert into lease (mailbox_id, owner, token, expires_at)
    values (${mailboxId}, ${owner}, 1, now() + make_interval(secs => ${seconds}))
    on conflict (mailbox_id) do update
      set owner = excluded.owner, token = lease.token + 1, expires_at = excluded.expires_at
      where lease.expires_at <= now()
    returning token`.execute(db);
  return rows[0]?.token ?? null;
}

/** Prolongs held leases. Returns the mailboxes that are still ours. */
export async function renewLeases(
  db: Database,
  owner: string,
  held: Map<number, number>,
  seconds: number,
): Promise<Set<number>> {
  const { rows } = await sql<{ mailbox_id: number }>`
    update lease set expires_at = now() + make_interval(secs => ${seconds})
    from unnest(${ints([...held.keys()])}, ${bigints([...held.values()])}) as mine (mailbox_id, token)
    where lease.mailbox_id = mine.mailbox_id and lease.token = mine.token and lease.owner = ${owner}
      and lease.expires_at > now()
    returning lease.mailbox_id`.execute(db);
  return new Set(rows.map((row) => row.mailbox_id));
}

/** Gives a mailbox back, so that another process can take it at once. An empty owner says it ended in order. */
export async function releaseLease(db: Database, mailboxId: number, token: number): Promise<void> {
  await sql`
    update lease set expires_at = now(), owner = '' where mailbox_id = ${mailboxId} and token = ${token}`.execute(
    db,
  );
}

/** Takes a mailbox from whoever holds it: what they still write is refused. Waits for what they are just committing. */
export async function revokeLease(tx: Tx, mailboxId: number): Promise<void> {
  await sql`
    update lease set token = token + 1, expires_at = now(), owner = '' where mailbox_id = ${mailboxId}`.execute(
    tx,
  );
}

/** False when the last owner of a mailbox died with it: something it did may have been the reason. */
export async function leaseEndedCleanly(db: Database, mailboxId: number): Promise<boolean> {
  const row = await db
    .selectFrom('lease')
    .select('owner')
    .where('mailbox_id', '=', mailboxId)
    .executeTakeFirst();
  return row === undefined || row.owner === '';
}

/** Fails with `lease_lost` unless the token is the current one. Holds the lease row until the commit. */
export async function requireLease(tx: Tx, mailboxId: number, token: number): Promise<void> {
  const { rows } = await sql`
    select 1 from lease where mailbox_id = ${mailboxId} and token = ${token} and expires_at > now() for share`.execute(
    tx,
  );
  if (rows.length === 0) {
    throw fail('lease_lost', `Mailbox ${mailboxId} is no longer ours.`, { mailbox: mailboxId, token });
  }
}
