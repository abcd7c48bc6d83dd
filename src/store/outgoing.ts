/** Mail that leaves: queueing it, and the claims and results of those that send it. */
import { type Selectable, sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import type { Attachment, Mailbox, Recipients, RefusedRecipient } from '../send/mail.ts';
import { bigints, ints } from './columns.ts';
import type { Database, Tx } from './database.ts';
import { notify } from './notify.ts';
import type { OutgoingKind } from './states.ts';
import { storableJson } from './storable-json.ts';
import type { Tables } from './tables.ts';

export type OutgoingRow = Selectable<Tables['outgoing_email']>;

export interface NewOutgoing {
  mailboxId: number;
  emailStoreId: number | null;
  incomingEmailId: number | null;
  ticketId: number | null;
  kind: OutgoingKind;
  automaticTo: string | null;
  messageId: string;
  inReplyTo: string | null;
  sender: Mailbox;
  recipients: Recipients;
  subject: string;
  text: string;
  html: string | null;
}

/** Queues mails in the transaction that wants them, and tells the senders when it commits. Returns their ids. */
export async function queueOutgoing(tx: Tx, mails: readonly NewOutgoing[]): Promise<number[]> {
  if (mails.length === 0) return [];
  const rows = await tx
    .insertInto('outgoing_email')
    .values(
      mails.map((mail) => ({
        mailbox_id: mail.mailboxId,
        email_store_id: mail.emailStoreId,
        incoming_email_id: mail.incomingEmailId,
        ticket_id: mail.ticketId,
        kind: mail.kind,
        automatic_to: mail.automaticTo,
        message_id: mail.messageId,
        in_reply_to: mail.inReplyTo,
        sender: storableJson(mail.sender)!,
        recipients: storableJson(mail.recipients)!,
        subject: toStorableText(mail.subject, LIMITS.subjectChars),
        text: toStorableText(mail.text, LIMITS.bodyTextChars),
        html: mail.html === null ? null : toStorableText(mail.html, LIMITS.bodyHtmlChars),
      })),
    )
    .returning('id')
    .execute();
  await notify(tx, 'outgoing');
  return rows.map(({ id }) => id);
}

export interface ClaimLimits {
  /** Of one call. */
  most: number;
  /** By mailbox: mails on their way at once, and handed over within a minute. */
  ofMailbox: ReadonlyMap<number, { concurrency: number; perMinute: number }>;
  claimSeconds: number;
}

/** One at a time counts what a mailbox may still send; else two processes would both find room. */
const CLAIM_LOCK = 728_341_905;

/**
 * Takes mails that are due, within the limits of their mailboxes; a mailbox that is not among the limits, or that
 * pauses, sends nothing. The claim, and with it the attempt, is committed when this returns.
 */
export async function claimOutgoing(db: Database, limits: ClaimLimits): Promise<OutgoingRow[]> {
  const ids = [...limits.ofMailbox.keys()];
  const of = [...limits.ofMailbox.values()];
  return await db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(${CLAIM_LOCK})`.execute(tx);
    const { rows } = await sql<OutgoingRow>`
      with may as (
        select m.id,
          least(
            m.concurrency - (select count(*) from outgoing_email o
              where o.mailbox_id = m.id and o.state = 'sending' and o.claimed_until > now()),
            -- Those that are about to be handed over count as well.
            m.per_minute - (select count(*) from outgoing_email o
              where o.mailbox_id = m.id and o.handover_at > now() - interval '1 minute')
              - (select count(*) from outgoing_email o
                where o.mailbox_id = m.id and o.state = 'sending' and o.claimed_until > now()
                  and o.handover_at is null)) as room
        from unnest(${ints(ids)}, ${ints(of.map((one) => one.concurrency))},
          ${ints(of.map((one) => one.perMinute))}) as m (id, concurrency, per_minute)
        where not exists (select 1 from outgoing_pause p where p.mailbox_id = m.id and p.paused_until > now())
      ), due as (
        select chosen.id from may cross join lateral (
          select id, next_attempt_at from outgoing_email
          where mailbox_id = may.id and state in ('queued', 'retrying') and next_attempt_at <= now()
            and deleted_at is null
          order by next_attempt_at, id limit greatest(may.room, 0)) chosen
        order by chosen.next_attempt_at, chosen.id limit ${limits.most}::int
      )
      update outgoing_email set state = 'sending', attempts = attempts + 1, claim_token = nextval('claim'),
        claimed_until = now() + make_interval(secs => ${limits.claimSeconds}), handover_at = null
      from due where outgoing_email.id = due.id
      returning outgoing_email.*`.execute(tx);
    return rows.sort((a, b) => a.id - b.id);
  });
}

/** Takes over mails whose sender is gone. Where `handover_at` is set, it is not known whether they were sent. */
export async function claimAbandoned(
  db: Database,
  claimSeconds: number,
  most: number,
): Promise<OutgoingRow[]> {
  const { rows } = await sql<OutgoingRow>`
    update outgoing_email set claim_token = nextval('claim'),
      claimed_until = now() + make_interval(secs => ${claimSeconds})
    where id in (select id from outgoing_email where state = 'sending' and claimed_until <= now()
      order by id limit ${most}::int for update skip locked)
    returning *`.execute(db);
  return rows;
}

/** What a holder of a claim writes with. */
export interface OutgoingClaim {
  id: number;
  claim_token: number | null;
}

const held = ({ id, claim_token }: OutgoingClaim) =>
  sql`id = ${id} and claim_token = ${claim_token} and state = 'sending'`;

/** Commits that the mail is about to go out. False when the claim is lost: then it must not. */
export async function noteHandover(db: Database, claim: OutgoingClaim): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update outgoing_email set handover_at = now()
    where ${held(claim)} and claimed_until > now() and handover_at is null`.execute(db);
  return numAffectedRows === 1n;
}

/** Prolongs claims. */
export async function renewOutgoing(
  db: Database,
  claims: readonly OutgoingClaim[],
  seconds: number,
): Promise<void> {
  await sql`
    update outgoing_email set claimed_until = now() + make_interval(secs => ${seconds})
    from unnest(${bigints(claims.map(({ id }) => id))},
      ${bigints(claims.map(({ claim_token: token }) => token))}) as mine (id, token)
    where outgoing_email.id = mine.id and claim_token = mine.token and state = 'sending'`.execute(db);
}

export interface SentResult {
  delivered: string[];
  refused: RefusedRecipient[];
  providerId: string | null;
  messageId: string | null;
}

/** The mail is sent: as far as its ticket wants to know, that is an action. False when the claim is lost. */
export async function saveSent(db: Database, claim: OutgoingClaim, result: SentResult): Promise<boolean> {
  const { delivered, providerId, messageId } = result;
  return await db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ ticketId: number | null; storeId: number | null }>`
      update outgoing_email set state = 'sent', sent_at = now(), delivered = ${delivered}::text[],
        refused = ${storableJson(result.refused)}::jsonb, provider_id = ${providerId}, sent_message_id = ${messageId},
        claim_token = null, claimed_until = null, change_seq = change_seq + 1,
        error_code = ${result.refused.length === 0 ? null : 'send_refused'},
        error_message = ${result.refused.length === 0 ? null : tidy(refusals(result.refused))}
      where ${held(claim)} returning ticket_id as "ticketId", email_store_id as "storeId"`.execute(tx);
    const row = rows[0];
    if (row === undefined) return false;
    if (row.ticketId !== null && row.storeId !== null) {
      await sql`
        insert into ticket_action (ticket_id, outgoing_email_id, kind)
        select ticket.id, ${claim.id}, 'email_sent' from ticket, email_store
        where ticket.id = ${row.ticketId} and email_store.id = ${row.storeId} and email_store.add_action
        on conflict do nothing`.execute(tx);
    }
    return true;
  });
}

