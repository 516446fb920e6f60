-- name: list
select id, name, body from public.policies where organization_id = %(organization)s order by position, id

-- name: delete_others
delete from public.policies where organization_id = %(organization)s and id <> all (%(ids)s::uuid[])

-- name: save
insert into public.policies (id, organization_id, position, name, body, updated_at)
values (%(id)s, %(organization)s, %(position)s, %(name)s, %(body)s, %(now)s)
on conflict (organization_id, id) do update
set position = excluded.position, name = excluded.name, body = excluded.body, updated_at = excluded.updated_at
returning id

-- name: channels
select id from public.channels where organization_id = %(organization)s

-- name: lock
-- One who writes waits for another, so that what is read next is what that one left.
select id from public.organizations
where id = %(organization)s and id in (select private.my_organizations('{owner,admin}'))
for no key update

-- name: may_change
select id from public.organizations
where id = %(organization)s and id in (select private.my_organizations('{owner,admin}'))
