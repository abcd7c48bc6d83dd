-- The main line: mailboxes, what was seen on their servers, the bytes, the records, rules, tickets, clients.
-- Times are timestamptz and set by this database's clock, except those that a server or a sender claims.

create table mailbox (
  id          integer generated always as identity primary key,
  guid        uuid not null default gen_random_uuid(),
  name        text not null,
  kind        text not null check (kind in ('imap', 'pop3', 'graph', 'gmail')),
  enabled     boolean not null default false,
  -- MailboxSettings: connection, polling, disposition, policy. Secrets are not here.
  settings    jsonb not null,
  -- Halo fields that clients store here and Penstock does not read.
  halo        jsonb not null default '{}',
  change_seq  integer not null default 1,
  created_at  timestamptz not null default now(),
  -- Records and ledger outlive their mailbox, so a mailbox is never deleted for good.
  deleted_at  timestamptz
);

-- What the poller last knew; one row a mailbox, written often, so apart from the settings.
create table mailbox_state (
  mailbox_id          integer primary key references mailbox,
  phase               text not null default 'idle',
  phase_since         timestamptz not null default now(),
  -- End of the last listing that covered every folder: health is computed from this alone.
  last_listed_at      timestamptz,
  last_error_code     text,
  last_error          text,
  last_error_at       timestamptz,
  consecutive_errors  integer not null default 0,
  next_attempt_at     timestamptz,
  sync_done           bigint not null default 0,
  sync_total          bigint not null default 0,
  sync_started_at     timestamptz,
  -- When a long sync last stored something: tells a sync that is slow from one that hangs.
  sync_progress_at    timestamptz
);

-- One owner a mailbox. `token` grows with each new owner; every write of a poller carries it.
create table lease (
  mailbox_id  integer primary key references mailbox,
  owner       text not null,
  token       bigint not null,
  expires_at  timestamptz not null
);

create table folder (
  id              integer generated always as identity primary key,
  mailbox_id      integer not null references mailbox,
  path            text not null,
  epoch           text,
  cursor          text,
  -- What was there when the folder was first opened: a first sync from now on skips up to here.
  first_cursor    text,
  -- While a lost cursor is being repaired: {oldEpochs, reason}. Null otherwise.
  resync          jsonb,
  last_listed_at  timestamptz,
  -- When the newest keys were last compared with the ledger, for messages that became visible late.
  late_check_at   timestamptz,
  unique (mailbox_id, path)
);

-- The exact bytes, by content. Small ones live here, larger ones in files named after the digest.
create table raw_message (
  sha256      bytea primary key,
  size        integer not null,
  place       text not null check (place in ('inline', 'file')),
  bytes       bytea,
  created_at  timestamptz not null default now(),
  check ((place = 'inline') = (bytes is not null))
);
-- Compressing mail costs more than the disk it saves, and attachments do not compress.
alter table raw_message alter column bytes set storage external;
-- Most messages fit into a page of the table itself: one row to write instead of a row and its pieces.
alter table raw_message set (toast_tuple_target = 8160);

