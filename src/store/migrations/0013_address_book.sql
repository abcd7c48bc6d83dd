-- What narrows the address book finds its users by itself, with a word that everybody has and without. Users that mail
-- makes have none of these, so they cost nothing to write.
create index requester_organisation on requester (organisation_id) where organisation_id <> 0;
create index requester_department on requester (department_id) where department_id <> 0;
create index requester_toplevel on requester (toplevel_id) where toplevel_id <> 0;
create index requester_linked_user on requester (linked_user_id) where linked_user_id <> 0;
create index requester_approver on requester (id) where is_approver;
create index requester_inactive on requester (id) where inactive;
create index requester_service_account on requester (id) where is_service_account;
create index requester_azure on requester (id) where azure_id <> '';
create index requester_okta on requester (id) where okta_id <> '';
create index requester_roles on requester using gin (regexp_split_to_array(role_list, '\s*,\s*')) where role_list <> '';

-- As with words: how frequent a piece of a number is decides how it is looked for.
alter table requester alter column phones set statistics 1000;
analyze requester;
