-- name: heard
select id, organization_id, last_sample_at from public.servers where id = any (%(servers)b::uuid[])

-- name: organizations
select o.id, max(s.last_sample_at) as last_sample_at
from public.organizations as o
left join public.servers as s on s.organization_id = o.id
group by o.id

-- name: gone
select t.id from unnest(%(servers)b::uuid[]) as t (id) where not exists (select from public.servers as s where s.id = t.id)
