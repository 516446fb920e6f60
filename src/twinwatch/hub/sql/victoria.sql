-- name: marks
select s.id, s.sequence_mark
from public.servers as s
join unnest(%(organizations)b::uuid[], %(servers)b::uuid[]) as w (organization_id, id) using (organization_id, id)

-- name: raise_marks
update public.servers as s
set sequence_mark = i.sequence, last_sample_at = greatest(s.last_sample_at, i.last_at)
from unnest(
  %(organizations)b::uuid[], %(servers)b::uuid[], %(sequences)b::bigint[], %(lasts)b::timestamptz[]
) as i (organization_id, server_id, sequence, last_at)
where s.id = i.server_id and s.organization_id = i.organization_id and s.sequence_mark < i.sequence
returning s.id

-- name: heard
select id, organization_id, last_sample_at from public.servers where id = any (%(servers)b::uuid[])

-- name: organizations
select o.id, max(s.last_sample_at) as last_sample_at
from public.organizations as o
left join public.servers as s on s.organization_id = o.id
group by o.id

-- name: gone
select t.id from unnest(%(servers)b::uuid[]) as t (id) where not exists (select from public.servers as s where s.id = t.id)
