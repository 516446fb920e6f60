-- Samples at rest. What the log takes in by the batch is turned into columns: segments as long as their day is not over,
-- then one row for a day of a shape, with roll-ups beside. The log's hours are emptied whole, days go by the week.

create table samples.segments (
  id bigint generated always as identity,
  organization_id uuid not null,
  server_id uuid not null,
  shape text not null,
  day date not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  samples bigint not null,
  starts integer[] not null,
  body bytea not null
) partition by range (day);
comment on table samples.segments is 'Samples of one shape and day, out of an hour of the log; until the day is merged.';
comment on column samples.segments.day is 'The day, in UTC, of all samples in the body.';
comment on column samples.segments.shape is 'public.shapes.id: which series the columns are.';
comment on column samples.segments.first_at is 'Time of the oldest sample, by the agent''s clock.';
comment on column samples.segments.last_at is 'Time of the newest sample, by the agent''s clock.';
comment on column samples.segments.samples is 'How many values, gaps not counted.';
comment on column samples.segments.starts is 'Where each part of the body begins, and where the last one ends: the times, then a part for each of the shape''s columns.';
comment on column samples.segments.body is 'Parts as hub/stores/columns.py packs them.';
alter table samples.segments alter column body set storage external;
create index segments_server_id_idx on samples.segments (server_id, day);

create table samples.days (
  organization_id uuid not null,
  server_id uuid not null,
  shape text not null,
  day date not null,
  keep text not null check (keep in ('short', 'long')),
  first_at timestamptz not null,
  last_at timestamptz not null,
  samples bigint not null,
  starts integer[] not null,
  body bytea not null,
  rolled_starts integer[] not null,
  rolled bytea not null
) partition by list (keep);
comment on table samples.days is 'Samples of one shape and day, with roll-ups of five minutes and of an hour.';
comment on column samples.days.keep is 'How long the organization kept its samples when this was written; those kept for long do not hold up the end of those that are not.';
comment on column samples.days.starts is 'As in samples.segments.';
comment on column samples.days.day is 'The day, in UTC.';
comment on column samples.days.body is 'As in samples.segments.';
comment on column samples.days.shape is 'public.shapes.id: which series the columns are.';
comment on column samples.days.first_at is 'Time of the oldest sample, by the agent''s clock.';
comment on column samples.days.last_at is 'Time of the newest sample, by the agent''s clock.';
comment on column samples.days.samples is 'How many values, gaps not counted.';
comment on column samples.days.rolled_starts is 'Where each part of the roll-ups begins, and where the last one ends: axis and columns of five minutes, then of an hour.';
comment on column samples.days.rolled is 'Parts as hub/stores/rollups.py packs them.';
create table samples.days_short partition of samples.days for values in ('short') partition by range (day);
create table samples.days_long partition of samples.days for values in ('long') partition by range (day);
comment on table samples.days_short is 'Of organizations that keep samples for a month or less.';
comment on table samples.days_long is 'Of organizations that keep samples for longer.';
alter table samples.days alter column body set storage external, alter column rolled set storage external;
alter table samples.days_short alter column body set storage external, alter column rolled set storage external;
alter table samples.days_long alter column body set storage external, alter column rolled set storage external;
create index days_server_id_idx on samples.days (server_id, day);

create table samples.newest (
  organization_id uuid not null,
  server_id uuid not null,
  shape text not null,
  times bigint[] not null,
  readings double precision[] not null,
  primary key (server_id, shape)
);
comment on table samples.newest is 'The newest sample of each of a shape''s columns among those that have left the log.';
comment on column samples.newest.shape is 'public.shapes.id: which series the columns are.';
comment on column samples.newest.times is 'ms UTC by column; 0 where there was none.';
comment on column samples.newest.readings is 'The value at that time.';

revoke all on samples.segments, samples.days, samples.newest from anon, authenticated, service_role;
grant select, insert, delete on samples.segments, samples.days to service_role;
grant select, insert, update, delete on samples.newest to service_role;

-- Partitions belong to the owner of the schema: these are the hub's only way to make, empty or drop them. None waits
-- long for a lock, since who waits for a table's lock holds up all who come after; what was not done is done next time.
create function samples.make_days(wanted date[]) returns void
language plpgsql security definer set search_path = ''
as $$
declare
  one date;
  monday date;
  name text;
  class text;
begin
  perform pg_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0));
  foreach one in array wanted loop
    name := 'segments_' || to_char(one, 'YYYYMMDD');
    if to_regclass(format('samples.%I', name)) is null then
      execute format(
        'create table samples.%I partition of samples.segments for values from (%L) to (%L)', name, one, one + 1);
      execute format('grant select, insert, delete on samples.%I to service_role', name);
    end if;
    monday := date_trunc('week', one)::date;
    foreach class in array array['short', 'long'] loop
      name := format('days_%s_%s', class, to_char(monday, 'YYYYMMDD'));
      if to_regclass(format('samples.%I', name)) is null then
        execute format(
          'create table samples.%I partition of samples.%I for values from (%L) to (%L)',
          name, 'days_' || class, monday, monday + 7);
        execute format('grant select, insert, delete on samples.%I to service_role', name);
      end if;
    end loop;
  end loop;
end
$$;
comment on function samples.make_days(date[]) is 'Makes the missing partitions for samples of these days.';