const refusals = (refused: readonly RefusedRecipient[]): string =>
  `Not taken for ${refused.map(({ address, message }) => `${address} (${message})`).join(', ')}`;

export interface Trouble {
  code: string;
  message: string;
}

/** Another attempt later. `counts` false: no fault of the mail, so this attempt is not counted. */
export async function saveRetry(
  db: Database,
  claim: OutgoingClaim,
  trouble: Trouble,
  next: { seconds: number; counts: boolean; delivered?: string[]; refused?: RefusedRecipient[] },
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update outgoing_email set state = 'retrying', next_attempt_at = now() + make_interval(secs => ${next.seconds}),
      attempts = attempts - ${next.counts ? 0 : 1}, delivered = delivered || ${next.delivered ?? []}::text[],
      refused = refused || ${storableJson(next.refused ?? [])}::jsonb, error_code = ${trouble.code},
      error_message = ${tidy(trouble.message)}, claim_token = null, claimed_until = null, handover_at = null,
      change_seq = change_seq + 1
    where ${held(claim)}`.execute(db);
  return numAffectedRows === 1n;
}

/** No more attempts by ourselves: it failed for good, or nobody knows whether it was sent. */
export async function saveEnd(
  db: Database,
  claim: OutgoingClaim,
  state: 'failed' | 'in_doubt',
  trouble: Trouble,
  refused: RefusedRecipient[] = [],
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update outgoing_email set state = ${state}, error_code = ${trouble.code}, error_message = ${tidy(trouble.message)},
      refused = refused || ${storableJson(refused)}::jsonb, claim_token = null, claimed_until = null,
      change_seq = change_seq + 1
    where ${held(claim)}`.execute(db);
  return numAffectedRows === 1n;
}

