/** Tickets and requesters: the facts that decide outcomes, and the changes that outcomes make. */
import { sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import { bigints, booleans, ints, jsonbs, texts } from './columns.ts';
import type { Tx } from './database.ts';
import { storableJson } from './storable-json.ts';

export interface TicketRow {
  id: number;
  mailboxId: number | null;
  subject: string;
  open: boolean;
  assignedAgentId: number;
  alertKey: string | null;
  supplierReference: string | null;
  requesterId: number | null;
  requesterAddress: string | null;
  participants: string[];
}

export interface RequesterRow {
  id: number;
  name: string;
  address: string;
  alternativeAddresses: string[];
  login: string;
  isAgent: boolean;
}

const TICKET_COLUMNS = sql.raw(`
  ticket.id, ticket.mailbox_id as "mailboxId", ticket.subject, ticket.open,
  ticket.assigned_agent_id as "assignedAgentId", ticket.alert_key as "alertKey",
  ticket.supplier_reference as "supplierReference", ticket.requester_id as "requesterId", requester.address as "requesterAddress", ticket.participants`);

/** Tickets by id, by open alert key, or by supplier reference. */
export async function findTickets(
  tx: Tx,
  wanted: { ids: number[]; alertKeys: string[]; supplierReferences: string[] },
): Promise<TicketRow[]> {
  const { ids, alertKeys, supplierReferences } = wanted;
  if (ids.length + alertKeys.length + supplierReferences.length === 0) return [];
  const { rows } = await sql<TicketRow>`
    select ${TICKET_COLUMNS} from ticket left join requester on requester.id = ticket.requester_id
    where ticket.id = any(${ids}::bigint[])
      or (ticket.open and ticket.alert_key = any(${alertKeys}::text[]))
      or ticket.supplier_reference = any(${supplierReferences}::text[])
    order by ticket.id`.execute(tx);
  return rows;
}

/** Open tickets of requesters with these addresses, newest first, a bounded number each. */
export async function openTicketsOf(tx: Tx, addresses: string[]): Promise<TicketRow[]> {
  if (addresses.length === 0) return [];
  const { rows } = await sql<TicketRow>`
    select ${TICKET_COLUMNS} from requester
    cross join lateral (
      select * from ticket where requester_id = requester.id and open order by id desc limit 50) ticket
    where lower(requester.address) = any(${addresses}::text[])`.execute(tx);
  return rows;
}

export interface MessageIdRow {
  messageId: string;
  mailboxId: number;
  emailId: number;
  ticketId: number | null;
  rawSha256: Buffer;
}

/** Records with these Message-IDs, in any mailbox and a bounded number each, and mail of ours (emailId 0) that a server gave one of them. */
export async function findMessageIds(tx: Tx, messageIds: string[]): Promise<MessageIdRow[]> {
  if (messageIds.length === 0) return [];
  const { rows } = await sql<MessageIdRow>`
    -- One look into the index for each; without statistics of a young table the planner would read all of it.
    select wanted.id as "messageId", mailbox_id as "mailboxId", email.id as "emailId", ticket_id as "ticketId",
      raw_sha256 as "rawSha256"
    from unnest(${texts(messageIds)}) as wanted (id)
    cross join lateral (
      select * from incoming_email where message_id = wanted.id and deleted_at is null
      limit ${LIMITS.sameMessageId}) email
    union all
    -- Mail that we sent has a token in its Message-ID, unless the server gave it another one.
    select sent_message_id, mailbox_id, 0, ticket_id, ''::bytea
    from outgoing_email where sent_message_id = any(${messageIds}::text[])`.execute(tx);
  return rows;
}

/** Requesters by address, and by name or login where a rule names them so. */
export async function findRequesters(
  tx: Tx,
  wanted: { addresses: string[]; names: string[]; logins: string[] },
): Promise<RequesterRow[]> {
  const { addresses, names, logins } = wanted;
  if (addresses.length + names.length + logins.length === 0) return [];
  const { rows } = await sql<RequesterRow>`
    select id, name, address, alternative_addresses as "alternativeAddresses", login, is_agent as "isAgent"
    from requester
    where not inactive and (lower(address) = any(${addresses}::text[])
      or alternative_addresses && ${addresses}::text[]
      or lower(name) = any(${names}::text[]) or (login <> '' and lower(login) = any(${logins}::text[])))`.execute(
    tx,
  );
  return rows;
}

/** Makes requesters, or finds those that another process made meanwhile. Returns ids by lower-case address. */
export async function createRequesters(
  tx: Tx,
  people: { name: string; address: string; siteId: number }[],
): Promise<Map<string, number>> {
  if (people.length === 0) return new Map();
  // One order for all, or two processes that make the same two people wait for each other for ever.
  const sorted = [...people].sort((a, b) => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1));
  const { rows } = await sql<{ id: number; address: string }>`
    insert into requester (name, address, site_id)
    select * from unnest(${texts(sorted.map((p) => p.name))}, ${texts(sorted.map((p) => p.address))},
      ${ints(sorted.map((p) => p.siteId))})
    on conflict (lower(address)) do update set name = requester.name
    returning id, lower(address) as address`.execute(tx);
  return new Map(rows.map((row) => [row.address, row.id]));
}

