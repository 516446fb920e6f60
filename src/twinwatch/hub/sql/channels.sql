-- name: list
select c.id, c.organization_id, c.name, c.kind, c.settings, c.secret_key_id, c.direct, c.fallback, c.enabled, c.version,
  c.created_at, c.updated_at
from public.channels as c
where c.organization_id = %(organization)s
order by lower(c.name), c.id

-- name: one
select c.id, c.organization_id, c.name, c.kind, c.settings, c.secret_key_id, c.direct, c.fallback, c.enabled, c.version,
  c.created_at, c.updated_at
from public.channels as c
where c.id = %(channel)s

-- name: paths
select p.channel_id, p.server_id, s.name as server, p.tried_at, p.outcome, p.reason, p.proven_at, p.seconds
from public.paths as p
left join public.servers as s on s.id = p.server_id
where p.organization_id = %(organization)s
order by s.name nulls first, p.id

-- name: count
select count(*) as count from public.channels where organization_id = %(organization)s

-- name: secret
select version, secret, secret_key_id from public.channels where id = %(channel)s

-- name: add
insert into public.channels
  (id, organization_id, name, kind, settings, secret, secret_key_id, direct, fallback, enabled, version, created_by,
   created_at, updated_at)
values (%(channel)s, %(organization)s, %(name)s, %(kind)s, %(settings)s, %(secret)s, %(key)s, %(direct)s, %(fallback)s,
  %(enabled)s, 1, %(user)s, %(now)s, %(now)s)
returning id

-- name: change
update public.channels
set name = %(name)s, settings = %(settings)s, secret = %(secret)s, secret_key_id = %(key)s, direct = %(direct)s,
  fallback = %(fallback)s, enabled = %(enabled)s, version = version + 1, updated_at = %(now)s
where id = %(channel)s and version = %(version)s
returning id

-- name: delete
delete from public.channels where id = %(channel)s returning organization_id, name

-- name: whole
select id, organization_id, name, kind, settings, secret, secret_key_id, version, direct, enabled
from public.channels
where organization_id = %(organization)s and direct and enabled

-- name: test
insert into public.notifications
  (organization_id, channel_id, occasion, dedup, teller, state, due_at, created_at, body)
values (%(organization)s, %(channel)s, %(occasion)s, %(dedup)s, 'hub', 'waiting', %(now)s, %(now)s, %(body)s)
returning id

-- name: outcome
select state, reason, done_at, created_at from public.notifications where id = %(notification)s

-- name: servers_of
select id from public.servers where organization_id = %(organization)s

-- name: drilling
insert into public.paths as p (organization_id, channel_id, server_id, tried_at, outcome)
select %(organization)s, c.id, s.id, %(now)s, 'trying'
from public.channels as c
join public.servers as s on s.organization_id = c.organization_id and s.id = any (%(servers)s::uuid[])
where c.organization_id = %(organization)s and c.direct and c.enabled
on conflict (channel_id, server_id) do update set tried_at = excluded.tried_at, outcome = 'trying', reason = ''
