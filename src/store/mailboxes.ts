/** Mailboxes: settings, which change seldom, and state, which the poller writes all the time. */
import { type RawBuilder, sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import type { SourceKind } from '../source/source.ts';
import { createFirstCredential, forgetCredentials, saveFirstLogin } from './credentials.ts';
import type { Database, Tx } from './database.ts';
import { leaveAccount } from './folders.ts';
import { revokeLease } from './leases.ts';
import {
  type CredentialSettings,
  joinSettings,
  type MailboxRowSettings,
  type MailboxSettings,
  splitSettings,
} from './mailbox-settings.ts';
import { notify } from './notify.ts';
import type { MailboxPhase } from './states.ts';

export interface Mailbox {
  id: number;
  guid: string;
  name: string;
  kind: SourceKind;
  enabled: boolean;
  settings: MailboxSettings;
  halo: Record<string, unknown>;
  changeSeq: number;
  createdAt: Date;
}

export interface MailboxState {
  phase: MailboxPhase;
  phaseSince: Date;
  lastListedAt: Date | null;
  lastErrorCode: string | null;
  lastError: string | null;
  lastErrorAt: Date | null;
  consecutiveErrors: number;
  nextAttemptAt: Date | null;
  syncDone: number;
  syncTotal: number;
  syncStartedAt: Date | null;
}

const NO_STATE: MailboxState = {
  phase: 'idle',
  phaseSince: new Date(0),
  lastListedAt: null,
  lastErrorCode: null,
  lastError: null,
  lastErrorAt: null,
  consecutiveErrors: 0,
  nextAttemptAt: null,
  syncDone: 0,
  syncTotal: 0,
  syncStartedAt: null,
};

type Row = Omit<Mailbox, 'settings'> & { row: MailboxRowSettings; login: CredentialSettings | null };

/** With the login of the first credential; a mailbox that was removed has none any more. */
async function select(db: Database | Tx, which: RawBuilder<unknown>): Promise<Mailbox[]> {
  const { rows } = await sql<Row>`
    select mailbox.id, guid, name, kind, enabled, mailbox.settings as row, halo, change_seq as "changeSeq",
      created_at as "createdAt", login
    from mailbox left join lateral (
      select settings as login from mailbox_credential where mailbox_id = mailbox.id order by sequence, id limit 1
    ) as first on true where ${which} order by mailbox.id`.execute(db);
  return rows.map(({ row, login, ...mailbox }) => ({
    ...mailbox,
    settings: joinSettings(row, login ?? { auth: 'password', oauth: null }),
  }));
}

/** All mailboxes. With `removed`, also those that were removed: their mail may still wait for processing. */
export async function listMailboxes(db: Database | Tx, options = { removed: false }): Promise<Mailbox[]> {
  return await select(db, options.removed ? sql`true` : sql`deleted_at is null`);
}

export async function findMailbox(db: Database | Tx, id: number): Promise<Mailbox | null> {
  return (await select(db, sql`deleted_at is null and mailbox.id = ${id}`))[0] ?? null;
}

/** Those of these mailboxes that were not removed. */
export async function livingMailboxes(db: Database, ids: readonly number[]): Promise<Set<number>> {
  const { rows } = await sql<{ id: number }>`
    select id from mailbox where id = any(${[...ids]}::int[]) and deleted_at is null`.execute(db);
  return new Set(rows.map(({ id }) => id));
}

export async function createMailbox(
  tx: Tx,
  mailbox: Pick<Mailbox, 'name' | 'kind' | 'enabled' | 'settings' | 'halo'>,
): Promise<Mailbox> {
  const { row: settings, login } = splitSettings(mailbox.settings);
  const row = await tx
    .insertInto('mailbox')
    .values({
      name: mailbox.name,
      kind: mailbox.kind,
      enabled: mailbox.enabled,
      settings: JSON.stringify(settings),
      halo: JSON.stringify(mailbox.halo),
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  await createFirstCredential(tx, row.id, login);
  await tx.insertInto('mailbox_state').values({ mailbox_id: row.id }).execute();
  await notify(tx, 'mailboxes');
  return (await findMailbox(tx, row.id))!;
}

/** Replaces the settings of a mailbox, and the login of its first credential. Its poller starts anew with them. */
export async function updateMailbox(tx: Tx, mailbox: Mailbox): Promise<Mailbox> {
  const { row, login } = splitSettings(mailbox.settings);
  const before = await findMailbox(tx, mailbox.id);
  if (before !== null && accountOf(before) !== accountOf(mailbox)) {
    // Whoever reads the old account must not write what it finds there under the new one.
    await revokeLease(tx, mailbox.id);
    await leaveAccount(tx, mailbox.id, accountOf(before));
  }
  await saveFirstLogin(tx, mailbox.id, login);
  await tx
    .updateTable('mailbox')
    .set({
      name: mailbox.name,
      kind: mailbox.kind,
      enabled: mailbox.enabled,
      settings: JSON.stringify(row),
      halo: JSON.stringify(mailbox.halo),
      change_seq: sql<number>`change_seq + 1`,
    })
    .where('id', '=', mailbox.id)
    .execute();
  await notify(tx, 'mailboxes');
  return (await findMailbox(tx, mailbox.id))!;
}

/** Whose mail it is, as far as settings tell. A port is only another way to the same server. */
function accountOf({ kind, settings: { server } }: Pick<Mailbox, 'kind' | 'settings'>): string {
  return `${server.user} at ${server.host.toLowerCase()} (${kind})`;
}

/** Hides a mailbox for good. Ledger and records stay: they prove what was taken. */
export async function deleteMailbox(tx: Tx, id: number): Promise<void> {
  await sql`update mailbox set deleted_at = now(), enabled = false where id = ${id}`.execute(tx);
  await forgetCredentials(tx, id);
  await notify(tx, 'mailboxes');
}

export async function mailboxStates(db: Database): Promise<Map<number, MailboxState>> {
  const rows = await db
    .selectFrom('mailbox_state')
    .select([
      'mailbox_id as id',
      'phase',
      'phase_since as phaseSince',
      'last_listed_at as lastListedAt',
      'last_error_code as lastErrorCode',
      'last_error as lastError',
      'last_error_at as lastErrorAt',
      'consecutive_errors as consecutiveErrors',
      'next_attempt_at as nextAttemptAt',
      'sync_done as syncDone',
      'sync_total as syncTotal',
      'sync_started_at as syncStartedAt',
    ])
    .execute();
  return new Map(rows.map(({ id, ...state }) => [id, state]));
}

export function stateOf(states: Map<number, MailboxState>, id: number): MailboxState {
  return states.get(id) ?? NO_STATE;
}

/** How many records of a mailbox still wait for processing. */
export async function queuedMail(db: Database | Tx, mailboxId: number): Promise<number> {
  const row = await db
    .selectFrom('incoming_email')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('mailbox_id', '=', mailboxId)
    .where('state', 'in', ['queued', 'retrying', 'waiting'])
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

export async function savePhase(
  db: Database,
  id: number,
  phase: MailboxPhase,
  nextAttemptInMs: number | null = null,
): Promise<void> {
  await sql`
    update mailbox_state set phase = ${phase},
      phase_since = case when phase = ${phase} then phase_since else now() end,
      next_attempt_at = now() + make_interval(secs => ${nextAttemptInMs === null ? null : nextAttemptInMs / 1000})
    where mailbox_id = ${id}`.execute(db);
}

/** A listing that covered every folder has ended: the proof of health. */
export async function saveListed(db: Database, id: number): Promise<void> {
  await sql`
    update mailbox_state set last_listed_at = now(), consecutive_errors = 0, last_error = null,
      last_error_code = null, missing_folders = '{}', sync_done = sync_total
    where mailbox_id = ${id}`.execute(db);
}

/** Folders that were not on the server at the pass that has just ended. A complete listing clears them. */
export async function saveMissingFolders(db: Database, id: number, folders: string[]): Promise<void> {
  await sql`update mailbox_state set missing_folders = ${folders}::text[] where mailbox_id = ${id}`.execute(
    db,
  );
}

export async function saveMailboxError(
  db: Database,
  id: number,
  code: string,
  message: string,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    update mailbox_state set last_error_code = ${code}, last_error = ${toStorableText(message, LIMITS.reasonChars)},
      last_error_at = now(), consecutive_errors = consecutive_errors + 1
    where mailbox_id = ${id} returning consecutive_errors as count`.execute(db);
  return rows[0]?.count ?? 1;
}

/** Notes how far a long sync is. A sync that begins anew is no progress yet: it may be the tenth that breaks. */
export async function saveProgress(db: Database, id: number, done: number, total: number): Promise<void> {
  await sql`
    update mailbox_state set sync_done = ${done}, sync_total = ${total},
      sync_progress_at = case when ${done} > 0 then now() else sync_progress_at end,
      sync_started_at = case when ${done} = 0 then now() else coalesce(sync_started_at, now()) end
    where mailbox_id = ${id}`.execute(db);
}
