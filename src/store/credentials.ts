/**
 * The credentials of mailboxes, in the order in which they are tried. Each has a name, under which its secrets and its
 * tokens are kept; that of a mailbox's first one is the mailbox's own.
 */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { ErrorCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import type { Database, Tx } from './database.ts';
import type { CredentialSettings } from './mailbox-settings.ts';
import { notify } from './notify.ts';
import { credentialId, forgetTokens } from './oauth-tokens.ts';

export interface MailboxCredential {
  id: number;
  guid: string;
  mailboxId: number;
  /** Lower ones are tried first; of equal ones the older. */
  sequence: number;
  name: string;
  settings: CredentialSettings;
  halo: Record<string, unknown>;
  createdAt: Date;
  /** Since when it is the one in use; null when another is. */
  usedSince: Date | null;
  /** Why the mail server let nobody in with it, the last time it was tried. */
  refused: { code: ErrorCode; message: string; at: Date } | null;
}

function select(db: Database | Tx) {
  return db
    .selectFrom('mailbox_credential')
    .select([
      'id',
      'guid',
      'mailbox_id as mailboxId',
      'sequence',
      'name',
      'settings',
      'halo',
      'created_at as createdAt',
      'used_since as usedSince',
      'refused_code',
      'refused_message',
      'refused_at',
    ])
    .orderBy('mailbox_id')
    .orderBy('sequence')
    .orderBy('id');
}

type Row = Awaited<ReturnType<ReturnType<typeof select>['execute']>>[number];

function credentialOf({ refused_code: code, refused_message, refused_at, ...row }: Row): MailboxCredential {
  const refused = code === null ? null : { code, message: refused_message ?? '', at: refused_at! };
  return { ...row, refused };
}

/** Those of these mailboxes, or of all, each mailbox's in the order in which they are tried. */
export async function listCredentials(
  db: Database | Tx,
  mailboxIds: readonly number[] | 'all',
): Promise<MailboxCredential[]> {
  if (mailboxIds === 'all') return (await select(db).execute()).map(credentialOf);
  if (mailboxIds.length === 0) return [];
  const rows = await select(db)
    .where('mailbox_id', '=', sql<number>`any(${[...mailboxIds]}::int[])`)
    .execute();
  return rows.map(credentialOf);
}

export async function findCredential(db: Database | Tx, id: number): Promise<MailboxCredential | null> {
  const row = await select(db).where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : credentialOf(row);
}

/** The first one of a mailbox, whose settings the mailbox shows as its own; null when the mailbox was removed. */
export async function firstCredential(
  db: Database | Tx,
  mailboxId: number,
): Promise<MailboxCredential | null> {
  const row = await select(db).where('mailbox_id', '=', mailboxId).limit(1).executeTakeFirst();
  return row === undefined ? null : credentialOf(row);
}

/**
 * Where the secrets of a mailbox are: those that it logs in with under the name of its first credential, others under its
 * own. A mailbox that is not there has none.
 */
export async function secretPlaces(
  db: Database | Tx,
  mailboxIds: readonly number[],
): Promise<Map<number, (secret: string) => string>> {
  const firsts = new Map<number, string>();
  for (const { mailboxId, name } of await listCredentials(db, mailboxIds)) {
    if (!firsts.has(mailboxId)) firsts.set(mailboxId, name);
  }
  const isLogin = (secret: string): boolean => (LOGIN_SECRETS as readonly string[]).includes(secret);
  return new Map(
    [...firsts].map(([id, name]) => [id, (secret) => (isLogin(secret) ? name : credentialId(id))]),
  );
}

/** Adds the first credential of a mailbox that was just made. */
export async function createFirstCredential(
  tx: Tx,
  mailboxId: number,
  settings: CredentialSettings,
): Promise<void> {
  const name = credentialId(mailboxId);
  await tx
    .insertInto('mailbox_credential')
    .values({ mailbox_id: mailboxId, sequence: 0, name, settings: JSON.stringify(settings) })
    .execute();
}

/** Adds a further credential, after the others when no sequence is given. The mailbox's poller starts anew. */
export async function createCredential(
  tx: Tx,
  made: Pick<MailboxCredential, 'mailboxId' | 'settings' | 'halo'> & { sequence: number | null },
): Promise<MailboxCredential> {
  const { mailboxId } = made;
  const last = sql<number>`(select coalesce(max(sequence) + 1, 0) from mailbox_credential where mailbox_id = ${mailboxId})`;
  const { id } = await tx
    .insertInto('mailbox_credential')
    .values({
      mailbox_id: mailboxId,
      sequence: made.sequence ?? last,
      name: `${credentialId(mailboxId)}/${randomUUID()}`,
      settings: JSON.stringify(made.settings),
      halo: JSON.stringify(made.halo),
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  await touchMailbox(tx, mailboxId);
  return (await findCredential(tx, id))!;
}

/**
 * Saves settings, order and Halo's fields. What the mail server said of it before counts no more, and the mailbox's
 * poller starts anew: also when nothing but a secret changed.
 */
export async function saveCredential(tx: Tx, credential: MailboxCredential): Promise<MailboxCredential> {
  await tx
    .updateTable('mailbox_credential')
    .set({
      sequence: credential.sequence,
      settings: JSON.stringify(credential.settings),
      halo: JSON.stringify(credential.halo),
      ...NOT_REFUSED,
    })
    .where('id', '=', credential.id)
    .execute();
  await touchMailbox(tx, credential.mailboxId);
  return (await findCredential(tx, credential.id))!;
}

/** Saves how the first credential of a mailbox logs in, as {@link saveCredential} does. The caller has the poller start anew. */
export async function saveFirstLogin(tx: Tx, mailboxId: number, settings: CredentialSettings): Promise<void> {
  const first = await firstCredential(tx, mailboxId);
  if (first === null) return await createFirstCredential(tx, mailboxId, settings);
  await tx
    .updateTable('mailbox_credential')
    .set({ settings: JSON.stringify(settings), ...NOT_REFUSED })
    .where('id', '=', first.id)
    .execute();
}

const NOT_REFUSED = { refused_code: null, refused_message: null, refused_at: null };

/** Deletes a credential with its secrets and tokens. Its mailbox must have another one. */
export async function deleteCredential(tx: Tx, credential: MailboxCredential): Promise<void> {
  await tx.deleteFrom('mailbox_credential').where('id', '=', credential.id).execute();
  await forgetTokens(tx, credential.name);
  // Those of the mailbox itself, such as that for sending, are under the same name as those of the one it was made with.
  const which =
    credential.name === credentialId(credential.mailboxId)
      ? sql`name = any(${[...LOGIN_SECRETS]}::text[])`
      : sql`true`;
  await sql`delete from secret where owner = ${credential.name} and ${which}`.execute(tx);
  await touchMailbox(tx, credential.mailboxId);
}

/** Names of what a credential logs in with, in the secret store. */
export const LOGIN_SECRETS = ['password', 'token', 'client_secret', 'refresh_token', 'private_key'] as const;

/** Forgets all credentials of a mailbox that is removed, with all its secrets. */
export async function forgetCredentials(tx: Tx, mailboxId: number): Promise<void> {
  for (const { name } of await listCredentials(tx, [mailboxId])) await forgetTokens(tx, name);
  await tx.deleteFrom('mailbox_credential').where('mailbox_id', '=', mailboxId).execute();
  const own = credentialId(mailboxId);
  await sql`delete from secret where owner = ${own} or starts_with(owner, ${`${own}/`})`.execute(tx);
}

/** The mailbox is another one now: its poller starts anew. */
async function touchMailbox(tx: Tx, mailboxId: number): Promise<void> {
  await sql`update mailbox set change_seq = change_seq + 1 where id = ${mailboxId}`.execute(tx);
  await notify(tx, 'mailboxes');
}

/** Notes which credential of its mailbox is in use now. Writes nothing when that is known. */
export async function noteUsed(db: Database, mailboxId: number, name: string): Promise<void> {
  await sql`
    update mailbox_credential set used_since = case when name = ${name} then now() end
    where mailbox_id = ${mailboxId} and (used_since is not null) <> (name = ${name})`.execute(db);
}

/** Notes that the mail server let nobody in with a credential; null: that it does again. */
export async function noteRefused(
  db: Database,
  name: string,
  error: { code: ErrorCode; message: string } | null,
): Promise<void> {
  const message = error && toStorableText(error.message, LIMITS.reasonChars);
  await sql`
    update mailbox_credential set refused_code = ${error?.code ?? null}, refused_message = ${message},
      refused_at = case when ${error !== null} then now() end
    where name = ${name} and (${error !== null} or refused_code is not null)`.execute(db);
}
