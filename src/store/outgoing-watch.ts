/** How mail of ours stands, for those who watch. */
import { sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import type { Database } from './database.ts';

export interface OutgoingStanding {
  mailboxId: number;
  /** Mails that wait or are on their way; counted up to a limit. */
  waiting: number;
  /** For how long the one that is due longest has been due, in seconds. */
  overdueSeconds: number;
  inDoubt: number;
  /** Failures of the mailbox in a row; 0: it sends. */
  pausedErrors: number;
}

/** Of every mailbox that is there. */
export async function outgoingStandings(db: Database): Promise<OutgoingStanding[]> {
  const { rows } = await sql<OutgoingStanding>`
    with waiting as (
      select mailbox_id, count(*) as count, min(next_attempt_at) as due from (
        select mailbox_id, next_attempt_at from outgoing_email
        where state in ('queued', 'retrying') and deleted_at is null
        order by next_attempt_at, id limit ${LIMITS.heldUpCount}::int) as listed
      group by mailbox_id
    ), doubtful as (
      select mailbox_id, count(*) as count from outgoing_email
      where error_code is not null and deleted_at is null and state = 'in_doubt' group by mailbox_id
    )
    select mailbox.id as "mailboxId", coalesce(waiting.count, 0) as waiting,
      greatest(0, coalesce(extract(epoch from now() - waiting.due), 0))::float8 as "overdueSeconds",
      coalesce(doubtful.count, 0) as "inDoubt", coalesce(pause.consecutive_errors, 0) as "pausedErrors"
    from mailbox
    left join waiting on waiting.mailbox_id = mailbox.id
    left join doubtful on doubtful.mailbox_id = mailbox.id
    left join outgoing_pause pause on pause.mailbox_id = mailbox.id
    where mailbox.deleted_at is null order by mailbox.id`.execute(db);
  return rows;
}
