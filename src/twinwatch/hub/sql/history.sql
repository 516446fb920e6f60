-- name: server
select registered_at, last_heartbeat_at from public.servers where id = %(server)s

-- name: server_changes
-- The one that held when the window begins, and those within.
(select state, changed_at from public.server_changes
 where server_id = %(server)s and changed_at <= %(since)s order by changed_at desc limit 1)
union all
select state, changed_at from public.server_changes
where server_id = %(server)s and changed_at > %(since)s and changed_at < %(to)s

-- name: check_changes
(select distinct on (name) name, state, changed_at from public.check_changes
 where server_id = %(server)s and changed_at <= %(since)s order by name, changed_at desc)
union all
select name, state, changed_at from public.check_changes
where server_id = %(server)s and changed_at > %(since)s and changed_at < %(to)s

-- name: prune_server_changes
delete from public.server_changes as c
where c.changed_at < %(before)s and exists (
  select from public.server_changes as later
  where later.server_id = c.server_id and later.changed_at > c.changed_at and later.changed_at < %(before)s)

-- name: prune_check_changes
delete from public.check_changes as c
where c.changed_at < %(before)s and (c.state = 'gone' or exists (
  select from public.check_changes as later
  where later.server_id = c.server_id and later.name = c.name
    and later.changed_at > c.changed_at and later.changed_at < %(before)s))
