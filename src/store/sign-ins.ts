/**
 * Links with which a person signs in for a credential, and what the answer to each opening of one must fit. Only digests
 * of what people and browsers hold are kept.
 */
import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';

export interface SignInLink {
  credentialId: number;
  mailboxId: number;
  /** Who made it. */
  actor: string;
}

/** Makes a link that lasts so long. Links that ended are forgotten. Returns when it ends. */
export async function addLink(
  db: Database,
  link: { sha256: Buffer; credentialId: number; actor: string },
  seconds: number,
): Promise<Date> {
  await sql`delete from sign_in where expires_at < now() - interval '1 hour'`.execute(db);
  const { rows } = await sql<{ at: Date }>`
    insert into sign_in (link_sha256, credential_id, actor, expires_at)
    values (${link.sha256}, ${link.credentialId}, ${link.actor}, now() + make_interval(secs => ${seconds}))
    returning expires_at as at`.execute(db);
  return rows[0]!.at;
}

/** How a link stands: `open` until somebody has signed in with it or its time is over. */
export async function linkState(db: Database, sha256: Buffer): Promise<'open' | 'done' | 'over'> {
  const { rows } = await sql<{ state: 'open' | 'done' | 'over' }>`
    select case when done_at is not null then 'done' when expires_at > now() then 'open' else 'over' end as state
    from sign_in where link_sha256 = ${sha256}`.execute(db);
  return rows[0]?.state ?? 'over';
}

/** A link that is open; null when there is none, or no more. */
export async function findLink(db: Database, sha256: Buffer): Promise<SignInLink | null> {
  const { rows } = await sql<SignInLink>`
    select credential_id as "credentialId", mailbox_id as "mailboxId", actor
    from sign_in join mailbox_credential as login on login.id = credential_id
    where link_sha256 = ${sha256} and sign_in.expires_at > now() and done_at is null`.execute(db);
  return rows[0] ?? null;
}

/**
 * Notes that a browser begins. Returns false when the link was opened too often: each opening is a chance to guess, and a
 * row.
 */
export async function addAttempt(
  db: Database,
  attempt: { stateSha256: Buffer; linkSha256: Buffer; challenge: string; redirectUri: string },
  seconds: number,
  most: number,
): Promise<boolean> {
  const { stateSha256, linkSha256, challenge, redirectUri } = attempt;
  const { rows } = await sql`
    insert into sign_in_attempt (state_sha256, link_sha256, challenge, redirect_uri, expires_at)
    select ${stateSha256}, ${linkSha256}, ${challenge}, ${redirectUri}, now() + make_interval(secs => ${seconds})
    where (select count(*) from sign_in_attempt where link_sha256 = ${linkSha256}) < ${most}
    returning 1`.execute(db);
  return rows.length > 0;
}

/**
 * Takes the attempt that an answer of a provider belongs to: once. `other_browser` leaves it, for the one that began.
 */
export async function takeAttempt(
  db: Database,
  stateSha256: Buffer,
  challenge: string,
): Promise<(SignInLink & { linkSha256: Buffer; redirectUri: string }) | 'over' | 'other_browser'> {
  const { rows } = await sql<SignInLink & { linkSha256: Buffer; redirectUri: string }>`
    with taken as (
      delete from sign_in_attempt where state_sha256 = ${stateSha256} and challenge = ${challenge}
      returning link_sha256, redirect_uri, expires_at)
    select link_sha256 as "linkSha256", redirect_uri as "redirectUri", credential_id as "credentialId",
      mailbox_id as "mailboxId", actor
    from taken join sign_in using (link_sha256) join mailbox_credential as login on login.id = credential_id
    where taken.expires_at > now() and done_at is null`.execute(db);
  if (rows[0] !== undefined) return rows[0];
  const left = await sql`
    select 1 from sign_in_attempt where state_sha256 = ${stateSha256} and expires_at > now()`.execute(db);
  return left.rows.length > 0 ? 'other_browser' : 'over';
}

/** Ends a link: somebody has signed in. False when somebody else has meanwhile. */
export async function endLink(tx: Tx, sha256: Buffer): Promise<boolean> {
  const { rows } = await sql`
    update sign_in set done_at = now() where link_sha256 = ${sha256} and done_at is null returning 1`.execute(
    tx,
  );
  await sql`delete from sign_in_attempt where link_sha256 = ${sha256}`.execute(tx);
  return rows.length > 0;
}
