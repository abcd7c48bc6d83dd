-- What operators watch, cheap enough to be asked every few seconds.

-- When a long sync last stored something: tells a sync that is slow from one that hangs.
alter table mailbox_state add column sync_progress_at timestamptz;

create index ledger_fetch_failed on ledger (mailbox_id) where state = 'fetch_failed';
create index ledger_disposition_failed on ledger (mailbox_id) where disposition = 'failed';
