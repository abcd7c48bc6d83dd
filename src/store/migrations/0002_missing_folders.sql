-- Folders of the mailbox that were not on the server at the last pass; its other folders were read.
alter table mailbox_state add column missing_folders text[] not null default '{}';
