-- name: series
select id, server_id, metric, labels
from public.series
where server_id = any (%(servers)s::uuid[])
  and (cardinality(%(metrics)s::text[]) = 0 or metric = any (%(metrics)s::text[]))
  and labels @> %(labels)s::jsonb
  and (not %(in_window)s or id in (
    select unnest(series_ids) from public.shapes
    where server_id = any (%(servers)s::uuid[]) and last_used_at >= %(used)s and created_at < %(known)s))
order by server_id, metric, labels, id
limit %(limit)s

-- name: plans
select s.id, o.plan, o.retention_days
from public.servers as s
join public.organizations as o on o.id = s.organization_id
where s.id = any (%(servers)s::uuid[])

-- name: plan
select plan, retention_days from public.organizations where id = %(organization)s
