-- Bytes of many small messages that were committed together are one file: a row says which, and where they begin in it.
alter table raw_message add column pack uuid, add column pack_offset integer;
-- What is there obeys the new rules already, and looking would mean to read all of it.
alter table raw_message drop constraint raw_message_place_check, drop constraint raw_message_check,
  add constraint raw_message_place_check check (place in ('inline', 'file', 'pack')) not valid,
  add constraint raw_message_bytes_check check ((place = 'inline') = (bytes is not null)) not valid,
  add constraint raw_message_pack_check
    check ((place = 'pack') = (pack is not null) and (pack is null) = (pack_offset is null)) not valid;
-- A file goes when no row names it any more.
create index raw_message_pack on raw_message (pack) where pack is not null;
