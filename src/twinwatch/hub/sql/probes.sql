-- name: list
select p.id, p.organization_id, p.server_id, p.name, p.body, p.secret_key_id, p.version, p.interval_seconds, p.enabled,
  p.state, p.since, p.last_at, p.last_seconds, p.message, p.reason, p.only_here, p.expires_at, p.next_at, p.created_at
from public.probes as p
where p.organization_id = %(organization)s
  and (%(after)s::uuid is null
    or (lower(p.name), p.id) > (select lower(a.name), a.id from public.probes as a where a.id = %(after)s))
  and (%(state)s::text is null or p.state = %(state)s)
  and (%(text)s = '' or position(lower(%(text)s) in lower(p.name)) > 0)
order by lower(p.name), p.id
limit %(limit)s

-- name: one
select p.id, p.organization_id, p.server_id, p.name, p.body, p.secret_key_id, p.version, p.interval_seconds, p.enabled,
  p.state, p.since, p.last_at, p.last_seconds, p.message, p.reason, p.only_here, p.expires_at, p.next_at, p.created_at
from public.probes as p
where p.id = %(probe)s

-- name: changeable
-- The probe, if the person may change it.
select p.id, p.organization_id, p.name, p.version, p.enabled from public.probes as p where p.id = %(probe)s for update

-- name: may_add
select o.id, o.plan from public.organizations as o
where o.id = %(organization)s and o.id in (select private.my_organizations('{owner,admin,member}'))

-- name: count
select count(*) as count, (select o.plan from public.organizations as o where o.id = %(organization)s) as plan
from public.probes where organization_id = %(organization)s

-- name: secret
select id, body, version, secret, secret_key_id from public.probes where id = %(probe)s

-- name: add
insert into public.probes
  (id, organization_id, server_id, name, body, secret, secret_key_id, interval_seconds, enabled, created_at, next_at)
values (%(probe)s, %(organization)s, %(server)s, %(name)s, %(body)s, %(secret)s, %(key)s, %(interval)s, %(enabled)s,
  %(now)s, %(now)s)
returning id

-- name: change
update public.probes
set server_id = %(server)s, name = %(name)s, body = %(body)s, secret = %(secret)s, secret_key_id = %(key)s,
  interval_seconds = %(interval)s, enabled = %(enabled)s, version = version + 1
where id = %(probe)s and version = %(version)s
returning id

-- name: pause
update public.probes set enabled = %(enabled)s where id = %(probe)s returning id

-- name: renew
-- It is another now: the try under way counts no more, the next one is at once.
update public.probes set lease = null, leased_until = null, next_at = %(now)s where id = %(probe)s

-- name: rest
-- Nobody looks any more: what was known of it is old.
update public.probes
set state = 'unknown', since = %(now)s, message = 'paused', reason = 'paused', memory = null, only_here = false
where id = %(probe)s

-- name: delete
delete from public.probes where id = %(probe)s

-- name: uptime_hours
select h.probe_id,
  sum(h.well_seconds) filter (where h.hour >= %(day)s) as day_well,
  sum(h.down_seconds) filter (where h.hour >= %(day)s) as day_down,
  sum(h.well_seconds) as week_well, sum(h.down_seconds) as week_down
from public.probe_hours as h
where h.probe_id = any (%(probes)s::uuid[]) and h.hour >= %(week)s
group by h.probe_id

-- name: uptime_days
select d.probe_id,
  sum(d.well_seconds) filter (where d.day >= %(month)s) as month_well,
  sum(d.down_seconds) filter (where d.day >= %(month)s) as month_down,
  sum(d.well_seconds) as quarter_well, sum(d.down_seconds) as quarter_down
from public.probe_days as d
where d.probe_id = any (%(probes)s::uuid[]) and d.day >= %(quarter)s
group by d.probe_id

-- name: tries
select h.probe_id, h.hour, h.results
from public.probe_hours as h
where h.probe_id = any (%(probes)s::uuid[]) and h.hour >= %(since)s and h.hour < %(to)s
order by h.probe_id, h.hour

-- name: hours
select h.hour, h.tries, h.well_seconds, h.down_seconds, h.answered, h.seconds_sum, h.seconds_min, h.seconds_max
from public.probe_hours as h
where h.probe_id = %(probe)s and h.hour >= %(since)s and h.hour < %(to)s
order by h.hour

-- name: changes
select h.changes
from public.probe_hours as h
where h.probe_id = %(probe)s and h.hour >= %(since)s and h.hour < %(to)s and h.changes <> '[]'
order by h.hour desc
limit %(limit)s
