-- name: user_by_email
select id, email, encrypted_password, coalesce(banned_until > %(now)s, false) as banned
from auth.users
where lower(email) = lower(%(email)s) and deleted_at is null

-- name: user_by_session
select u.id, u.email, u.aud, u.role, u.created_at, u.updated_at, u.last_sign_in_at, u.email_confirmed_at,
  u.raw_app_meta_data as app_metadata, u.raw_user_meta_data as user_metadata
from auth.users as u
join auth.sessions as s on s.user_id = u.id
where s.id = %(session)s and u.deleted_at is null

-- name: add_user
insert into auth.users (email, encrypted_password, email_confirmed_at)
values (%(email)s, %(password)s, %(now)s)
returning id

-- name: signed_in
update auth.users set last_sign_in_at = %(now)s, updated_at = %(now)s where id = %(user)s

-- name: change_password_hash
update auth.users set encrypted_password = %(password)s where id = %(user)s

-- name: add_session
insert into auth.sessions (user_id, user_agent, ip, created_at, updated_at)
values (%(user)s, %(agent)s, %(ip)s, %(now)s, %(now)s) returning id

-- name: add_refresh_token
insert into auth.refresh_tokens (session_id, user_id, token, parent, created_at, updated_at)
values (%(session)s, %(user)s, %(token)s, %(parent)s, %(now)s, %(now)s)

-- name: refresh_token
select t.id, t.session_id, t.user_id, t.token, t.revoked, t.updated_at, u.email
from auth.refresh_tokens as t
join auth.users as u on u.id = t.user_id
where t.token = %(token)s and u.deleted_at is null and (u.banned_until is null or u.banned_until < %(now)s)
for update of t

-- name: revoke_refresh_token
update auth.refresh_tokens set revoked = true, updated_at = %(now)s where id = %(id)s

-- name: end_session
delete from auth.sessions where id = %(session)s

-- name: end_sessions
delete from auth.sessions where user_id = %(user)s

-- name: end_other_sessions
delete from auth.sessions where user_id = %(user)s and id <> %(session)s
