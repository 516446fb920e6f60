-- name: read
select s.organization_id, s.name, c.version, c.body, c.secret_key_id, c.updated_at, c.author,
  r.configuration as standing, r.updated_at as reported_at, k.kinds
from public.servers as s
left join public.configurations as c on c.server_id = s.id
left join public.reports as r on r.server_id = s.id
left join public.catalogues as k on k.server_id = s.id
where s.id = %(server)s

-- name: secret
select version, secret, secret_key_id from public.configurations where server_id = %(server)s

-- name: save_first
insert into public.configurations
  (organization_id, server_id, version, body, secret, secret_key_id, updated_at, updated_by, author)
values (%(organization)s, %(server)s, %(version)s + 1, %(body)s, %(secret)s, %(key)s, %(now)s, %(user)s, %(author)s)
on conflict (server_id) do nothing
returning version

-- name: save_next
update public.configurations
set version = %(version)s + 1, body = %(body)s, secret = %(secret)s, secret_key_id = %(key)s, updated_at = %(now)s,
  updated_by = %(user)s, author = %(author)s
where server_id = %(server)s and version = %(version)s
returning version

-- name: for_agent
select s.id, c.version, c.body, c.secret, c.secret_key_id
from public.servers as s
left join public.configurations as c on c.server_id = s.id
where s.id = %(server)s

-- name: version
select version from public.configurations where server_id = %(server)s
