-- name: heard
select id, organization_id, last_sample_at from public.servers where id = any (%(servers)b::uuid[])

-- name: organizations
select o.id, max(s.last_sample_at) as last_sample_at
from public.organizations as o
left join public.servers as s on s.organization_id = o.id
group by o.id

-- name: servers
-- Those of an organization, or all, that were ever heard of, by organization.
select id, organization_id, last_sample_at
from public.servers
where last_sample_at is not null and (%(organization)s::uuid is null or organization_id = %(organization)s)
order by organization_id, id

-- name: gone
select t.id from unnest(%(servers)b::uuid[]) as t (id) where not exists (select from public.servers as s where s.id = t.id)
