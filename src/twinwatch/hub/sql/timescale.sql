-- name: is_there
select to_regclass('samples.readings') is not null as is_there

-- name: add
-- The one that came first stays, as unique indexes have it.
insert into samples.readings (series_id, taken_at, value)
select t.series_id, timestamptz '1970-01-01 00:00:00+00' + t.time * interval '1 millisecond', t.value
from unnest(%(series)b::bigint[], %(times)b::bigint[], %(values)b::float8[]) as t (series_id, time, value)
on conflict (series_id, taken_at) do nothing

-- name: hold_server
-- Whoever deletes it waits until what is being filled in is there, and then removes that too.
select id from public.servers where id = %(server)s and organization_id = %(organization)s for key share

-- name: series_of_server
select id from public.series where server_id = %(server)s and id = any (%(series)b::bigint[])

-- name: samples
select series_id,
  array_agg(round(date_part('epoch', taken_at) * 1000)::bigint order by taken_at) as times,
  array_agg(value order by taken_at) as readings
from samples.readings
where series_id = any (%(series)b::bigint[]) and taken_at >= %(since)s and taken_at < %(to)s
group by series_id

-- name: buckets
select series_id, array_agg(round(date_part('epoch', bucket) * 1000)::bigint order by bucket) as times,
  array_agg(counts::float8 order by bucket) as counts, array_agg(sums order by bucket) as sums,
  array_agg(mins order by bucket) as mins, array_agg(maxs order by bucket) as maxs
from (
  select series_id, samples.bucket(%(step)s::interval, taken_at) as bucket,
    count(*) as counts, sum(value) as sums, min(value) as mins, max(value) as maxs
  from samples.readings
  where series_id = any (%(series)b::bigint[]) and taken_at >= %(since)s and taken_at < %(to)s
  group by 1, 2
) as rolled
group by series_id

-- name: latest
-- Two hours before what each server sent last: whatever was heard in the hour before the newest is in there.
select s.id as server_id, e.id as series_id,
  round(date_part('epoch', newest.taken_at) * 1000)::bigint as time, newest.value
from public.servers as s
join public.series as e on e.server_id = s.id
cross join lateral (
  select r.taken_at, r.value
  from samples.readings as r
  where r.series_id = e.id and r.taken_at > s.last_sample_at - interval '2 hours'
  order by r.taken_at desc
  limit 1
) as newest
where s.id = any (%(servers)b::uuid[]) and (%(series)b::bigint[] is null or e.id = any (%(series)b::bigint[]))

-- name: unbounded
-- What is compressed is unpacked to be changed; how much of it may be, is bounded by what one statement asks for. Where
-- TimescaleDB knows no such limit, it takes the name for an error.
select case when current_setting('timescaledb.max_tuples_decompressed_per_dml_transaction', true) is not null
  then set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true) end

-- name: keep
select samples.keep_readings(%(days)s) as is_kept

-- name: drop_chunks
select samples.drop_readings(%(before)s) as dropped

-- name: oldest_chunk
select min(range_start) as oldest
from timescaledb_information.chunks
where hypertable_schema = 'samples' and hypertable_name = 'readings'

-- name: series_of_organizations
select e.id
from public.series as e
join public.servers as s on s.id = e.server_id
where s.organization_id = any (%(organizations)b::uuid[])
order by e.id

-- name: expire
delete from samples.readings
where series_id = any (%(series)b::bigint[]) and taken_at >= %(since)s and taken_at < %(to)s

-- name: series_to_forget
select id from public.series where server_id = %(server)s
union
select series_id from samples.ended_series where server_id = %(server)s
order by id

-- name: ended_series
select series_id as id from samples.ended_series order by series_id limit %(most)s

-- name: forget
delete from samples.readings where series_id = any (%(series)b::bigint[])

-- name: forgotten
delete from samples.ended_series where series_id = any (%(series)b::bigint[])

-- name: stats
select count(*) as samples, min(taken_at) as oldest from samples.readings

-- name: stats_of_organization
select count(*) as samples, min(r.taken_at) as oldest
from samples.readings as r
join public.series as e on e.id = r.series_id
join public.servers as s on s.id = e.server_id
where s.organization_id = %(organization)s

-- name: size
select samples.readings_bytes() as size_bytes
