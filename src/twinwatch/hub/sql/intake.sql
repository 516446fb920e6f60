-- name: lock
select id, name, event_mark, clock_skew_seconds from public.servers
where id = %(server)s and organization_id = %(organization)s for update

-- name: mark
update public.servers set event_mark = greatest(event_mark, %(mark)s), open_digest = %(digest)s where id = %(server)s

-- name: yielded
update public.alerts set agent_until = %(until)s, fence = greatest(fence, %(fence)s) where id = %(id)s

-- name: hurry
update public.notifications set not_after = %(until)s, due_at = %(now)s
where alert_id = %(alert)s and state = 'waiting' and teller = 'hub' and not_after is not null
returning channel_id

-- name: notes
select n.alert_id, n.channel_id, n.state, n.attempts, n.occasion, n.teller
from public.notifications as n where n.alert_id = any (%(alerts)s)

-- name: evidence
update public.alerts set evidence = %(evidence)s where id = %(id)s
