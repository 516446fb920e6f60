-- name: of_alert
select id, channel_id, occasion, dedup, teller, state, due_at, leased_until, attempts, reference, done_at
from public.notifications where alert_id = %(alert)s

-- name: add
insert into public.notifications
  (organization_id, alert_id, channel_id, occasion, dedup, teller, state, due_at, not_after, created_at, body)
values (%(organization)s, %(alert)s, %(channel)s, %(occasion)s, %(dedup)s, 'hub', 'waiting', %(due)s, %(not_after)s,
  %(now)s, %(body)s)
on conflict (dedup) do nothing
returning id

-- name: ready
with mine as (
  select c.id, asked.at
  from public.channels as c
  join unnest(%(channels)s::uuid[], %(times)s::timestamptz[]) as asked (id, at) on asked.id = c.id
  order by c.id
  for no key update of c
)
update public.channels as c set ready_at = least(c.ready_at, mine.at) from mine where c.id = mine.id

-- name: record
insert into public.notifications as n
  (organization_id, alert_id, channel_id, occasion, dedup, teller, state, due_at, leased_until, created_at, done_at,
   reason, reference, attempts)
select %(organization)s, %(alert)s, c.id, %(occasion)s, %(dedup)s, 'agent', %(state)s, %(at)s, %(until)s, %(now)s,
  %(done)s, %(reason)s, %(reference)s, 1
from public.channels as c
where c.organization_id = %(organization)s and c.id = %(channel)s
on conflict (dedup) do update
set state = excluded.state, leased_until = excluded.leased_until, done_at = excluded.done_at, reason = excluded.reason,
  reference = excluded.reference
where n.state <> 'delivered'
returning id

-- name: cancel
update public.notifications set state = 'cancelled', done_at = %(now)s, reason = %(reason)s
where alert_id = %(alert)s and state = 'waiting' and teller = 'hub' and occasion <> 'resolved'
  and (%(channels)s::uuid[] is null or channel_id = any (%(channels)s::uuid[]))
returning channel_id, attempts

-- name: calm
update public.notifications set state = 'cancelled', done_at = %(now)s, reason = 'it was acknowledged'
where alert_id = %(alert)s and state = 'waiting' and teller = 'hub' and occasion in ('escalation', 'repeat')

-- name: hurry
update public.notifications set due_at = %(now)s, not_after = null
where alert_id = %(alert)s and state = 'waiting' and teller = 'hub'
  and (%(channels)s::uuid[] is null or channel_id = any (%(channels)s::uuid[]))
returning channel_id

-- name: claim
with mine as (
  select id from public.channels
  where ready_at <= %(now)s and (held_until is null or held_until <= %(now)s)
    and organization_id <> all (%(full)s::uuid[])
  order by ready_at
  limit %(many)s
  for update skip locked
)
update public.channels as c
set lease = %(lease)s, held_until = %(until)s
from mine
where c.id = mine.id
returning c.id, c.organization_id, c.name, c.kind, c.settings, c.secret, c.secret_key_id, c.version, c.enabled

-- name: lost
update public.notifications set state = 'waiting', lease = null, leased_until = null, due_at = %(now)s,
  reason = 'the hub ended while it was being sent'
where id in (
  select id from public.notifications
  where channel_id = any (%(channels)s) and state = 'sending' and teller = 'hub'
  for update skip locked
)
returning id, organization_id

-- name: take
update public.notifications as n
set state = 'sending', lease = %(lease)s, leased_until = %(until)s, attempts = attempts + 1
from (
  select due.id
  from unnest(%(channels)s::uuid[]) as c (id)
  cross join lateral (
    select w.id
    from public.notifications as w
    left join public.alerts as a on a.id = w.alert_id and w.not_after is not null
    left join public.servers as s on s.id = a.server_id
    where w.channel_id = c.id and w.state = 'waiting' and w.due_at <= %(now)s
      and (w.not_after is null or w.not_after > %(now)s or greatest(w.not_after, %(started)s) < %(patience)s
        or (s.last_heartbeat_at > w.not_after and s.last_heartbeat_at < %(settled)s))
    order by w.due_at, w.created_at, w.id
    limit %(most)s
    for update of w skip locked
  ) as due
) as taken
where n.id = taken.id
returning n.id, n.organization_id, n.alert_id, n.channel_id, n.occasion, n.attempts, n.body, n.created_at, n.dedup

-- name: giving_back
-- Locked before one looks what else waits: who adds to it meanwhile either is seen by that look, or marks it afterwards.
select id from public.channels where id = %(channel)s and lease = %(lease)s for no key update

-- name: next_of
select min(due_at) as due from public.notifications where channel_id = %(channel)s and state = 'waiting'

-- name: rest
update public.channels set lease = null, ready_at = %(ready)s, held_until = %(held)s where id = %(channel)s and lease = %(lease)s

-- name: subjects
select a.*, o.name as organization
from public.alerts as a
join public.organizations as o on o.id = a.organization_id
where a.id = any (%(alerts)s)

-- name: said
select id, alert_id, occasion, teller, state, reference, attempts, created_at from public.notifications
where channel_id = %(channel)s and alert_id = any (%(alerts)s)

-- name: done
update public.notifications
set state = %(state)s, done_at = %(done)s, due_at = coalesce(%(due)s, due_at), reason = %(reason)s,
  reference = %(reference)s, lease = null, leased_until = null
where id = any (%(ids)s) and lease = %(lease)s
returning id, alert_id

-- name: forget_trials
-- Tests and drills; the others go with their alerts.
delete from public.notifications where alert_id is null and created_at < %(before)s

-- name: attempt
insert into public.notification_attempts (organization_id, notification_id, tried_at, outcome, reason, seconds)
select %(organization)s, id, %(at)s, %(outcome)s, %(reason)s, %(seconds)s from unnest(%(ids)s::uuid[]) as t (id)

-- name: proven
insert into public.paths as p (organization_id, channel_id, server_id, tried_at, outcome, reason, proven_at, seconds)
select %(organization)s, c.id, %(server)s, %(at)s, %(outcome)s, %(reason)s,
  case when %(outcome)s = 'delivered' then %(at)s::timestamptz end, %(seconds)s
from public.channels as c
where c.id = %(channel)s and c.organization_id = %(organization)s
on conflict (channel_id, server_id) do update
set tried_at = excluded.tried_at, outcome = excluded.outcome, reason = excluded.reason,
  proven_at = coalesce(excluded.proven_at, p.proven_at), seconds = excluded.seconds
