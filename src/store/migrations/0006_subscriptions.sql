-- What providers were asked to tell us: one row for each folder on Graph, one (folder '') for a Gmail account. A
-- notification is noted here and in nothing else: it only ever wakes a poller.

create table subscription (
  id              bigint generated always as identity primary key,
  mailbox_id      integer not null references mailbox,
  folder          text not null,
  -- Null until the provider has made one.
  provider_id     text,
  resource        text,
  -- Of the secret that Graph's notifications carry. A digest is enough, since nobody needs the secret again.
  secret_sha256   bytea,
  -- Address and folders that it was made for: it is made anew when they change.
  made_for        text,
  expires_at      timestamptz,
  renewed_at      timestamptz,
  -- Gmail: where the history stood when the watch was made or renewed.
  history_id      text,
  -- What a lifecycle event of the provider asked for.
  need            text check (need in ('renew', 'recreate')),
  -- Mail was told of then. Later than the last listing of the mailbox: it waits to be polled.
  notified_at     timestamptz,
  failures        integer not null default 0,
  error_code      text,
  error_message   text,
  error_at        timestamptz,
  -- Nobody tries before. While somebody does, it is the time after which another one may.
  next_attempt_at timestamptz,
  unique (mailbox_id, folder)
);

create index subscription_provider_id on subscription (provider_id) where provider_id is not null;
