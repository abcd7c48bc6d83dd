-- What a mailbox logs in with: several, tried in this order. Halo's login fields of a mailbox are those of its first.
create table mailbox_credential (
  id               integer generated always as identity primary key,
  guid             uuid not null default gen_random_uuid(),
  mailbox_id       integer not null references mailbox,
  sequence         integer not null,
  -- Its secrets and its tokens are kept under this name.
  name             text not null unique,
  -- CredentialSettings: how it logs in. Secrets are not here.
  settings         jsonb not null,
  -- Halo fields that clients store here and Penstock does not read.
  halo             jsonb not null default '{}',
  created_at       timestamptz not null default now(),
  -- Since when it is the one that is used; null when another one is.
  used_since       timestamptz,
  -- Why the mail server let nobody in with it at the last attempt; null after one that went well. Why there is no token
  -- is in oauth_token.
  refused_code     text,
  refused_message  text,
  refused_at       timestamptz
);
create index mailbox_credential_of on mailbox_credential (mailbox_id, sequence, id);

-- Each mailbox keeps its login. Secrets and tokens stay where they are: they are sealed under that name.
insert into mailbox_credential (mailbox_id, sequence, name, settings)
select id, 0, 'mailbox:' || id,
  jsonb_build_object('auth', settings->'server'->'auth', 'oauth', coalesce(settings->'oauth', 'null'::jsonb))
from mailbox where deleted_at is null order by id;
update mailbox set settings = (settings #- '{server,auth}'::text[]) - 'oauth'::text;

-- Links with which a person signs in for a credential, in a browser. Only digests: what they are made of goes to people.
create table sign_in (
  link_sha256    bytea primary key,
  credential_id  integer not null references mailbox_credential on delete cascade,
  -- Who made the link, for the audit log.
  actor          text not null,
  expires_at     timestamptz not null,
  done_at        timestamptz
);
-- Each time that such a link is opened: what the provider's answer must fit.
create table sign_in_attempt (
  state_sha256  bytea primary key,
  link_sha256   bytea not null references sign_in on delete cascade,
  -- PKCE (RFC 7636): the verifier is a cookie of the browser that began, and nowhere else.
  challenge     text not null,
  redirect_uri  text not null,
  expires_at    timestamptz not null
);
