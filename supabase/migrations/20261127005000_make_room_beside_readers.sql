-- Partitions are attached instead of made in place: that waits for nobody who reads or writes, and nobody waits for it. A
-- backup reads all tables for hours. And the hours and days are those of UTC, whatever the time zone of the database is.

create or replace function samples.make_partitions(since timestamptz, hours integer) returns integer
language plpgsql security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '5s'
as $$
declare
  start timestamptz := date_trunc('hour', since);
  made integer := 0;
  name text;
begin
  if hours not between 1 and 1000 then
    raise exception 'hours: % given, 1 to 1000 expected', hours;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0));
  for step in 0 .. hours - 1 loop
    name := 'sample_log_' || to_char(start + step * interval '1 hour', 'YYYYMMDDHH24');
    if samples.add_partition('sample_log', name, (start + step * interval '1 hour')::text, (start + (step + 1) * interval '1 hour')::text) then
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;

create function samples.add_partition(parent text, name text, since text, until text) returns boolean
language plpgsql security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '5s'
as $$
begin
  if to_regclass(format('samples.%I', name)) is not null then
    return false;
  end if;
  execute format(
    'create table samples.%I (like samples.%I including constraints including defaults including indexes including storage)',
    name, parent);
  execute format('grant select, insert, delete on samples.%I to service_role', name);
  execute format('alter table samples.%I attach partition samples.%I for values from (%L) to (%L)', parent, name, since, until);
  return true;
end
$$;
comment on function samples.add_partition(text, text, text, text) is 'Attaches an empty partition unless it is there; whether it was not.';
revoke all on function samples.add_partition(text, text, text, text) from public;

create or replace function samples.make_days(wanted date[]) returns void
language plpgsql security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '5s'
as $$
declare
  one date;
  monday date;
  class text;
begin
  perform pg_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0));
  foreach one in array wanted loop
    perform samples.add_partition('segments', 'segments_' || to_char(one, 'YYYYMMDD'), one::text, (one + 1)::text);
    monday := date_trunc('week', one)::date;
    foreach class in array array['days_short', 'days_long'] loop
      perform samples.add_partition(class, format('%s_%s', class, to_char(monday, 'YYYYMMDD')), monday::text, (monday + 7)::text);
    end loop;
  end loop;
end
$$;

create or replace function samples.log_hours(before timestamptz) returns setof timestamptz
language plpgsql stable security definer set search_path = '' set timezone = 'UTC'
as $$
declare
  part record;
  found boolean;
begin
  for part in
    select c.relname, to_timestamp(right(c.relname, 10), 'YYYYMMDDHH24') as hour
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'samples.sample_log'::regclass
    order by c.relname
  loop
    if part.hour < before then
      begin
        execute format('select exists (select from samples.%I)', part.relname) into found;
      exception
        when undefined_table then
          found := false;
      end;
      if found then
        return next part.hour;
      end if;
    end if;
  end loop;
end
$$;

create or replace function samples.empty_hour(hour timestamptz) returns boolean
language plpgsql security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '200ms'
as $$
declare
  name text := 'sample_log_' || to_char(hour, 'YYYYMMDDHH24');
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
  when undefined_table then
    return true;
end
$$;

-- Who drops holds up all who come after while it waits, and whoever reads one partition for long mostly reads them all:
-- the first that cannot be had at once ends it until the next time, and so does another hub that is at it.
create or replace function samples.drop_partitions(before timestamptz) returns integer
language plpgsql security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '200ms'
as $$
declare
  cut text := 'sample_log_' || to_char(before, 'YYYYMMDDHH24');
  dropped integer := 0;
  part record;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0)) then
    return 0;
  end if;
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
        return dropped;
    end;
  end loop;
  return dropped;
end
$$;

create or replace function samples.drop_days(before date) returns integer
language plpgsql security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '200ms'
as $$
declare
  part record;
  dropped integer := 0;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0)) then
    return 0;
  end if;
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
        return dropped;
    end;
  end loop;
  return dropped;
end
$$;

create or replace function samples.drop_empty(log_before timestamptz, segments_before date, days_before date) returns integer
language plpgsql security definer set search_path = '' set timezone = 'UTC' set lock_timeout = '200ms'
as $$
declare
  part record;
  found boolean;
  dropped integer := 0;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0)) then
    return 0;
  end if;
  for part in
    select c.relname from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = any (array['samples.sample_log', 'samples.segments', 'samples.days_short', 'samples.days_long']::regclass[])
      and (c.relname like 'sample\_log\_%' and c.relname < 'sample_log_' || to_char(log_before, 'YYYYMMDDHH24')
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
        return dropped;
    end;
  end loop;
  return dropped;
end
$$;
