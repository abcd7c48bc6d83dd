/** Questions of health checks and metrics: asked every few seconds, so each one is bounded and needs no scan. */
import { sql } from 'kysely';
import type { SourceKind } from '../source/source.ts';
import type { Database } from './database.ts';
import type { MailboxPhase } from './states.ts';

/** What the database knows about the progress of a mailbox. */
export interface WatchedMailbox {
  id: number;
  name: string;
  kind: SourceKind;
  enabled: boolean;
  pollSeconds: number;
  createdAt: Date;
  phase: MailboxPhase;
  lastListedAt: Date | null;
  lastErrorCode: string | null;
  consecutiveErrors: number;
  /** Not on the server at the last pass. */
  missingFolders: string[];
  /** Messages of the running sync: stored, and found on the server. */
  syncDone: number;
  syncTotal: number;
  syncProgressAt: Date | null;
}

/** All mailboxes, and the time by the database's clock, which wrote the times in them. */
export async function watchMailboxes(db: Database): Promise<{ now: Date; mailboxes: WatchedMailbox[] }> {
  const clock = await sql<{ now: Date }>`select now() as now`.execute(db);
  // Only the fields that are needed: whole settings of thousands of mailboxes would be megabytes.
  const { rows } = await sql<WatchedMailbox>`
    select mailbox.id, name, kind, enabled, (settings->>'pollSeconds')::int as "pollSeconds",
      created_at as "createdAt", coalesce(phase, 'idle') as phase, last_listed_at as "lastListedAt",
      last_error_code as "lastErrorCode", coalesce(consecutive_errors, 0) as "consecutiveErrors",
      coalesce(sync_done, 0) as "syncDone", coalesce(sync_total, 0) as "syncTotal",
      sync_progress_at as "syncProgressAt", coalesce(missing_folders, '{}') as "missingFolders"
    from mailbox left join mailbox_state on mailbox_id = mailbox.id
    where deleted_at is null order by mailbox.id`.execute(db);
  return { now: clock.rows[0]!.now, mailboxes: rows };
}

/** When what a mailbox gets its tokens with ends, as far as that is known: the first of its credentials to end. */
export async function credentialEnds(db: Database): Promise<{ mailboxId: number; at: Date }[]> {
  const { rows } = await sql<{ mailboxId: number; written: string | null; refresh: Date | null }>`
    select mailbox.id as "mailboxId", login.settings->'oauth'->>'secretExpires' as written,
      refresh_expires_at as refresh
    from mailbox join mailbox_credential as login on login.mailbox_id = mailbox.id
    left join oauth_token on credential = login.name
    where deleted_at is null and enabled and login.settings->>'auth' = 'oauth'`.execute(db);
  const ends = new Map<number, number>();
  for (const { mailboxId, written, refresh } of rows) {
    for (const end of [written === null ? null : Date.parse(written), refresh?.getTime() ?? null]) {
      if (end === null || Number.isNaN(end)) continue;
      ends.set(mailboxId, Math.min(end, ends.get(mailboxId) ?? Number.POSITIVE_INFINITY));
    }
  }
  return [...ends].map(([mailboxId, at]) => ({ mailboxId, at: new Date(at) }));
}

/** How many credentials of each mailbox came to nothing when they were last tried: no token, or not let in. */
export async function failingCredentials(db: Database): Promise<{ mailboxId: number; failing: number }[]> {
  const { rows } = await sql<{ mailboxId: number; failing: number }>`
    select mailbox.id as "mailboxId",
      count(*) filter (where coalesce(refused_code, failure_code) is not null)::int as failing
    from mailbox join mailbox_credential as login on login.mailbox_id = mailbox.id
    left join oauth_token on credential = login.name
    where deleted_at is null and enabled group by mailbox.id`.execute(db);
  return rows;
}

/** Where messages are held up, and why. */
export const HELD_UP = [
  'quarantined',
  'fetch_pending',
  'fetch_failed',
  'disposition_pending',
  'disposition_failed',
] as const;
export type HeldUp = (typeof HELD_UP)[number];

/** Messages that are held up, by mailbox and reason. Counts up to `cap` of each reason; more are not told apart. */
export async function countHeldUp(
  db: Database,
  cap: number,
): Promise<{ mailboxId: number; why: HeldUp; messages: number }[]> {
  const { rows } = await sql<{ mailboxId: number; why: HeldUp; messages: number }>`
    select mailbox_id as "mailboxId", why, count(*)::int as messages from (
      (select 'quarantined' as why, mailbox_id from incoming_email
        where state = 'quarantined' and deleted_at is null limit ${cap})
      union all
      (select 'fetch_pending', mailbox_id from ledger where state = 'pending' limit ${cap})
      union all
      (select 'fetch_failed', mailbox_id from ledger where state = 'fetch_failed' limit ${cap})
      union all
      (select 'disposition_pending', mailbox_id from ledger where disposition = 'pending' limit ${cap})
      union all
      (select 'disposition_failed', mailbox_id from ledger where disposition = 'failed' limit ${cap})
    ) as held group by mailbox_id, why`.execute(db);
  return rows;
}
