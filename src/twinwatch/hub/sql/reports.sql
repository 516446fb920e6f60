-- name: keep
with before as (
  select digest from public.reports where server_id = %(server)s
)
insert into public.reports (organization_id, server_id, digest, monitors, configuration, counts, updated_at)
values (%(organization)s, %(server)s, %(digest)s, %(monitors)s, %(configuration)s, %(counts)s, %(now)s)
on conflict (server_id) do update
set digest = excluded.digest, monitors = excluded.monitors, configuration = excluded.configuration,
  counts = excluded.counts, updated_at = excluded.updated_at
returning (select digest from before) is distinct from digest as changed

-- name: note_changes
-- Asked before the checks are kept: which of them were in another state, and which are reported no more. States bear the
-- agent's time, ends the hub's: of clocks that differ, what comes later is still later than what was.
with changed as (
  select g.name, least(g.since, %(now)s) as since, g.state
  from unnest(%(names)s::text[], %(states)s::text[], %(sinces)s::timestamptz[]) as g (name, state, since)
  left join public.checks as c on c.server_id = %(server)s and c.name = g.name
  where c.state is distinct from g.state
  union all
  select c.name, %(now)s, 'gone'
  from public.checks as c
  where c.server_id = %(server)s and c.name <> all (%(names)s::text[])
)
insert into public.check_changes (organization_id, server_id, name, changed_at, state)
select %(organization)s, %(server)s, changed.name,
  greatest(changed.since, newest.changed_at + interval '1 millisecond'), changed.state
from changed
left join lateral (
  select h.changed_at from public.check_changes as h
  where h.server_id = %(server)s and h.name = changed.name
  order by h.changed_at desc
  limit 1
) as newest on true

-- name: keep_checks
with given as (
  select * from unnest(%(names)s::text[], %(monitors)s::text[], %(states)s::text[], %(reasons)s::text[],
    %(messages)s::text[], %(sinces)s::timestamptz[]) as g (name, monitor, state, reason, message, since)
), gone as (
  delete from public.checks where server_id = %(server)s and name <> all (%(names)s::text[])
)
insert into public.checks as c (organization_id, server_id, name, monitor, state, reason, message, since)
select %(organization)s, %(server)s, name, monitor, state, reason, message, since from given
on conflict (server_id, name) do update
set monitor = excluded.monitor, state = excluded.state, reason = excluded.reason, message = excluded.message,
  since = excluded.since
where (c.monitor, c.state, c.reason, c.message, c.since)
  is distinct from (excluded.monitor, excluded.state, excluded.reason, excluded.message, excluded.since)

-- name: read
-- All of a report in one statement: of two, the second can see a report that came after the first.
select s.organization_id, r.monitors, r.updated_at, coalesce(c.checks, '[]') as checks
from public.servers as s
left join public.reports as r on r.server_id = s.id
left join lateral (
  select json_agg(json_build_object('name', name, 'monitor', monitor, 'state', state, 'reason', reason,
    'message', message, 'since', (extract(epoch from since) * 1000)::bigint) order by name) as checks
  from public.checks where server_id = s.id
) as c on true
where s.id = %(server)s
