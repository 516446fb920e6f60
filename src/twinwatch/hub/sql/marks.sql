-- name: marks
select s.id, s.sequence_mark
from public.servers as s
join unnest(%(organizations)b::uuid[], %(servers)b::uuid[]) as w (organization_id, id) using (organization_id, id)

-- name: raise
update public.servers as s
set sequence_mark = i.sequence, last_sample_at = greatest(s.last_sample_at, i.last_at)
from unnest(
  %(organizations)b::uuid[], %(servers)b::uuid[], %(sequences)b::bigint[], %(lasts)b::timestamptz[]
) as i (organization_id, server_id, sequence, last_at)
where s.id = i.server_id and s.organization_id = i.organization_id and s.sequence_mark < i.sequence
returning s.id
