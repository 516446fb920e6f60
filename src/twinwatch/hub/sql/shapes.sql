-- name: known
select id, series_ids from public.shapes where server_id = %(server)s and id = any (%(ids)b::text[])

-- name: count_series
select count(*) as count from public.series where server_id = %(server)s

-- name: add_series
insert into public.series (organization_id, server_id, key, metric, labels)
select %(organization)s, %(server)s, t.key, t.metric, t.labels
from unnest(%(keys)b::bytea[], %(metrics)b::text[], %(labels)b::jsonb[]) as t (key, metric, labels)
on conflict (server_id, key) do nothing

-- name: number_series
select key, id from public.series where server_id = %(server)s and key = any (%(keys)b::bytea[])

-- name: add_shape
insert into public.shapes (organization_id, server_id, id, monitor, series_ids)
values (%(organization)s, %(server)s, %(id)s, %(monitor)s, %(series)b::bigint[])
on conflict (server_id, id) do nothing

-- name: lock_server
select id from public.servers where id = %(server)s for no key update
