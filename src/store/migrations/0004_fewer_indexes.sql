-- Every message writes into every index, some of them twice: what two indexes did, one does.

-- Rows of a message and rows of a ticket are always asked for together, in the order of their ids.
alter table trace drop constraint trace_pkey;
drop index trace_by_message;
alter table trace add primary key (ledger_id, id);

alter table ticket_action drop constraint ticket_action_pkey;
drop index ticket_action_by_ticket;
alter table ticket_action add primary key (ticket_id, id);

-- 0 where the mailbox drops byte-identical copies, the id of the record where it keeps them: then one index finds the
-- records of some bytes, and refuses a copy.
alter table incoming_email add column copy bigint not null default 0;
update incoming_email set copy = id where dedup_key is null;
drop index incoming_email_content;
drop index incoming_email_raw;
alter table incoming_email drop column dedup_key;
create unique index incoming_email_content on incoming_email (raw_sha256, mailbox_id, copy);

-- What these point to is never deleted, only marked so; checking it anew for each message costs as much as the row.
alter table ledger drop constraint ledger_mailbox_id_fkey, drop constraint ledger_folder_id_fkey;
alter table incoming_email drop constraint incoming_email_mailbox_id_fkey;
alter table ticket drop constraint ticket_mailbox_id_fkey, drop constraint ticket_requester_id_fkey;
alter table ticket_action drop constraint ticket_action_ticket_id_fkey;
