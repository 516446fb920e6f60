-- name: candidates
-- Who could look: heard of lately, and its control connection open as far as is known. Another network's eyes first.
select s.id, s.name
from public.servers as s
where s.organization_id = %(organization)s and s.level = 0 and s.leaving is null
  and s.last_heartbeat_at >= %(since)s and s.control_lost_at is null and s.id <> all (%(besides)s::uuid[])
order by s.network = any (%(networks)s::text[]), random()
limit %(many)s

-- name: network
select network from public.servers where id = any (%(servers)s::uuid[]) and network <> ''

-- name: ask
insert into private.witness_questions
  (id, organization_id, server_id, probe, target, options, timeout_seconds, expires_at, sent_at)
values (%(id)s, %(organization)s, %(server)s, %(probe)s, %(target)s, %(options)s, %(timeout)s, %(expires)s, %(sent)s)

-- name: unsent
select id, server_id from private.witness_questions where sent_at is null and expires_at > %(now)s

-- name: take
update private.witness_questions set sent_at = %(now)s
where id = any (%(ids)s::uuid[]) and sent_at is null
returning id, server_id, probe, target, options, timeout_seconds

-- name: answer
update private.witness_questions set outcome = %(outcome)s, reason = %(reason)s, message = %(message)s, seconds = %(seconds)s
where id = %(id)s and server_id = %(server)s and outcome is null and expires_at > %(now)s

-- name: answers
select id, outcome from private.witness_questions where id = any (%(ids)s::uuid[])

-- name: forget
delete from private.witness_questions where expires_at < %(before)s

-- name: probes_of_server
select p.id, p.body, p.secret, p.secret_key_id, p.version, p.state, p.reason, p.last_at
from public.probes as p
where p.organization_id = %(organization)s and p.server_id = %(server)s and p.enabled
order by p.id
limit 5

-- name: server
select s.name, c.body -> 'host' as host
from public.servers as s
left join public.catalogues as c on c.server_id = s.id
where s.organization_id = %(organization)s and s.id = %(server)s
