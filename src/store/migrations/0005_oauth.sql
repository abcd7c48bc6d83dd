-- Access tokens of mailboxes, one row a credential. The row is locked while one process asks for a new token, so that
-- no two do; the tokens themselves are in `secret` under the owner `oauth:<credential>`.

create table oauth_token (
  credential          text primary key,
  obtained_at         timestamptz,
  life_ms             bigint,
  refresh_expires_at  timestamptz,
  renewals            bigint not null default 0,
  -- Why the last attempt gave no token; all null after one that did.
  failure_code        text,
  failure_message     text,
  failure_reason      text,
  -- True when asking again is no use until the credential changes.
  failure_terminal    boolean,
  failure_at          timestamptz,
  failure_wait_ms     bigint,
  failure_attempts    integer not null default 0
);
