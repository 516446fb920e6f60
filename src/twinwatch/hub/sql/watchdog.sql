-- name: lead
select pg_try_advisory_xact_lock(hashtextextended('twinwatch.watchdog', 0)) as leads

-- name: watch
select looked_at, blind, suspected_since from private.watch

-- name: looked
insert into private.watch (one, looked_at, blind, suspected_since)
values (true, %(now)s, %(blind)s, %(suspected)s)
on conflict (one) do update
set looked_at = excluded.looked_at, blind = excluded.blind, suspected_since = excluded.suspected_since

-- name: troubled
-- Whose level may be another: the silent ones (a coarse bound, judged exactly in code), and those that were silent.
select s.id, s.organization_id, s.name, s.level, s.level_since, s.ladder, s.fast, s.last_heartbeat_at, s.leaving, s.left_at, s.back_by,
  s.control_lost_at, s.network, s.life, s.clock_skew_seconds, s.delivery, s.tags,
  case when s.fast then exists (
    select from public.probes as p
    where p.organization_id = s.organization_id and p.server_id = s.id and p.enabled and p.last_at > s.last_heartbeat_at
      and p.state in ('down', 'degraded')
      and p.reason in ('connection-refused', 'connect-timeout', 'host-unreachable', 'connection-reset', 'timeout',
        'no-answer')
  ) else false end as failed_from_outside
from public.servers as s
where s.last_heartbeat_at is not null
  and (s.level > 0
    or s.last_heartbeat_at < %(now)s::timestamptz - make_interval(secs => coalesce(s.alarm_after_seconds, %(alarm)s))
    or (s.fast and s.last_heartbeat_at < %(fast)s))

-- name: hasten
-- Probes of servers of which one wants to know now; those that were tried since they fell silent have said it.
update public.probes set next_at = %(now)s
where id in (
  select p.id
  from public.servers as s
  join public.probes as p on p.organization_id = s.organization_id and p.server_id = s.id
  where s.id = any (%(servers)s::uuid[]) and p.enabled and p.next_at > %(now)s
    and (p.leased_until is null or p.leased_until <= %(now)s) and (p.last_at is null or p.last_at <= s.last_heartbeat_at)
  for update of p skip locked
)

-- name: everyone
-- Who is expected to speak, by network: for the question whether it is the hub that does not hear.
select count(*) as servers, count(*) filter (where s.last_heartbeat_at < %(silent)s) as silent,
  min(s.last_heartbeat_at) filter (where s.last_heartbeat_at < %(silent)s) as first_at,
  max(s.last_heartbeat_at) filter (where s.last_heartbeat_at < %(silent)s) as last_at
from public.servers as s
where s.last_heartbeat_at >= %(since)s
group by s.network

-- name: level
with moved as (
  update public.servers set level = %(level)s, level_since = %(now)s where id = %(server)s and level = %(before)s
  returning id, organization_id
), noted as (
  insert into public.server_changes (organization_id, server_id, changed_at, state)
  select organization_id, id, %(since)s, %(state)s from moved
  on conflict (server_id, changed_at) do update set state = excluded.state
)
select id from moved

-- name: heartbeat_alert
select * from public.alerts
where organization_id = %(organization)s and server_id = %(server)s and thing = 'heartbeat' and state <> 'resolved'
  and origin = 'hub'
for update

-- name: suspicions
select * from public.alerts where rule = %(rule)s and server_id is null and state <> 'resolved' for update

-- name: suppress
update public.alerts set suppressed = true, look_at = null
where organization_id = %(organization)s and probe_id in (select id from public.probes where server_id = %(server)s)
  and state = 'firing' and told_at is null

-- name: unsuppress
update public.alerts set suppressed = false, look_at = %(now)s
where organization_id = %(organization)s and server_id = %(server)s and suppressed and state = 'firing'

-- name: control_lost
update public.servers set control_lost_at = %(now)s where id = %(server)s

-- name: control_open
update public.servers set control_lost_at = null where id = %(server)s and control_lost_at is not null

-- name: goodbye
update public.servers set leaving = %(leaving)s, left_at = %(now)s, back_by = %(back)s where id = %(server)s
