-- name: write
-- Parameters go in binary: as text a batch would travel twice as large, and lists cost the hub ten times as much.
with incoming as (
  select *
  from unnest(
    %(organizations)b::uuid[], %(servers)b::uuid[], %(sequences)b::bigint[], %(received)b::timestamptz[],
    %(firsts)b::timestamptz[], %(lasts)b::timestamptz[], %(samples)b::int[], %(bodies)b::bytea[]
  ) as t (organization_id, server_id, sequence, received_at, first_at, last_at, samples, body)
), counted as (
  update public.servers as s
  set sequence_mark = i.sequence, last_sample_at = greatest(s.last_sample_at, i.last_at)
  from incoming as i
  where s.id = i.server_id and s.organization_id = i.organization_id and s.sequence_mark < i.sequence
  returning s.id
), logged as (
  insert into samples.sample_log
    (organization_id, server_id, sequence, received_at, first_at, last_at, samples, body)
  select i.organization_id, i.server_id, i.sequence, i.received_at, i.first_at, i.last_at, i.samples, i.body
  from incoming as i
  join counted as c on c.id = i.server_id
)
select i.server_id, c.id is not null as fresh,
  case when c.id is not null then i.sequence else s.sequence_mark end as mark
from incoming as i
left join counted as c on c.id = i.server_id
left join public.servers as s on s.id = i.server_id and s.organization_id = i.organization_id

-- name: marks
select id, sequence_mark from public.servers where id = any (%(servers)s::uuid[])

-- name: read
select body
from samples.sample_log
where server_id = %(server)s
  and received_at >= %(arrived)s
  and last_at >= %(since)s
  and first_at < %(to)s
order by received_at

-- name: latest
select s.id as server_id, recent.body
from unnest(%(servers)s::uuid[]) as s (id)
cross join lateral (
  select newest.body, newest.received_at
  from (
    select l.body, l.received_at, sum(octet_length(l.body)) over (order by l.received_at desc rows unbounded preceding) as bytes
    from (
      select body, received_at
      from samples.sample_log
      where server_id = s.id
      order by received_at desc
      limit %(batches)s
    ) as l
  ) as newest
  where newest.bytes - octet_length(newest.body) < %(bytes)s
) as recent
order by recent.received_at

-- name: expire
-- What is older than these organizations keep it, in the hours that can hold any. By a join: through a list it would be
-- gone for every row.
delete from samples.sample_log as l
using unnest(%(organizations)b::uuid[]) as t (organization_id)
where l.organization_id = t.organization_id and l.last_at < %(cut)s
  and l.received_at >= %(since)s and l.received_at < %(arrived)s

-- name: make_partitions
select samples.make_partitions(%(since)s, %(hours)s)

-- name: drop_partitions
select samples.drop_partitions(%(before)s)
