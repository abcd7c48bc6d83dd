-- Requesters become the users of Halo's address book, and the settings of an installation that Halo keeps at /Control.

-- Part of PostgreSQL's contrib modules; whoever owns the database may create it.
create extension if not exists pg_trgm;

alter table requester
  add column organisation_id integer not null default 0,
  add column department_id integer not null default 0,
  add column toplevel_id integer not null default 0,
  add column linked_agent_id integer not null default 0,
  add column relationship_id integer not null default 0,
  add column linked_user_id integer not null default 0,
  add column is_approver boolean not null default false,
  add column is_service_account boolean not null default false,
  add column role_list text not null default '',
  add column azure_id text not null default '',
  add column okta_id text not null default '',
  -- Fields that are only kept for Halo's clients.
  add column halo jsonb not null default '{}',
  add column updated_at timestamptz not null default now();

-- array_to_string is not immutable for every type; of text it is.
create function requester_words(name text, first_name text, surname text, address text, others text[]) returns text
  language sql immutable parallel safe
  return lower(' ' || name || ' ' || first_name || ' ' || surname || ' ' || address || ' ' || array_to_string(others, ' '));

-- What a search looks into: text in lower case, each word after a space; and the digits of phone numbers.
alter table requester
  add column words text generated always as
    (requester_words(name, first_name, surname, address, alternative_addresses)) stored,
  add column phones text generated always as
    (regexp_replace(coalesce(halo->>'phonenumber', '') || ';' || coalesce(halo->>'homenumber', '') || ';' ||
      coalesce(halo->>'mobilenumber', '') || ';' || coalesce(halo->>'mobilenumber2', ''), '[^0-9;]', '', 'g')) stored;

create index requester_words on requester using gin (words gin_trgm_ops);
create index requester_phones on requester using gin (phones gin_trgm_ops);
-- The order of the address book, and names that begin with some letters.
create index requester_name on requester ((lower(name) collate "C"), id);
create index requester_client on requester (client_id) where client_id <> 0;
create index requester_site on requester (site_id) where site_id <> 0;

-- How frequent a word is decides how it is looked for; the sample must be large enough to tell.
alter table requester alter column words set statistics 1000;

create table control (
  -- One row.
  id        integer primary key default 1 check (id = 1),
  -- What was set here, and so wins over the configuration file.
  settings  jsonb not null default '{}'
);
insert into control default values;
