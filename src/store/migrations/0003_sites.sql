-- Where requesters belong, and by which addresses new ones are recognised (src/ticket/site.ts).
create table site (
  id             integer generated always as identity primary key,
  name           text not null,
  client_id      integer not null default 0,
  email_domains  text[] not null default '{}',
  to_domains     text[] not null default '{}',
  created_at     timestamptz not null default now()
);

-- The switches of mailboxes were only kept until now.
update mailbox set settings = jsonb_set(settings, '{policy}', settings->'policy' || jsonb_build_object(
  'siteByPrefix', coalesce((halo->>'site_prefix_matching')::boolean, true),
  'siteByWildcard', coalesce((halo->>'site_wildcard_matching')::boolean, true),
  'siteByDomain', coalesce((halo->>'site_domain_matching')::boolean, true),
  'siteByRecipient', coalesce((halo->>'site_tocc_matching')::boolean, true)));