create function samples.log_hours(before timestamptz) returns setof timestamptz
language plpgsql stable security definer set search_path = ''
as $$
declare
  part record;
  found boolean;
begin
  for part in
    select c.relname, to_timestamp(right(c.relname, 10), 'YYYYMMDDHH24')::timestamp at time zone 'UTC' as hour
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'samples.sample_log'::regclass
    order by c.relname
  loop
    if part.hour < before then
      execute format('select exists (select from samples.%I)', part.relname) into found;
      if found then
        return next part.hour;
      end if;
    end if;
  end loop;
end
$$;
comment on function samples.log_hours(timestamptz) is 'The hours of the log that began before this time and hold batches, oldest first.';

create function samples.empty_hour(hour timestamptz) returns boolean
language plpgsql security definer set search_path = '' set lock_timeout = '200ms'
as $$
declare
  name text := 'sample_log_' || to_char(hour at time zone 'UTC', 'YYYYMMDDHH24');
  found boolean;
begin
  -- The partition alone: whoever takes in samples of this hour does not touch it.
  execute format('lock table samples.%I in access exclusive mode', name);
  execute format('select exists (select from samples.%I)', name) into found;
  if not found then
    execute format('truncate samples.%I', name);
  end if;
  return not found;
exception
  when lock_not_available then
    return false;
end
$$;
comment on function samples.empty_hour(timestamptz) is 'Gives the room of an hour of the log back if all its batches were taken from it; whether it did.';

create function samples.drop_empty(log_before timestamptz, segments_before date, days_before date) returns integer
language plpgsql security definer set search_path = '' set lock_timeout = '200ms'
as $$
declare
  part record;
  found boolean;
  dropped integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0));
  for part in
    select c.relname from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = any (array['samples.sample_log', 'samples.segments', 'samples.days_short', 'samples.days_long']::regclass[])
      and (c.relname like 'sample\_log\_%' and c.relname < 'sample_log_' || to_char(log_before at time zone 'UTC', 'YYYYMMDDHH24')
        or c.relname like 'segments\_%' and c.relname < 'segments_' || to_char(segments_before, 'YYYYMMDD')
        or c.relname like 'days\_%' and right(c.relname, 8) < to_char(days_before - 6, 'YYYYMMDD'))
    order by c.relname
  loop
    begin
      execute format('select exists (select from samples.%I)', part.relname) into found;
      if not found then
        execute format('lock table samples.%I in access exclusive mode', part.relname);
        execute format('select exists (select from samples.%I)', part.relname) into found;
        if not found then
          execute format('drop table samples.%I', part.relname);
          dropped := dropped + 1;
        end if;
      end if;
    exception
      when lock_not_available then
        null;
    end;
  end loop;
  return dropped;
end
$$;
comment on function samples.drop_empty(timestamptz, date, date) is 'Drops partitions that hold nothing and will not again: hours, days and weeks that ended before; returns how many.';

create function samples.drop_days(before date) returns integer
language plpgsql security definer set search_path = '' set lock_timeout = '200ms'
as $$
declare
  part record;
  dropped integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0));
  for part in
    select c.relname from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = any (array['samples.segments', 'samples.days_short', 'samples.days_long']::regclass[])
      and (c.relname like 'segments\_%' and c.relname < 'segments_' || to_char(before, 'YYYYMMDD')
        or c.relname like 'days\_%' and right(c.relname, 8) <= to_char(before - 7, 'YYYYMMDD'))
    order by c.relname
  loop
    begin
      execute format('drop table samples.%I', part.relname);
      dropped := dropped + 1;
    exception
      when lock_not_available then
        null;
    end;
  end loop;
  return dropped;
end
$$;
comment on function samples.drop_days(date) is 'Drops the partitions all of whose days are before this one; returns how many.';

create function samples.size_bytes() returns bigint
language sql stable security definer set search_path = ''
as $$
  select coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint
  from pg_catalog.pg_class c
  where c.relnamespace = 'samples'::regnamespace and c.relkind = 'r'
$$;
comment on function samples.size_bytes() is 'Bytes of all tables of samples, with their indexes and what is stored beside them.';

do $rights$
declare
  name text;
begin
  foreach name in array array[
    'make_days(date[])', 'log_hours(timestamptz)', 'empty_hour(timestamptz)', 'drop_empty(timestamptz, date, date)',
    'drop_days(date)', 'size_bytes()'
  ] loop
    execute format('revoke all on function samples.%s from public', name);
    execute format('grant execute on function samples.%s to service_role', name);
  end loop;
end
$rights$;

-- As before, but it waits for no lock: whoever takes in samples would wait behind it.
create or replace function samples.drop_partitions(before timestamptz) returns integer
language plpgsql security definer set search_path = '' set lock_timeout = '200ms'
as $$
declare
  cut text := 'sample_log_' || to_char(before at time zone 'UTC', 'YYYYMMDDHH24');
  dropped integer := 0;
  part record;
begin
  perform pg_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0));
  for part in
    select c.relname from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'samples.sample_log'::regclass and c.relname < cut
    order by c.relname
  loop
    begin
      execute format('drop table samples.%I', part.relname);
      dropped := dropped + 1;
    exception
      when lock_not_available then
        null;
    end;
  end loop;
  return dropped;
end
$$;

alter table public.organizations add column retention_days integer check (retention_days between 1 and 36500);
comment on column public.organizations.retention_days is 'For how long samples are kept, where it was agreed otherwise than the plan has it.';
