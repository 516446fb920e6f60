-- name: known
select id, series_ids, last_used_at from public.shapes where server_id = %(server)s and id = any (%(ids)b::text[])

-- name: use
-- In one order, whoever else does the same. One that is not returned was ended meanwhile. A clock that is ahead keeps
-- none alive, one that is behind ends none.
update public.shapes as s
set last_used_at = greatest(s.last_used_at, least(%(now)s, now()))
from (
  select id from public.shapes where server_id = %(server)s and id = any (%(ids)b::text[]) order by id for no key update
) as w
where s.server_id = %(server)s and s.id = w.id
returning s.id

-- name: count_series
select count(*) as count from public.series where server_id = %(server)s

-- name: count_living
select count(distinct number) as count
from public.shapes, unnest(series_ids) as number
where server_id = %(server)s and last_used_at >= %(since)s

-- name: add_series
insert into public.series (organization_id, server_id, key, metric, labels)
select %(organization)s, %(server)s, t.key, t.metric, t.labels
from unnest(%(keys)b::bytea[], %(metrics)b::text[], %(labels)b::jsonb[]) as t (key, metric, labels)
order by t.metric, t.key
on conflict (server_id, metric, key) do nothing

-- name: number_series
select s.key, s.id
from unnest(%(metrics)b::text[], %(keys)b::bytea[]) as t (metric, key)
join public.series as s on s.server_id = %(server)s and s.metric = t.metric and s.key = t.key

-- name: add_shape
insert into public.shapes (organization_id, server_id, id, monitor, series_ids, created_at, last_used_at)
values (%(organization)s, %(server)s, %(id)s, %(monitor)s, %(series)b::bigint[], least(%(now)s, now()), least(%(now)s, now()))
on conflict (server_id, id) do update set last_used_at = greatest(shapes.last_used_at, excluded.last_used_at)

-- name: lock_server
-- Against its end, and nothing else: whoever takes in its samples does not wait.
select id from public.servers where id = %(server)s for key share

-- name: hold_shapes
-- Of one server they are learnt or ended by one at a time.
select pg_advisory_xact_lock(hashtextextended('twinwatch.shapes.' || %(server)s::text, 0))

-- name: unused
-- Who has shapes that were used last before their organization's cut, and that cut.
select distinct s.server_id, coalesce(t.cut, %(cut)s) as cut
from public.shapes as s
left join unnest(%(organizations)b::uuid[], %(cuts)b::timestamptz[]) as t (organization_id, cut) using (organization_id)
where s.last_used_at < coalesce(t.cut, %(cut)s)

-- name: end_shapes
delete from public.shapes as s
using (
  select id from public.shapes where server_id = %(server)s and last_used_at < %(cut)s order by id for update
) as w
where s.server_id = %(server)s and s.id = w.id

-- name: end_series
-- Those that are in no shape any more.
delete from public.series as e
where e.server_id = %(server)s and not exists (
  select from (select unnest(series_ids) as id from public.shapes where server_id = %(server)s) as kept
  where kept.id = e.id)