/** Keeps a mail that may have been sent where it is, until it is looked for. */
export async function saveDoubt(
  db: Database,
  claim: OutgoingClaim,
  trouble: Trouble,
  seconds: number,
): Promise<void> {
  await sql`
    update outgoing_email set claimed_until = now() + make_interval(secs => ${seconds}),
      error_code = ${trouble.code}, error_message = ${tidy(trouble.message)}
    where ${held(claim)}`.execute(db);
}

/** Ends claims of a process that stops, as if they had run out. */
export async function dropOutgoingClaims(db: Database, claims: readonly OutgoingClaim[]): Promise<void> {
  await sql`
    update outgoing_email set claimed_until = now()
    from unnest(${bigints(claims.map(({ id }) => id))},
      ${bigints(claims.map(({ claim_token: token }) => token))}) as mine (id, token)
    where outgoing_email.id = mine.id and claim_token = mine.token and state = 'sending'`.execute(db);
}

/** Nothing is sent from the mailbox for a while. Returns how often in a row that happened. */
export async function pauseSending(
  db: Database,
  mailboxId: number,
  trouble: Trouble,
  seconds: number,
): Promise<void> {
  await sql`
    insert into outgoing_pause (mailbox_id, paused_until, error_code, error_message)
    values (${mailboxId}, now() + make_interval(secs => ${seconds}), ${trouble.code}, ${tidy(trouble.message)})
    on conflict (mailbox_id) do update set paused_until = excluded.paused_until, error_code = excluded.error_code,
      error_message = excluded.error_message, consecutive_errors = outgoing_pause.consecutive_errors + 1`.execute(
    db,
  );
}

/** The mailbox sends again. True when it had paused. */
export async function endPause(db: Database | Tx, mailboxId: number): Promise<boolean> {
  const { numAffectedRows } = await sql`
    delete from outgoing_pause where mailbox_id = ${mailboxId}`.execute(db);
  return numAffectedRows === 1n;
}

export async function sendingPauses(
  db: Database | Tx,
  mailboxId: number,
): Promise<{ errors: number; code: string; message: string } | null> {
  const row = await db
    .selectFrom('outgoing_pause')
    .select(['consecutive_errors as errors', 'error_code as code', 'error_message as message'])
    .where('mailbox_id', '=', mailboxId)
    .executeTakeFirst();
  return row ?? null;
}

/** The files of a mail; a mail of ours that nobody asked for has none. */
export async function attachmentsOf(db: Database | Tx, emailStoreId: number | null): Promise<Attachment[]> {
  if (emailStoreId === null) return [];
  const rows = await db
    .selectFrom('outgoing_attachment')
    .select(['filename', 'content_type', 'content_id', 'bytes'])
    .where('email_store_id', '=', emailStoreId)
    .orderBy('id')
    .execute();
  return rows.map(({ filename, content_type: contentType, content_id: contentId, bytes }) => ({
    filename,
    contentType,
    contentId,
    bytes,
  }));
}

const tidy = (message: string): string => toStorableText(message, LIMITS.reasonChars);
