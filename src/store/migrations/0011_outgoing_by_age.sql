-- Mail of ours is removed by age, as other mail is.
create index outgoing_email_by_age on outgoing_email (sent_at) where state = 'sent';
create index outgoing_email_removed on outgoing_email (deleted_at) where deleted_at is not null;
