/** Records of incoming mail on their way through processing: claim, result, failure, release. */
import { sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import { bigints, ints, jsons, texts, timestamps } from './columns.ts';
import type { Database, Tx } from './database.ts';
import type { EmailState } from './states.ts';
import { storableJson } from './storable-json.ts';

/** A record that a worker holds. Every write of its result carries `claim`. */
export interface ClaimedEmail {
  id: number;
  mailboxId: number;
  ledgerId: number;
  rawSha256: Buffer;
  size: number;
  attempts: number;
  claim: number;
  internalDate: Date | null;
  createdAt: Date;
  addToTicketId: number | null;
}

/**
 * Takes the records that are due and nobody holds, and counts the attempt before it is made: a message that
 * kills the process has then used one up. Others of `ids` are left out. A claim is no state of its own: it changes
 * no column that an index knows, so it costs one row and no index entry. Nor does it wait for the disk: it must
 * outlive this process, not the machine. `fresh`: only those that were never taken before.
 */
export async function claimEmails(
  db: Database,
  ids: number[],
  seconds: number,
  which: 'fresh' | 'any' = 'any',
): Promise<ClaimedEmail[]> {
  const { rows } = await sql<ClaimedEmail>`
    with mine as (select nextval('claim') as claim, set_config('synchronous_commit', 'off', true))
    update incoming_email set attempts = attempts + 1, last_attempt_at = now(),
      claim_token = mine.claim, claimed_until = now() + make_interval(secs => ${seconds})
    from mine
    where id = any(${ids}::bigint[]) and deleted_at is null and state in ('queued', 'retrying', 'waiting')
      and (next_attempt_at is null or next_attempt_at <= now())
      and (claimed_until is null or claimed_until < now())
      and (${which === 'any'} or attempts = 0)
    returning id, mailbox_id as "mailboxId", ledger_id as "ledgerId", raw_sha256 as "rawSha256", size, attempts,
      claim_token as claim, internal_date as "internalDate", created_at as "createdAt",
      add_to_ticket_id as "addToTicketId"`.execute(db);
  return rows.sort((a, b) => a.id - b.id);
}

/** Of these, the ones whose claim still holds; their rows stay locked until the commit. */
export async function lockClaims(tx: Tx, emails: { id: number; claim: number }[]): Promise<Set<number>> {
  const { rows } = await sql<{ id: number }>`
    select email.id from incoming_email email
    join unnest(${bigints(emails.map((e) => e.id))}, ${bigints(emails.map((e) => e.claim))}) as mine (id, claim)
      on email.id = mine.id and email.claim_token = mine.claim
    where email.state in ('queued', 'retrying', 'waiting')
    order by email.id for update of email`.execute(tx);
  return new Set(rows.map((row) => row.id));
}

/** What processing found. Texts and values may hold anything that a mail can hold; `string` in place of an object is its JSON. */
export interface EmailResult {
  id: number;
  state: EmailState;
  headerDate: string | null;
  receivedAt: string | null;
  fromAddress: string;
  fromText: string;
  toText: string;
  ccText: string;
  subject: string;
  messageId: string | null;
  parts: string;
  class: string;
  classEvidence: object;
  ruleId: number | null;
  rulesVersion: number;
  ruleEvidence: string | null;
  extractions: object | null;
  threadEvidence: object | null;
  outcome: object;
  ticketId: number | null;
  requesterId: number | null;
}

/** Writes the results of a batch. The rows must be locked by {@link lockClaims}. */
export async function saveResults(tx: Tx, results: EmailResult[]): Promise<void> {
  if (results.length === 0) return;
  type Texts = { [K in keyof EmailResult]: EmailResult[K] extends string ? K : never }[keyof EmailResult];
  const plain = <K extends keyof EmailResult>(name: K): EmailResult[K][] => results.map((row) => row[name]);
  const text = (name: Texts, maxChars: number): string[] =>
    results.map((row) => toStorableText(row[name], maxChars));
  const json = (name: keyof EmailResult): (string | null)[] =>
    results.map((row) => storableJson(row[name] as object | null));
  await sql`
    update incoming_email set state = item.state, processed_at = now(), claim_token = null, claimed_until = null,
      header_date = item.header_date, received_at = item.received_at, from_address = item.from_address,
      from_text = item.from_text, to_text = item.to_text, cc_text = item.cc_text, subject = item.subject,
      message_id = item.message_id, parts = item.parts, class = item.class,
      class_evidence = item.class_evidence, rule_id = item.rule_id, rules_version = item.rules_version,
      rule_evidence = item.rule_evidence, extractions = item.extractions, thread_evidence = item.thread_evidence,
      outcome = item.outcome, ticket_id = item.ticket_id, requester_id = item.requester_id,
      error_code = null, error_stage = null, error_message = null, error_fingerprint = null
    from unnest(
      ${bigints(plain('id'))}, ${texts(plain('state'))}, ${timestamps(plain('headerDate'))},
      ${timestamps(plain('receivedAt'))}, ${texts(text('fromAddress', LIMITS.headerValueChars))},
      ${texts(text('fromText', LIMITS.headerValueChars))}, ${texts(text('toText', LIMITS.headerValueChars))},
      ${texts(text('ccText', LIMITS.headerValueChars))}, ${texts(text('subject', LIMITS.subjectChars))},
      ${texts(results.map((row) => row.messageId && toStorableText(row.messageId, LIMITS.messageIdLength)))},
      ${jsons(plain('parts'))},
      ${texts(plain('class'))}, ${jsons(json('classEvidence'))}, ${ints(plain('ruleId'))},
      ${bigints(plain('rulesVersion'))}, ${jsons(plain('ruleEvidence'))}, ${jsons(json('extractions'))},
      ${jsons(json('threadEvidence'))}, ${jsons(json('outcome'))}, ${bigints(plain('ticketId'))},
      ${ints(plain('requesterId'))}
    ) as item (id, state, header_date, received_at, from_address, from_text, to_text, cc_text, subject, message_id,
      parts, class, class_evidence, rule_id, rules_version, rule_evidence, extractions, thread_evidence,
      outcome, ticket_id, requester_id)
    where incoming_email.id = item.id`.execute(tx);
}

/** A failed attempt: either tried again later or set aside for good. */
export interface EmailFailure {
  id: number;
  claim: number;
  code: string;
  stage: string;
  message: string;
  fingerprint: string;
  /** Null = quarantine. */
  retryInSeconds: number | null;
  retryRemaining: number;
}

/** Records a failure. Returns false when the claim was lost meanwhile; then nothing was written. */
export async function saveFailure(tx: Tx, failure: EmailFailure): Promise<boolean> {
  const state: EmailState = failure.retryInSeconds === null ? 'quarantined' : 'retrying';
  const { numAffectedRows } = await sql`
    update incoming_email set state = ${state}, claim_token = null, claimed_until = null,
      retry_remaining = ${failure.retryRemaining}, error_code = ${failure.code}, error_stage = ${failure.stage},
      error_message = ${failure.message}, error_fingerprint = ${failure.fingerprint},
      processed_at = case when ${state} = 'quarantined' then now() end,
      next_attempt_at = now() + make_interval(secs => ${failure.retryInSeconds ?? 0})
    where id = ${failure.id} and claim_token = ${failure.claim}
      and state in ('queued', 'retrying', 'waiting')`.execute(tx);
  return numAffectedRows === 1n;
}

/** Gives claims back unused, as when the daemon stops or the database was away: no attempt is lost. */
export async function returnClaims(db: Database, emails: { id: number; claim: number }[]): Promise<void> {
  if (emails.length === 0) return;
  await sql`
    update incoming_email set attempts = attempts - 1, claim_token = null, claimed_until = null
    from unnest(${bigints(emails.map((e) => e.id))}, ${bigints(emails.map((e) => e.claim))}) as mine (id, claim)
    where incoming_email.id = mine.id and incoming_email.claim_token = mine.claim`.execute(db);
}

/**
 * Rows that should be in the queue but may not be: their job was lost, their worker died, or their retry is due.
 * Marks them as enqueued now and returns them by mailbox, in order.
 */
export async function sweepEmails(
  db: Database,
  lostAfterSeconds: number,
  limit: number,
): Promise<{ id: number; mailboxId: number; attempts: number }[]> {
  const { rows } = await sql<{ id: number; mailboxId: number; attempts: number }>`
    update incoming_email set enqueued_at = now()
    where id in (
      select id from incoming_email
      where deleted_at is null and state in ('queued', 'retrying', 'waiting')
        and (claimed_until is null or claimed_until < now())
        and (next_attempt_at is null or next_attempt_at <= now())
        and enqueued_at < greatest(next_attempt_at, now() - make_interval(secs => ${lostAfterSeconds}))
      order by id limit ${limit} for update skip locked)
    returning id, mailbox_id as "mailboxId", attempts`.execute(db);
  return rows.sort((a, b) => a.id - b.id);
}

/** Records that wait for processing, counted up to `cap`; and the age of the oldest in seconds. */
export async function backlog(
  db: Database,
  cap: number,
): Promise<{ waiting: number; oldestSeconds: number }> {
  const { rows } = await sql<{ waiting: number; oldest: number | null }>`
    select count(*)::int as waiting, extract(epoch from now() - min(created_at))::float8 as oldest
    from (select created_at from incoming_email where state in ('queued', 'retrying') limit ${cap}) as open`.execute(
    db,
  );
  return { waiting: rows[0]?.waiting ?? 0, oldestSeconds: rows[0]?.oldest ?? 0 };
}

/**
 * Puts records back at the start: release from quarantine, or a retry that a person asked for. What a worker holds
 * at the moment is left to it, and what is at the start already waits for its turn.
 */
export async function requeueEmails(
  tx: Tx,
  ids: number[],
): Promise<{ id: number; mailboxId: number; ledgerId: number }[]> {
  const { rows } = await sql<{ id: number; mailboxId: number; ledgerId: number }>`
    update incoming_email set state = 'queued', attempts = 0, retry_remaining = 3, next_attempt_at = null,
      enqueued_at = now(), processed_at = null, claim_token = null, claimed_until = null
    where id = any(${ids}::bigint[]) and state in ('quarantined', 'retrying', 'waiting', 'parked')
      and (claimed_until is null or claimed_until < now()) and deleted_at is null
    returning id, mailbox_id as "mailboxId", ledger_id as "ledgerId"`.execute(tx);
  return rows;
}

/** Prolongs claims while slow messages are worked on one by one. */
export async function renewClaims(
  db: Database,
  emails: { id: number; claim: number }[],
  seconds: number,
): Promise<void> {
  await sql`
    update incoming_email set claimed_until = now() + make_interval(secs => ${seconds})
    from unnest(${bigints(emails.map((e) => e.id))}, ${bigints(emails.map((e) => e.claim))}) as mine (id, claim)
    where incoming_email.id = mine.id and incoming_email.claim_token = mine.claim`.execute(db);
}
