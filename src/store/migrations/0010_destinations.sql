-- Where outcomes go besides this database, and what is on its way there.

create table destination (
  id                    integer generated always as identity primary key,
  name                  text not null,
  kind                  text not null check (kind in ('webhook', 'halo', 'pagerduty', 'splunk_oncall')),
  enabled               boolean not null default true,
  -- DestinationSettings (src/deliver/destination.ts). Secrets are not here.
  settings              jsonb not null,
  change_seq            integer not null default 1,
  -- The circuit breaker: failed attempts in a row, and until when nothing is sent.
  consecutive_failures  integer not null default 0,
  open_until            timestamptz,
  last_delivered_at     timestamptz,
  last_error_code       text,
  last_error            text,
  last_error_at         timestamptz,
  -- Why Penstock switched it off by itself; null when it did not.
  disabled_reason       text,
  created_at            timestamptz not null default now(),
  -- Its deliveries outlive it.
  deleted_at            timestamptz
);

-- Fencing, as for records: each claim takes the next number, and only its holder may write the result.
create sequence delivery_claim;

-- The outbox: one row for each outcome and destination, written in the transaction of the outcome.
create table delivery (
  id                bigint generated always as identity primary key,
  -- What the receiver knows it by, the same at every attempt.
  message_id        uuid not null default gen_random_uuid(),
  destination_id    integer not null,
  event             text not null,
  -- Deliveries of one stream go one after the other: those of a ticket, else of a message.
  stream            text not null,
  email_id          bigint not null,
  ledger_id         bigint not null,
  ticket_id         bigint,
  payload           json not null,
  state             text not null default 'pending' check (state in ('pending', 'delivered', 'dead', 'dropped')),
  attempts          integer not null default 0,
  -- How often a person had it sent again from the start.
  replays           integer not null default 0,
  created_at        timestamptz not null default now(),
  first_attempt_at  timestamptz,
  next_attempt_at   timestamptz not null default now(),
  claim_token       bigint,
  claimed_until     timestamptz,
  finished_at       timestamptz,
  -- Its id in the other system, when that names one.
  reference         text,
  error_code        text,
  error             text
);
create index delivery_due on delivery (destination_id, next_attempt_at, id) where state = 'pending';
create index delivery_in_order on delivery (destination_id, stream, id) where state = 'pending';
create index delivery_dead on delivery (destination_id, id) where state = 'dead';
-- What a message led to, and whether its bytes are still needed.
create index delivery_by_email on delivery (email_id);
create index delivery_by_ticket on delivery (ticket_id, id) where ticket_id is not null;
create index delivery_finished on delivery (finished_at) where state in ('delivered', 'dropped');
