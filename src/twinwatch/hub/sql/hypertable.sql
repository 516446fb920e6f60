-- What the timescale engine needs in the database. Not a migration: most databases have no TimescaleDB. Said by the
-- owner of the schema with TimescaleDB's own schema as the search path, which the functions keep.

-- name: extension
-- The version in this database, and whose names its functions go by.
select e.extversion as version, quote_ident(n.nspname) as schema
from pg_catalog.pg_extension as e
join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'timescaledb'

-- name: offered
-- Whether this server has it to be created.
select default_version as version from pg_catalog.pg_available_extensions where name = 'timescaledb'

-- name: install
create extension if not exists timescaledb

-- name: licence
select current_setting('timescaledb.license', true) as licence

-- name: speak_as
select set_config('search_path', %(schema)s, true)

-- name: make_tables
create table samples.readings (
  series_id bigint not null,
  taken_at timestamptz not null,
  value double precision not null,
  primary key (series_id, taken_at)
);
comment on table samples.readings is 'A sample a row: the hypertable of the timescale engine.';
comment on column samples.readings.series_id is 'public.series.id; no foreign key, which would be looked up for every sample.';
comment on column samples.readings.taken_at is 'By the agent''s clock, whole milliseconds.';

create table samples.ended_series (
  series_id bigint primary key,
  server_id uuid not null
);
comment on table samples.ended_series is 'Series that are gone, whose readings are still to be removed.';

revoke all on samples.readings, samples.ended_series from anon, authenticated, service_role;
grant select, insert, delete on samples.readings to service_role;
grant select, delete on samples.ended_series to service_role;

create function samples.note_ended_series() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into samples.ended_series (series_id, server_id)
  select e.id, e.server_id from ended as e
  on conflict do nothing;
  return null;
end
$$;
revoke all on function samples.note_ended_series() from public;
comment on function samples.note_ended_series() is 'Keeps in mind whose readings nobody can find any more.';
create trigger note_ended_series after delete on public.series
referencing old table as ended for each statement execute function samples.note_ended_series();

-- name: make_hypertable
-- A quarter of a day: what is being written, with its index, is to fit in memory for a fleet too. By the older of two
-- interfaces: the Apache edition that Supabase has does not know by_range.
select create_hypertable(
  'samples.readings', 'taken_at', chunk_time_interval => interval '6 hours', create_default_indexes => false)

-- name: make_functions
-- The hypertable belongs to the owner of the schema: these are the hub's only way to drop parts of it or to set its
-- policies. None waits long for a lock, since who waits for a table's lock holds up all who come after.
create or replace function samples.drop_readings(before timestamptz) returns integer
language plpgsql security definer set search_path from current set lock_timeout = '200ms'
as $$
declare
  dropped integer;
begin
  select count(*) into dropped from drop_chunks('samples.readings', older_than => before);
  return dropped;
exception
  when lock_not_available then
    return 0;
end
$$;
comment on function samples.drop_readings(timestamptz) is 'Drops the chunks that ended at or before this time; returns how many.';

create or replace function samples.keep_readings(days integer) returns boolean
language plpgsql security definer set search_path from current
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0));
  if not exists (
    select from timescaledb_information.jobs
    where hypertable_schema = 'samples' and hypertable_name = 'readings' and proc_name = 'policy_retention'
      and (config ->> 'drop_after')::interval = make_interval(days => days)
  ) then
    perform remove_retention_policy('samples.readings', if_exists => true);
    perform add_retention_policy('samples.readings', drop_after => make_interval(days => days));
  end if;
  return true;
exception
  when feature_not_supported then
    return false; -- so says the Apache licence
end
$$;
comment on function samples.keep_readings(integer) is 'Has TimescaleDB drop what is older than so many days; whether its licence lets it.';

create or replace function samples.readings_bytes() returns bigint
language sql stable security definer set search_path from current
as $$
  select hypertable_size('samples.readings')
$$;
comment on function samples.readings_bytes() is 'Bytes of all chunks, with their indexes and what is compressed.';

-- No search path: a function with settings is not inlined, and then a row is a call. The body is bound when it is made.
create or replace function samples.bucket(width interval, moment timestamptz) returns timestamptz
language sql immutable parallel safe
return time_bucket(width, moment, timestamptz '1970-01-01 00:00:00+00');
comment on function samples.bucket(interval, timestamptz) is 'The start of the bucket that a moment falls into, counted from 1970.';

do $rights$
declare
  name text;
begin
  foreach name in array array[
    'drop_readings(timestamptz)', 'keep_readings(integer)', 'readings_bytes()',
    'bucket(interval, timestamptz)'
  ] loop
    execute format('revoke all on function samples.%s from public', name);
    execute format('grant execute on function samples.%s to service_role', name);
  end loop;
end
$rights$;

-- name: compresses
select compression_enabled as compresses
from timescaledb_information.hypertables
where hypertable_schema = 'samples' and hypertable_name = 'readings'

-- name: compress
alter table samples.readings set (
  timescaledb.compress,
  timescaledb.compress_segmentby = 'series_id',
  timescaledb.compress_orderby = 'taken_at desc'
)

-- name: add_compression_policy
-- A day after its end hardly anything comes to a chunk any more, and what comes still finds in.
select add_compression_policy('samples.readings', compress_after => interval '1 day', if_not_exists => true)

-- name: is_there
select to_regclass('samples.readings') is not null as is_there

-- name: newest_in_blocks
select max(last_at) as newest
from (
  select max(last_at) as last_at from samples.sample_log
  union all
  select max(last_at) from samples.segments
  union all
  select max(last_at) from samples.days
) as kept

-- name: has_newer
-- Whether the hypertable is the one that was written to last: what was copied there is no newer than what it came from.
select exists (select from samples.readings where taken_at > %(newest)s) as has_newer
