-- name: list
select id, organization_id, scope, tag, server_id, name, body, version, updated_at, author
from public.rules where organization_id = %(organization)s order by lower(name), scope, tag, id

-- name: one
select id, organization_id, scope, tag, server_id, name, body, version, updated_at, author
from public.rules where id = %(rule)s

-- name: count
select count(*) as count from public.rules where organization_id = %(organization)s

-- name: add
insert into public.rules (organization_id, scope, tag, server_id, name, body, updated_at, updated_by, author)
values (%(organization)s, %(scope)s, %(tag)s, %(server)s, %(name)s, %(body)s, %(now)s, %(user)s, %(author)s)
returning id

-- name: change
update public.rules
set scope = %(scope)s, tag = %(tag)s, server_id = %(server)s, name = %(name)s, body = %(body)s, version = version + 1,
  updated_at = %(now)s, updated_by = %(user)s, author = %(author)s
where id = %(rule)s and version = %(version)s
returning id

-- name: delete
delete from public.rules where id = %(rule)s returning organization_id, name

-- name: for_servers
select r.scope, r.tag, r.server_id, r.body from public.rules as r
where r.organization_id = %(organization)s
order by r.id

-- name: servers
select id, tags, ladder from public.servers
where organization_id = %(organization)s and (%(server)s::uuid is null or id = %(server)s)

-- name: set_ladder
update public.servers set ladder = %(ladder)s, alarm_after_seconds = %(alarm)s where id = %(server)s

-- name: declared
select s.id, c.body -> 'monitors' as monitors from public.servers as s
join public.catalogues as c on c.server_id = s.id
where s.organization_id = %(organization)s
limit 2000