export async function reserveTicketIds(tx: Tx, count: number): Promise<number[]> {
  if (count === 0) return [];
  const { rows } = await sql<{ id: number }>`
    select nextval(pg_get_serial_sequence('ticket', 'id')) as id from generate_series(1, ${count}::int)`.execute(
    tx,
  );
  return rows.map((row) => row.id).sort((a, b) => a - b);
}

export interface NewTicketRow {
  id: number;
  mailboxId: number;
  typeId: number;
  subject: string;
  open: boolean;
  read: boolean;
  alertKey: string | null;
  supplierReference: string | null;
  assignedAgentId: number;
  requesterId: number | null;
  participants: string[];
  fields: object[];
}

export async function insertTickets(tx: Tx, tickets: NewTicketRow[]): Promise<void> {
  if (tickets.length === 0) return;
  const column = <K extends keyof NewTicketRow>(name: K): NewTicketRow[K][] =>
    tickets.map((row) => row[name]);
  await sql`
    insert into ticket (id, mailbox_id, type_id, subject, open, read, alert_key, supplier_reference,
      assigned_agent_id, requester_id, participants, fields, closed_at)
    overriding system value
    select id, mailbox_id, type_id, subject, open, read, alert_key, supplier_reference, agent, requester_id,
      array(select jsonb_array_elements_text(participants)), fields, case when not open then now() end
    from unnest(${bigints(column('id'))}, ${ints(column('mailboxId'))}, ${ints(column('typeId'))},
      ${texts(tickets.map((row) => toStorableText(row.subject, LIMITS.subjectChars)))}, ${booleans(column('open'))}, ${booleans(column('read'))},
      ${texts(column('alertKey'))}, ${texts(column('supplierReference'))}, ${ints(column('assignedAgentId'))},
      ${ints(column('requesterId'))}, ${jsonbs(tickets.map((row) => storableJson(row.participants)))},
      ${jsonbs(tickets.map((row) => storableJson(row.fields)))})
      as item (id, mailbox_id, type_id, subject, open, read, alert_key, supplier_reference, agent, requester_id,
        participants, fields)`.execute(tx);
}

export interface TicketChange {
  id: number;
  /** Null = as it was; for `read` too. */
  open: boolean | null;
  read: boolean | null;
  addParticipants: string[];
  /** Field values, added to those that are there. */
  addFields: object[];
}

/** Applies changes one after the other: several messages of a batch may concern one ticket. */
export async function updateTickets(tx: Tx, changes: TicketChange[]): Promise<void> {
  for (const change of changes) {
    await sql`
      update ticket set open = coalesce(${change.open}, open), read = coalesce(${change.read}, read), updated_at = now(),
        closed_at = case when coalesce(${change.open}, open) then null else coalesce(closed_at, now()) end,
        participants = (select coalesce(array_agg(distinct one), '{}')
          from unnest(participants || ${change.addParticipants}::text[]) as one),
        fields = fields || ${storableJson(change.addFields)}::jsonb,
        -- Opened again while another ticket has the same alert: the alert stays with that one.
        alert_key = case when coalesce(${change.open}, false) and exists (
            select 1 from ticket other
            where other.open and other.alert_key = ticket.alert_key and other.id <> ticket.id)
          then null else alert_key end
      where id = ${change.id}`.execute(tx);
  }
}

/** What each message did. The unique key refuses a second outcome of one message. */
export async function insertTicketActions(
  tx: Tx,
  actions: { ticketId: number; emailId: number; kind: string; private: boolean }[],
): Promise<void> {
  if (actions.length === 0) return;
  await sql`
    insert into ticket_action (ticket_id, incoming_email_id, kind, private)
    select * from unnest(${bigints(actions.map((a) => a.ticketId))}, ${bigints(actions.map((a) => a.emailId))},
      ${texts(actions.map((a) => a.kind))}, ${booleans(actions.map((a) => a.private))})`.execute(tx);
}

/** Keeps the newest state of services; what an older message says later changes nothing. */
export async function saveServiceStatus(
  tx: Tx,
  row: { service: string; status: string | null; emailId: number },
): Promise<void> {
  await sql`
    insert into service_status (service, status, incoming_email_id)
    values (${row.service}, ${row.status}, ${row.emailId})
    on conflict (service) do update set status = excluded.status, incoming_email_id = excluded.incoming_email_id,
      updated_at = now()
    where service_status.incoming_email_id <= excluded.incoming_email_id`.execute(tx);
}

/**
 * Lets one process at a time decide for a mailbox, and for an alert key over all mailboxes, until the commit.
 * Two alerts with one key then see each other's ticket.
 */
export async function lockDecisions(tx: Tx, mailboxId: number, alertKeys: string[]): Promise<void> {
  await sql`select pg_advisory_xact_lock(1, ${mailboxId})`.execute(tx);
  if (alertKeys.length === 0) return;
  const { rows } = await sql<{ hash: number }>`
    select distinct hashtext(key) as hash from unnest(${texts(alertKeys)}) as key order by hash`.execute(tx);
  for (const { hash } of rows) await sql`select pg_advisory_xact_lock(2, ${hash})`.execute(tx);
}
