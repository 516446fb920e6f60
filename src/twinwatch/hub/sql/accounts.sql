-- name: needs_setup
select not exists (select from public.members where role = 'owner') as needs_setup

-- name: first_organization
select id, name from public.organizations order by created_at, id limit 1

-- name: add_organization
insert into public.organizations (name, plan) values (%(name)s, %(plan)s) returning id, name

-- name: drop_setup_tokens
delete from private.setup_tokens where organization_id = %(organization)s

-- name: add_setup_token
insert into private.setup_tokens (hash, organization_id) values (%(hash)s, %(organization)s)

-- name: take_setup_token
delete from private.setup_tokens where hash = %(hash)s returning organization_id

-- name: name_organization
update public.organizations set name = %(name)s where id = %(organization)s

-- name: add_member
insert into public.members (organization_id, user_id, role) values (%(organization)s, %(user)s, %(role)s)

-- name: my_organizations
select o.id, o.name, o.plan, m.role
from public.organizations as o
join public.members as m on m.organization_id = o.id and m.user_id = (select auth.uid())
order by lower(o.name), o.id

-- name: list_enrolment_keys
select id, name, prefix, created_at, last_used_at
from public.enrolment_keys
where organization_id = %(organization)s and (expires_at is null or expires_at > %(now)s)
  -- what `twinwatch up` makes for its own agent at each start is no key of a person's
  and (expires_at is null or created_by is not null)
order by created_at desc, id

-- name: add_enrolment_key
insert into public.enrolment_keys (organization_id, name, prefix, hash, created_by, expires_at)
values (%(organization)s, %(name)s, %(prefix)s, %(hash)s, %(user)s, %(expires)s)
returning id

-- name: delete_enrolment_key
delete from public.enrolment_keys where id = %(id)s returning organization_id, name

-- name: add_local_key
insert into public.enrolment_keys (organization_id, name, prefix, hash, expires_at)
values (%(organization)s, %(name)s, %(prefix)s, %(hash)s, %(expires)s)

-- name: drop_local_keys
delete from public.enrolment_keys
where organization_id = %(organization)s and created_by is null and expires_at is not null
