-- name: lead
-- Of several hubs one compacts at a time.
select pg_try_advisory_xact_lock(hashtextextended('twinwatch.compaction', 0)) as leads

-- name: closed_hours
select samples.log_hours(%(before)s) as hour

-- name: next_servers
-- Whose batches of an hour are next, and which days they reach into.
select server_id, min(first_at) as first_at, max(last_at) as last_at
from samples.sample_log
where received_at >= %(hour)s and received_at < %(hour)s::timestamptz + interval '1 hour'
  and server_id > %(after)s
group by server_id
order by server_id
limit %(servers)s

-- name: make_days
select samples.make_days(%(days)s::date[])

-- name: take
-- What is taken here and what it becomes are one transaction: a kill in between leaves it where it was.
delete from samples.sample_log
where received_at >= %(hour)s and received_at < %(hour)s::timestamptz + interval '1 hour'
  and server_id = any (%(servers)b)
returning organization_id, server_id, received_at, sequence, body

-- name: empty_hour
select samples.empty_hour(%(hour)s) as emptied

-- name: shapes_of_servers
-- Of a server that is gone there are none.
select server_id, id, series_ids from public.shapes where server_id = any (%(servers)b)

-- name: add_segment
insert into samples.segments (organization_id, server_id, shape, day, first_at, last_at, samples, starts, body)
values (%(organization)s, %(server)s, %(shape)s, %(day)s, %(first)s, %(last)s, %(samples)s, %(starts)b, %(body)b)

-- name: newest_of_servers
select server_id, shape, times, readings from samples.newest where server_id = any (%(servers)b::uuid[])

-- name: keep_newest
insert into samples.newest (organization_id, server_id, shape, times, readings)
values (%(organization)s, %(server)s, %(shape)s, %(times)b, %(readings)b)
on conflict (server_id, shape) do update set times = excluded.times, readings = excluded.readings

-- name: closed_days
select server_id, day
from samples.segments
where day < %(before)s and (day, server_id) > (%(after_day)s::date, %(after)s::uuid)
group by server_id, day
order by day, server_id
limit %(most)s

-- name: take_segments
delete from samples.segments
where server_id = %(server)s and day = %(day)s
returning id, organization_id, shape, starts, body

-- name: take_days
delete from samples.days
where server_id = %(server)s and day = %(day)s
returning organization_id, shape, starts, body

-- name: add_day
insert into samples.days
  (organization_id, server_id, shape, day, keep, first_at, last_at, samples, starts, body, rolled_starts, rolled)
values (%(organization)s, %(server)s, %(shape)s, %(day)s, %(keep)s, %(first)s, %(last)s, %(samples)s,
  %(starts)b, %(body)b, %(rolled_starts)b, %(rolled)b)

-- name: drop_empty
select samples.drop_empty(%(log_before)s, %(segments_before)s::date, %(days_before)s::date)

-- name: oldest_hour
-- By the hours of the log that hold any: batches are not looked at one by one.
select min(hour) as oldest from samples.log_hours('infinity') as hour

-- name: shapes_of_series
select id, series_ids
from public.shapes
where server_id = %(server)s and series_ids && %(series)b::bigint[]
order by id

-- name: segment_parts
select s.id, s.day, s.shape, w.part,
  substr(s.body, s.starts[w.part + 1] + 1, s.starts[w.part + 2] - s.starts[w.part + 1]) as packed
from samples.segments as s
join unnest(%(shapes)b::text[], %(parts)b::int[]) as w (shape, part) on w.shape = s.shape
where s.server_id = %(server)s and s.day >= %(first)s and s.day <= %(last)s
order by s.id, w.part

-- name: day_parts
select d.day, d.shape, w.part,
  substr(d.body, d.starts[w.part + 1] + 1, d.starts[w.part + 2] - d.starts[w.part + 1]) as packed
from samples.days as d
join unnest(%(shapes)b::text[], %(parts)b::int[]) as w (shape, part) on w.shape = d.shape
where d.server_id = %(server)s and d.day = any (%(days)b::date[])
order by d.day, d.shape, w.part

-- name: rolled_parts
select d.day, d.shape, w.part,
  substr(d.rolled, d.rolled_starts[w.part + 1] + 1, d.rolled_starts[w.part + 2] - d.rolled_starts[w.part + 1])
    as packed
from samples.days as d
join unnest(%(shapes)b::text[], %(parts)b::int[]) as w (shape, part) on w.shape = d.shape
where d.server_id = %(server)s and d.day >= %(first)s and d.day <= %(last)s and d.day <> all (%(days)b::date[])
order by d.day, d.shape, w.part

-- name: forget_segments
delete from samples.segments where server_id = %(server)s

-- name: forget_days
delete from samples.days where server_id = %(server)s

-- name: forget_newest
delete from samples.newest where server_id = %(server)s

-- name: drop_days
select samples.drop_days(%(before)s::date)

-- name: expire_segments
delete from samples.segments as x
using unnest(%(organizations)b::uuid[]) as t (organization_id)
where x.organization_id = t.organization_id and x.day >= %(since)s::date and x.day < %(cut)s::date

-- name: expire_days
-- What is older than these organizations keep it, in the weeks that can hold any. By a join, as in sample_log.expire.
delete from samples.days as x
using unnest(%(organizations)b::uuid[]) as t (organization_id)
where x.organization_id = t.organization_id and x.day >= %(since)s::date and x.day < %(cut)s::date

-- name: sweep_segments
delete from samples.segments as x where not exists (select from public.servers as s where s.id = x.server_id)

-- name: sweep_days
delete from samples.days as x where not exists (select from public.servers as s where s.id = x.server_id)

-- name: sweep_newest
-- Shapes go with their servers.
delete from samples.newest as x
where not exists (select from public.shapes as s where s.server_id = x.server_id and s.id = x.shape)

-- name: stats
-- Of an organization by its servers, as the indexes are: what others have is not looked at.
select coalesce(sum(samples), 0)::bigint as samples, min(first_at) as oldest, coalesce(sum(bytes), 0)::bigint as bytes
from (
  select samples, first_at, octet_length(body) as bytes from samples.sample_log
  where (%(organization)s::uuid is null or server_id = any (array(
    select id from public.servers where organization_id = %(organization)s)))
  union all
  select samples, first_at, octet_length(body) from samples.segments
  where (%(organization)s::uuid is null or server_id = any (array(
    select id from public.servers where organization_id = %(organization)s)))
  union all
  select samples, first_at, octet_length(body) + octet_length(rolled) from samples.days
  where (%(organization)s::uuid is null or server_id = any (array(
    select id from public.servers where organization_id = %(organization)s)))
) as kept

-- name: size
select samples.size_bytes() as size_bytes

-- name: shapes
select s.server_id, s.id, s.series_ids
from public.shapes as s
join unnest(%(servers)b::uuid[], %(ids)b::text[]) as w (server_id, id) using (server_id, id)

-- name: forget_log
delete from samples.sample_log where server_id = %(server)s
