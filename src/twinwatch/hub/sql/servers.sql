-- name: list
select s.id, s.organization_id, s.name, s.agent_version, s.registered_at, s.last_heartbeat_at, s.last_sample_at,
  s.clock_skew_seconds, s.delivery, s.tags, s.fast, s.level, s.ladder, s.leaving, s.left_at, s.back_by,
  s.control_lost_at, s.life, c.body -> 'host' as host,
  (c.body -> 'monitors')::text as monitors, r.counts,
  case when s.fast then exists (
    select from public.probes as p
    where p.organization_id = s.organization_id and p.server_id = s.id and p.enabled and p.last_at > s.last_heartbeat_at
      and p.state in ('down', 'degraded')
      and p.reason in ('connection-refused', 'connect-timeout', 'host-unreachable', 'connection-reset', 'timeout',
        'no-answer')
  ) else false end as failed_from_outside
from public.servers as s
left join public.catalogues as c on c.server_id = s.id
left join public.reports as r on r.server_id = s.id
where (%(servers)s::uuid[] is null or s.id = any (%(servers)s))
order by lower(s.name), s.id

-- name: rename
update public.servers set name = %(name)s where id = %(server)s returning organization_id

-- name: set
update public.servers set tags = %(tags)s, fast = %(fast)s where id = %(server)s returning organization_id, name

-- name: delete
delete from public.servers where id = %(server)s returning organization_id, name

-- name: catalogue
select fingerprint, body from public.catalogues where server_id = %(server)s

-- name: series_of_server
select id, metric, labels from public.series where server_id = %(server)s order by id

-- name: series_of_ids
select id, metric, labels from public.series where server_id = %(server)s and id = any (%(ids)s)

-- name: headline_series
select server_id, id, metric, labels
from public.series
where server_id = any (%(servers)s::uuid[]) and metric = any (%(metrics)s)

-- name: audit
insert into public.audit_log (organization_id, user_id, action, subject)
values (%(organization)s, %(user)s, %(action)s, %(subject)s)