-- One row for every source key ever listed: what became of it, and whether the effect on the server is done.
create table ledger (
  id                     bigint generated always as identity primary key,
  mailbox_id             integer not null references mailbox,
  folder_id              integer not null references folder,
  epoch                  text not null,
  key                    text collate "C" not null,
  state                  text not null
    check (state in ('pending', 'stored', 'duplicate', 'oversized', 'skipped', 'gone', 'fetch_failed')),
  reason                 text,
  incoming_email_id      bigint,
  raw_sha256             bytea,
  header_sha256          bytea,
  -- As the server announced it; recognises a message after its key changed.
  size                   bigint not null,
  internal_date          timestamptz,
  fetch_attempts         smallint not null default 0,
  next_fetch_at          timestamptz,
  disposition            text not null default 'none'
    check (disposition in ('none', 'pending', 'done', 'gone', 'failed')),
  disposition_attempts   smallint not null default 0,
  disposition_error      text,
  next_disposition_at    timestamptz,
  first_seen_at          timestamptz not null default now(),
  unique (folder_id, epoch, key)
) with (fillfactor = 80);
create index ledger_to_fetch on ledger (folder_id) where state = 'pending';
create index ledger_to_dispose on ledger (folder_id, id) where disposition = 'pending';
-- What operators watch, cheap enough to be asked every few seconds.
create index ledger_fetch_failed on ledger (mailbox_id) where state = 'fetch_failed';
create index ledger_disposition_failed on ledger (mailbox_id) where disposition = 'failed';
create index ledger_by_content on ledger (folder_id, header_sha256) where header_sha256 is not null;
-- Messages that were never fetched are recognised by date and size when their keys have changed.
create index ledger_without_content on ledger (folder_id, internal_date, size) where header_sha256 is null;
create index ledger_by_email on ledger (incoming_email_id) where incoming_email_id is not null;

-- Fencing for workers: each claim takes the next number, and only its holder may write the result.
create sequence claim;

create table incoming_email (
  id                bigint generated always as identity primary key,
  mailbox_id        integer not null references mailbox,
  ledger_id         bigint not null,
  source            text not null check (source in ('imap', 'pop3', 'graph', 'gmail', 'api', 'import')),
  mail_id           text not null,
  raw_sha256        bytea not null,
  size              integer not null,
  -- Set when the mailbox drops byte-identical copies; null when it keeps them.
  dedup_key         bytea,
  state             text not null default 'queued'
    check (state in ('queued', 'processed', 'ignored', 'retrying', 'quarantined', 'waiting', 'parked')),
  attempts          smallint not null default 0,
  retry_remaining   smallint not null default 3,
  next_attempt_at   timestamptz,
  enqueued_at       timestamptz,
  claim_token       bigint,
  claimed_until     timestamptz,

  created_at        timestamptz not null default now(),
  last_attempt_at   timestamptz,
  processed_at      timestamptz,
  internal_date     timestamptz,
  header_date       timestamptz,
  received_at       timestamptz,

  from_address      text not null default '',
  from_text         text not null default '',
  to_text           text not null default '',
  cc_text           text not null default '',
  subject           text not null default '',
  message_id        text,
  parts             json,
  class             text,
  class_evidence    json,
  rule_id           integer,
  rules_version     bigint,
  rule_evidence     json,
  extractions       json,
  thread_evidence   json,
  outcome           json,
  ticket_id         bigint,
  requester_id      integer,

  error_code        text,
  error_stage       text,
  error_message     text,
  error_fingerprint text,
  removed_from_server boolean not null default false,
  outbound          boolean not null default false,
  agent_id          integer,
  add_to_ticket_id  bigint,
  deleted_at        timestamptz,
  search            tsvector generated always as
    (to_tsvector('simple', left(subject, 2000) || ' ' || left(from_text, 1000) || ' ' || left(to_text, 1000))) stored
);
-- A row is written twice more after it is made: leave room for the next version beside the first.
alter table incoming_email set (fillfactor = 50, toast_tuple_target = 4080);
create unique index incoming_email_content on incoming_email (mailbox_id, dedup_key) where dedup_key is not null;
create index incoming_email_open on incoming_email (next_attempt_at, id)
  where state in ('queued', 'retrying', 'waiting');
create index incoming_email_message_id on incoming_email (message_id, mailbox_id) where message_id is not null;
create index incoming_email_ticket on incoming_email (ticket_id) where ticket_id is not null;
create index incoming_email_quarantine on incoming_email (error_fingerprint, id) where state = 'quarantined';
create index incoming_email_search on incoming_email using gin (search);
-- Lists show the newest first; ties are broken by id.
create index incoming_email_created on incoming_email (created_at desc, id);
create index incoming_email_raw on incoming_email (raw_sha256);

