-- Ids of field mappings: they live inside their rule, but clients take them for ids of records.
create sequence field_mapping as integer;

-- Lists show the newest first; ties are broken by id.
create index incoming_email_created on incoming_email (created_at desc, id);
