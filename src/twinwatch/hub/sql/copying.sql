-- name: servers
select s.id, s.organization_id, s.registered_at, o.plan, o.retention_days
from public.servers as s
join public.organizations as o on o.id = s.organization_id
order by s.id

-- name: series
select id from public.series where server_id = %(server)s order by id
