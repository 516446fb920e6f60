-- name: known
select id, series_ids from public.shapes where server_id = %(server)s and id = any (%(ids)b::text[])

-- name: count_series
select count(*) as count from public.series where server_id = %(server)s

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
insert into public.shapes (organization_id, server_id, id, monitor, series_ids)
values (%(organization)s, %(server)s, %(id)s, %(monitor)s, %(series)b::bigint[])
on conflict (server_id, id) do nothing

-- name: lock_server
select id from public.servers where id = %(server)s for no key update
