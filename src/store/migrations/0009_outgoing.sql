-- Mail that leaves: what was asked to be sent, each message of it with what became of it, and templates.

-- Halo: EmailStore. One may become many messages: one for each user or ticket.
create table email_store (
  id           integer generated always as identity primary key,
  mailbox_id   integer not null references mailbox,
  ticket_id    bigint,
  template_id  integer,
  subject      text not null default '',
  text         text not null default '',
  html         text,
  -- {to, cc, bcc, replyTo}: lists of {name, address}.
  recipients   jsonb not null,
  -- Halo: addactionaftersending.
  add_action   boolean not null default false,
  -- Halo fields that clients store here and Penstock does not read.
  halo         jsonb not null default '{}',
  -- Of everything that was posted: a client that repeats a request must not send twice.
  digest       bytea,
  created_by   text not null default '',
  created_at   timestamptz not null default now(),
  deleted_at   timestamptz
);
create index email_store_digest on email_store (digest, created_at) where digest is not null;

create table outgoing_attachment (
  id              bigint generated always as identity primary key,
  email_store_id  integer not null references email_store on delete cascade,
  filename        text not null,
  content_type    text not null,
  -- Set for a picture that the HTML shows.
  content_id      text,
  bytes           bytea not null,
  created_at      timestamptz not null default now()
);
alter table outgoing_attachment alter column bytes set storage external;
create index outgoing_attachment_of on outgoing_attachment (email_store_id, id);

-- One message on its way out. An attempt is a claim that is committed before anything is sent; handover_at is
-- committed before the first byte of the message (or the one request that sends it) goes out. A claim that runs out
-- with handover_at set is in doubt, without it nothing was sent.
create table outgoing_email (
  id                 bigint generated always as identity primary key,
  mailbox_id         integer not null references mailbox,
  email_store_id     integer references email_store,
  -- The message that is answered by it.
  incoming_email_id  bigint,
  ticket_id          bigint,
  kind               text not null check (kind in ('stored', 'acknowledgement', 'answer', 'welcome')),
  -- Lower-case address, for mail that we send by ourselves: how much one address gets is limited.
  automatic_to       text,
  message_id         text not null unique,
  -- Where the server gave it another Message-ID: answers will name that one.
  sent_message_id    text,
  provider_id        text,
  in_reply_to        text,
  sender             jsonb not null,
  recipients         jsonb not null,
  subject            text not null default '',
  text               text not null default '',
  html               text,
  state              text not null default 'queued'
    check (state in ('queued', 'sending', 'retrying', 'sent', 'failed', 'in_doubt')),
  attempts           smallint not null default 0,
  next_attempt_at    timestamptz not null default now(),
  claim_token        bigint,
  claimed_until      timestamptz,
  handover_at        timestamptz,
  -- Recipients that the server has taken, and those it refused for good as [{address, message}].
  delivered          text[] not null default '{}',
  refused            jsonb not null default '[]',
  error_code         text,
  error_message      text,
  -- What a report said about it, as far as it names our Message-ID.
  bounce             jsonb,
  bounced_at         timestamptz,
  change_seq         integer not null default 1,
  created_at         timestamptz not null default now(),
  sent_at            timestamptz,
  deleted_at         timestamptz
);
create index outgoing_email_due on outgoing_email (next_attempt_at, id)
  where state in ('queued', 'retrying') and deleted_at is null;
create index outgoing_email_sending on outgoing_email (mailbox_id, claimed_until) where state = 'sending';
create index outgoing_email_handed_over on outgoing_email (mailbox_id, handover_at) where handover_at is not null;
create index outgoing_email_troubled on outgoing_email (id)
  where (error_code is not null or bounced_at is not null) and deleted_at is null;
create index outgoing_email_of_store on outgoing_email (email_store_id) where email_store_id is not null;
create index outgoing_email_automatic on outgoing_email (automatic_to, created_at) where automatic_to is not null;
create index outgoing_email_replaced on outgoing_email (sent_message_id) where sent_message_id is not null;

-- What keeps a mailbox from sending, which is no fault of any message.
create table outgoing_pause (
  mailbox_id          integer primary key references mailbox,
  paused_until        timestamptz not null,
  consecutive_errors  integer not null default 1,
  error_code          text not null,
  error_message       text not null,
  since               timestamptz not null default now()
);

-- Halo: FormattedEmail. `labels`: label texts by field, which introduce values in inbound mail. `template`: an outbound
-- mail with variables. Which of the two it is says `use`.
create table formatted_email (
  id          integer generated always as identity primary key,
  name        text not null default '',
  use         text not null check (use in ('labels', 'template')),
  labels      jsonb not null default '{}',
  template    jsonb not null default '{}',
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now()
);

-- A mail that was sent may be an action of its ticket too.
alter table ticket_action alter column incoming_email_id drop not null;
alter table ticket_action add column outgoing_email_id bigint unique;

-- An upgrade must not begin to write to people: mailboxes that are there acknowledge nothing until somebody wants it.
update mailbox set settings = jsonb_set(settings, '{policy,dontAcknowledge}', 'true'), change_seq = change_seq + 1
  where deleted_at is null;
