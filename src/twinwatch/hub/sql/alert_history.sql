-- name: list
select a.*
from public.alerts as a
where a.organization_id = any (%(organizations)s::uuid[])
  and (%(states)s::text[] is null or a.state = any (%(states)s::text[]))
  and (%(severities)s::text[] is null or a.severity = any (%(severities)s::text[]))
  and (%(server)s::uuid is null or a.server_id = %(server)s)
  and (%(rule)s::text is null or a.rule = %(rule)s)
  and (%(since)s::timestamptz is null or a.detected_at >= %(since)s)
  and (%(to)s::timestamptz is null or a.detected_at < %(to)s)
  and (%(text)s::text is null or a.subject ilike %(text)s or a.title ilike %(text)s or a.message ilike %(text)s
    or a.rule ilike %(text)s or a.thing ilike %(text)s)
  and (%(before)s::timestamptz is null or (a.detected_at, a.id) < (%(before)s, %(before_id)s::uuid))
order by a.detected_at desc, a.id desc
limit %(many)s

-- name: one
select a.*, p.name as policy from public.alerts as a
left join public.policies as p on p.id = a.policy_id
where a.id = %(alert)s

-- name: events
select id, happened_at, kind, actor, text, detail from public.alert_events where alert_id = %(alert)s
order by happened_at, id
limit 1000

-- name: notifications
select n.id, n.channel_id, c.name as channel, c.kind, n.occasion, n.teller, n.state, n.due_at, n.done_at, n.reason
from public.notifications as n
join public.channels as c on c.id = n.channel_id
where n.alert_id = %(alert)s
order by n.created_at, n.id
limit 500

-- name: attempts
select notification_id, tried_at, outcome, reason, seconds from public.notification_attempts
where notification_id = any (%(notifications)s::uuid[])
order by tried_at, id
limit 2000

-- name: acknowledge
update public.alerts set state = 'acknowledged', acknowledged_at = %(now)s, acknowledged_by = %(by)s
where id = %(alert)s and state = 'firing'
returning id, organization_id, key

-- name: comment
insert into public.alert_events (organization_id, alert_id, happened_at, kind, actor, text)
values (%(organization)s, %(alert)s, %(now)s, 'comment', %(by)s, %(text)s)

-- name: may_write
select id from public.alerts where id = %(alert)s
  and organization_id in (select private.my_organizations('{owner,admin,member}'))

-- name: linked
select a.id, a.organization_id, a.server_id, a.key, a.subject, a.title, a.message, a.severity, a.state, a.true_at,
  a.acknowledged_by
from public.alerts as a
where a.key = %(key)s

-- name: latency
select count(*) as count,
  percentile_cont(0.5) within group (order by extract(epoch from told_at - true_at)) as p50,
  percentile_cont(0.95) within group (order by extract(epoch from told_at - true_at)) as p95,
  max(extract(epoch from told_at - true_at)) as longest
from public.alerts
where organization_id = %(organization)s and told_at is not null and not late and detected_at >= %(since)s

-- name: note_acknowledged
insert into public.alert_events (organization_id, alert_id, happened_at, kind, actor, text)
values (%(organization)s, %(alert)s, %(now)s, 'acknowledged', %(by)s, %(text)s)
