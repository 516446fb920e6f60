-- name: claim
-- What is due, each under a lease of its own. Of one organization no more than it may have under way; then the longest
-- overdue first. The next try is on the probe's own beat, which follows from its id: starts spread by themselves.
with waiting as materialized (
  select p.id, p.organization_id, p.next_at
  from public.probes as p
  where p.enabled and p.next_at <= %(now)s and (p.leased_until is null or p.leased_until <= %(now)s)
    and p.organization_id <> all (%(full)s::uuid[])
  order by p.next_at
  limit %(looked)s
), ranked as (
  select w.id, w.organization_id, w.next_at, row_number() over (partition by w.organization_id order by w.next_at) as place
  from waiting as w
), fair as (
  select r.id, r.next_at, o.bundle_version, o.plan
  from ranked as r
  join public.organizations as o on o.id = r.organization_id
  join unnest(%(plans)s::text[], %(at_once)s::int[]) as a (plan, at_once) on a.plan = o.plan
  left join unnest(%(busy)s::uuid[], %(running)s::int[]) as b (id, running) on b.id = o.id
  where r.place <= a.at_once - coalesce(b.running, 0)
  order by r.next_at
  limit %(many)s
), due as materialized (
  select p.id, f.bundle_version, f.plan, s.tags
  from fair as f
  join public.probes as p on p.id = f.id
  left join public.servers as s on s.organization_id = p.organization_id and s.id = p.server_id
  where p.enabled and p.next_at <= %(now)s and (p.leased_until is null or p.leased_until <= %(now)s)
  for update of p skip locked
)
update public.probes as p
set lease = gen_random_uuid(), leased_until = %(until)s,
  next_at = to_timestamp((
    ceil(extract(epoch from %(now)s::timestamptz) / p.interval_seconds + 0.5
      - ('x' || substr(p.id::text, 1, 8))::bit(32)::bigint / 4294967296.0)
    + ('x' || substr(p.id::text, 1, 8))::bit(32)::bigint / 4294967296.0) * p.interval_seconds)
from due
where p.id = due.id
returning p.id, p.organization_id, p.server_id, p.name, p.body, p.secret, p.secret_key_id, p.version, p.interval_seconds,
  p.state, p.only_here, p.memory, p.lease, due.bundle_version, due.plan, due.tags

-- name: rules
-- What may count for the probes of these organizations.
select r.organization_id, r.scope, r.tag, r.server_id, r.body
from public.rules as r
where r.organization_id = any (%(organizations)s)
  and (r.body ? 'probe' or r.body ->> 'metric' = any (%(metrics)s) or r.name = any (%(defaults)s))
order by r.id

-- name: held
-- Of these tries those whose lease still holds. The others' probes were changed, or taken up by another hub.
select p.id, p.lease, p.organization_id, p.server_id, p.state, p.reason, p.since, p.last_at, s.level, s.ladder
from unnest(%(ids)s::uuid[], %(leases)s::uuid[], %(versions)s::bigint[]) as t (id, lease, version)
join public.probes as p on p.id = t.id and p.lease = t.lease and p.version = t.version and p.enabled
left join public.servers as s on s.organization_id = p.organization_id and s.id = p.server_id
order by p.id
for update of p

-- name: write
update public.probes as p
set state = t.state, reason = t.reason, message = t.message, since = t.since, last_at = t.at, last_seconds = t.seconds,
  expires_at = coalesce(t.expires_at, p.expires_at), memory = t.memory, lease = null, leased_until = null,
  next_at = least(p.next_at, t.again), only_here = t.alone
from unnest(
  %(ids)s::uuid[], %(states)s::text[], %(reasons)s::text[], %(messages)s::text[], %(sinces)s::timestamptz[],
  %(ats)s::timestamptz[], %(seconds)s::real[], %(expires)s::timestamptz[], %(memories)s::bytea[],
  %(agains)s::timestamptz[], %(alone)s::boolean[]
) as t (id, state, reason, message, since, at, seconds, expires_at, memory, again, alone)
where p.id = t.id

-- name: keep_hours
insert into public.probe_hours as h
  (organization_id, probe_id, hour, tries, well_seconds, down_seconds, answered, seconds_sum, seconds_min, seconds_max,
   results, changes)
select t.organization_id, t.id, t.hour, 1, t.well, t.down, (t.seconds is not null)::int, coalesce(t.seconds, 0), t.seconds,
  t.seconds, t.result, t.change::jsonb
from unnest(
  %(organizations)s::uuid[], %(ids)s::uuid[], %(hours)s::timestamptz[], %(wells)s::real[], %(downs)s::real[],
  %(seconds)s::real[], %(results)s::bytea[], %(changes)s::text[]
) as t (organization_id, id, hour, well, down, seconds, result, change)
on conflict (probe_id, hour) do update
set tries = h.tries + 1, well_seconds = h.well_seconds + excluded.well_seconds,
  down_seconds = h.down_seconds + excluded.down_seconds, answered = h.answered + excluded.answered,
  seconds_sum = h.seconds_sum + excluded.seconds_sum, seconds_min = least(h.seconds_min, excluded.seconds_min),
  seconds_max = greatest(h.seconds_max, excluded.seconds_max), results = h.results || excluded.results,
  changes = case when jsonb_array_length(h.changes) < %(most)s then h.changes || excluded.changes else h.changes end

-- name: keep_days
insert into public.probe_days as d
  (organization_id, probe_id, day, tries, well_seconds, down_seconds, answered, seconds_sum, seconds_min, seconds_max)
select t.organization_id, t.id, (t.at at time zone 'UTC')::date, 1, t.well, t.down, (t.seconds is not null)::int,
  coalesce(t.seconds, 0), t.seconds, t.seconds
from unnest(
  %(organizations)s::uuid[], %(ids)s::uuid[], %(ats)s::timestamptz[], %(wells)s::real[], %(downs)s::real[],
  %(seconds)s::real[]
) as t (organization_id, id, at, well, down, seconds)
on conflict (probe_id, day) do update
set tries = d.tries + 1, well_seconds = d.well_seconds + excluded.well_seconds,
  down_seconds = d.down_seconds + excluded.down_seconds, answered = d.answered + excluded.answered,
  seconds_sum = d.seconds_sum + excluded.seconds_sum, seconds_min = least(d.seconds_min, excluded.seconds_min),
  seconds_max = greatest(d.seconds_max, excluded.seconds_max)

-- name: forget_hours
delete from public.probe_hours where hour < %(before)s

-- name: forget_days
delete from public.probe_days where day < %(before)s

-- name: blind_alert
select * from public.alerts
where organization_id = %(organization)s and rule = %(rule)s and thing = %(thing)s and state <> 'resolved' for update

-- name: blind_alerts
select * from public.alerts
where rule = %(rule)s and thing = %(thing)s and state <> 'resolved' and detected_at <= %(before)s for update skip locked

-- name: overdue
select p.organization_id, (array_agg(p.name order by p.next_at))[1:11] as names
from public.probes as p
where p.enabled and p.next_at <= %(since)s
group by p.organization_id
limit 1000

-- name: open_alerts
select * from public.alerts
where organization_id = %(organization)s and probe_id = %(probe)s and state <> 'resolved' for update