-- What happened to a message, as arrays of {at, event, ...} in the order of their commits.
create table trace (
  id         bigint generated always as identity primary key,
  ledger_id  bigint not null,
  at         timestamptz not null default now(),
  events     json not null
);
create index trace_by_message on trace (ledger_id, id);

create table email_rule (
  id          integer generated always as identity primary key,
  name        text not null,
  sequence    integer not null,
  mailbox_id  integer references mailbox,
  -- The whole rule in our words (src/rule/rule.ts), without its id.
  definition  jsonb not null,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now()
);

-- Ids of field mappings: they live inside their rule, but clients take them for ids of records.
create sequence field_mapping as integer;

-- Every change of a rule. The highest version is the version of the rule set; records keep which one decided.
create table rule_change (
  version     bigint generated always as identity primary key,
  rule_id     integer not null,
  at          timestamptz not null default now(),
  actor       text not null,
  -- Null = deleted.
  definition  jsonb
);

create table requester (
  id                     integer generated always as identity primary key,
  name                   text not null,
  first_name             text not null default '',
  surname                text not null default '',
  address                text not null,
  alternative_addresses  text[] not null default '{}',
  login                  text not null default '',
  site_id                integer not null default 0,
  client_id              integer not null default 0,
  is_agent               boolean not null default false,
  inactive               boolean not null default false,
  created_at             timestamptz not null default now()
);
create unique index requester_address on requester (lower(address));
create index requester_alternatives on requester using gin (alternative_addresses);

create table ticket (
  id            bigint generated always as identity primary key,
  mailbox_id    integer references mailbox,
  type_id       integer not null default 0,
  subject       text not null,
  open          boolean not null default true,
  read          boolean not null default false,
  alert_key     text,
  supplier_reference text,
  assigned_agent_id integer not null default 0,
  requester_id  integer references requester,
  -- Addresses that wrote or were written to, lower case: who may answer by subject tag.
  participants  text[] not null default '{}',
  fields        jsonb not null default '[]',
  -- Its ids in other systems.
  external      jsonb not null default '{}',
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  closed_at     timestamptz
);
create unique index ticket_open_alert on ticket (alert_key) where open and alert_key is not null;
create index ticket_supplier on ticket (supplier_reference) where supplier_reference is not null;
create index ticket_requester on ticket (requester_id) where requester_id is not null;

-- The last known state of services that report by mail.
create table service_status (
  service            text primary key,
  status             text,
  incoming_email_id  bigint not null,
  updated_at         timestamptz not null default now()
);

-- What a message did. One outcome a message: the unique key says so.
create table ticket_action (
  id                 bigint generated always as identity primary key,
  ticket_id          bigint not null references ticket,
  incoming_email_id  bigint not null unique,
  kind               text not null,
  private            boolean not null default false,
  at                 timestamptz not null default now()
);
create index ticket_action_by_ticket on ticket_action (ticket_id, id);

create table api_client (
  id            integer generated always as identity primary key,
  client_id     text not null unique,
  name          text not null,
  secret_hash   text not null,
  scopes        text[] not null,
  created_at    timestamptz not null default now(),
  last_used_at  timestamptz,
  disabled_at   timestamptz
);

-- Secrets, encrypted with a key that is not in this database.
create table secret (
  owner       text not null,
  name        text not null,
  key_id      text not null,
  nonce       bytea not null,
  ciphertext  bytea not null,
  updated_at  timestamptz not null default now(),
  primary key (owner, name)
);

create table audit_log (
  id         bigint generated always as identity primary key,
  at         timestamptz not null default now(),
  actor      text not null,
  action     text not null,
  entity     text not null,
  entity_id  text not null,
  change     jsonb not null default '{}'
);
create index audit_log_by_entity on audit_log (entity, entity_id, id);

create table instance (
  only_row    boolean primary key default true check (only_row),
  id          uuid not null default gen_random_uuid(),
  created_at  timestamptz not null default now()
);
insert into instance default values;
