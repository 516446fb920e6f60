-- name: list
select id, organization_id, comment, body, starts_at, ends_at, author
from public.silences
where organization_id = %(organization)s and (ends_at is null or ends_at > %(since)s)
order by starts_at desc, id

-- name: add
insert into public.silences (organization_id, comment, body, starts_at, ends_at, created_by, author, created_at)
values (%(organization)s, %(comment)s, %(body)s, %(starts)s, %(ends)s, %(user)s, %(author)s, %(now)s)
returning id

-- name: end
update public.silences set ends_at = %(now)s
where id = %(silence)s and (ends_at is null or ends_at > %(now)s)
returning organization_id, comment

-- name: one
select id, organization_id from public.silences where id = %(silence)s

-- name: may_write
select id from public.organizations
where id = %(organization)s and id in (select private.my_organizations('{owner,admin,member}'))
