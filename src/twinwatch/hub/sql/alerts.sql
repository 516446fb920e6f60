-- name: open
insert into public.alerts
  (organization_id, server_id, probe_id, key, origin, rule, thing, episode, severity, state, subject, title, message,
   labels, value, unit, definition, flapping, late, fence, agent_until, true_at, detected_at, received_at, verdict,
   evidence, look_at)
values
  (%(organization)s, %(server)s, %(probe)s, %(key)s, %(origin)s, %(rule)s, %(thing)s, %(episode)s, %(severity)s,
   'firing', %(subject)s, %(title)s, %(message)s, %(labels)s, %(value)s, %(unit)s, %(definition)s, %(flapping)s,
   %(late)s, %(fence)s, %(agent_until)s, %(true_at)s, %(detected_at)s, %(now)s, %(verdict)s, %(evidence)s, %(now)s)
on conflict (key) do nothing
returning *

-- name: by_key
select * from public.alerts where key = %(key)s for update

-- name: lock
select id from public.alerts where id = any (%(ids)s) order by id for no key update

-- name: lock_keys
select id from public.alerts where key = any (%(keys)s) order by id for update

-- name: by_keys
select id, key, state, fence, told_at, late, suppressed, silenced_until, agent_until, resolved_why, origin
from public.alerts where server_id = %(server)s and key = any (%(keys)s)

-- name: by_id
select * from public.alerts where id = %(id)s for update

-- name: agent_must_hear
-- no set of alerts has this digest: the server's next heartbeat is answered with the wish to reconcile
update public.servers set open_digest = '-' where id = %(server)s

-- name: open_of_server
select * from public.alerts
where organization_id = %(organization)s and server_id = %(server)s and state <> 'resolved' for update

-- name: open_keys_of_agent
select key from public.alerts
where organization_id = %(organization)s and server_id = %(server)s and state <> 'resolved' and origin = 'agent'

-- name: due
select id from public.alerts where look_at <= %(now)s order by look_at limit %(many)s for update skip locked

-- name: context
select coalesce(s.tags, '{}') as tags, coalesce(s.level, 0) as level, o.name as organization
from public.organizations as o
left join public.servers as s on s.organization_id = o.id and s.id = %(server)s
where o.id = %(organization)s

-- name: looked
update public.alerts
set silenced_until = %(silenced)s, suppressed = %(suppressed)s, policy_id = %(policy)s, step = %(step)s,
  repeated_at = %(repeated)s, look_at = %(look)s
where id = %(id)s

-- name: worsen
update public.alerts
set severity = %(severity)s, rule = %(rule)s, title = %(title)s, message = %(message)s, verdict = %(verdict)s,
  state = 'firing', step = 0, repeated_at = null, look_at = %(now)s
where id = %(id)s
returning *

-- name: explain
update public.alerts set verdict = %(verdict)s where id = %(id)s

-- name: resolve
update public.alerts
set state = 'resolved', resolved_at = %(at)s, resolved_why = %(why)s, resolved_by = %(by)s, cause = %(cause)s,
  look_at = null, flapping = false
where id = %(id)s and state <> 'resolved'
returning *

-- name: settle
update public.alerts set flapping = false where id = %(id)s

-- name: take_over
update public.alerts set fence = greatest(fence, %(fence)s), agent_until = null where id = %(id)s

-- name: look_soon
update public.alerts set look_at = least(coalesce(look_at, 'infinity'), %(at)s) where id = %(id)s and state = 'firing'

-- name: look_at_all
with mine as (
  select id from public.alerts where organization_id = %(organization)s and state = 'firing'
  order by id for no key update
)
update public.alerts as a set look_at = %(now)s from mine where a.id = mine.id

-- name: told
update public.alerts set told_at = least(coalesce(told_at, 'infinity'), %(at)s) where id = any (%(ids)s)

-- name: event
insert into public.alert_events (organization_id, alert_id, happened_at, kind, actor, text, detail)
values (%(organization)s, %(alert)s, %(at)s, %(kind)s, %(actor)s, %(text)s, %(detail)s)

-- name: policies
select id, name, body from public.policies where organization_id = %(organization)s order by position, id

-- name: silences
select id, body, starts_at, ends_at from public.silences
where organization_id = %(organization)s and (ends_at is null or ends_at > %(now)s)

-- name: channels
select id, kind, name, direct, fallback, enabled from public.channels where organization_id = %(organization)s

-- name: forget_old
delete from public.alerts where state = 'resolved' and resolved_at < %(before)s
