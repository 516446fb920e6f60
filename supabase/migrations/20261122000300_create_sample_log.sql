-- Samples as they came: a row per batch, a partition per hour of arrival. No browser role can reach this schema;
-- a read resolves the server through row security first (TimescaleDB refuses compression under row security).

create schema samples;
grant usage on schema samples to service_role;

create table samples.sample_log (
  organization_id uuid not null,
  server_id uuid not null,
  sequence bigint not null,
  received_at timestamptz not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  samples integer not null,
  body bytea not null
) partition by range (received_at);
comment on table samples.sample_log is 'One committed batch a row, append only; whole hours are dropped when they are past keeping.';
comment on column samples.sample_log.sequence is 'The batch''s number; the server''s mark rose to it in the same statement.';
comment on column samples.sample_log.received_at is 'When the batch arrived, by the hub''s clock.';
comment on column samples.sample_log.first_at is 'Time of the oldest sample in the batch, by the agent''s clock.';
comment on column samples.sample_log.last_at is 'Time of the newest sample in the batch, by the agent''s clock.';
comment on column samples.sample_log.samples is 'How many values, gaps not counted.';
comment on column samples.sample_log.body is 'zstd of msgpack: list of [shape, times ms, columns].';
alter table samples.sample_log alter column body set storage external;
create index sample_log_server_id_idx on samples.sample_log (server_id, received_at);

revoke all on samples.sample_log from anon, authenticated, service_role;
grant select, insert, delete on samples.sample_log to service_role;

-- Partitions belong to the owner of the schema, not to the hub's role: these two are its only way to make or drop one.
create function samples.make_partitions(since timestamptz, hours integer) returns integer
language plpgsql security definer set search_path = ''
as $$
declare
  start timestamptz := date_trunc('hour', since, 'UTC');
  made integer := 0;
  name text;
begin
  if hours not between 1 and 1000 then
    raise exception 'hours: % given, 1 to 1000 expected', hours;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('twinwatch.partitions', 0));
  for step in 0 .. hours - 1 loop
    name := 'sample_log_' || to_char((start + step * interval '1 hour') at time zone 'UTC', 'YYYYMMDDHH24');
    if to_regclass(format('samples.%I', name)) is null then
      execute format(
        'create table samples.%I partition of samples.sample_log for values from (%L) to (%L)',
        name, start + step * interval '1 hour', start + (step + 1) * interval '1 hour');
      execute format('grant select, insert, delete on samples.%I to service_role', name);
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;
comment on function samples.make_partitions(timestamptz, integer) is 'Makes the missing hourly partitions; returns how many.';

create function samples.drop_partitions(before timestamptz) returns integer
language plpgsql security definer set search_path = ''
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
    execute format('drop table samples.%I', part.relname);
    dropped := dropped + 1;
  end loop;
  return dropped;
end
$$;
comment on function samples.drop_partitions(timestamptz) is 'Drops the hourly partitions that ended at or before the hour of this time; returns how many.';

revoke all on function samples.make_partitions(timestamptz, integer) from public;
revoke all on function samples.drop_partitions(timestamptz) from public;
grant execute on function samples.make_partitions(timestamptz, integer) to service_role;
grant execute on function samples.drop_partitions(timestamptz) to service_role;
