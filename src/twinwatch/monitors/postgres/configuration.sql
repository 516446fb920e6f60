-- What the server is set to.

-- name: configuration
select
  extract(epoch from clock_timestamp() - pg_conf_load_time())::float8 as loaded_seconds,
  (select count(*)::float8 from pg_catalog.pg_settings where pending_restart) as pending,
  (select (array_agg(name::text order by name))[1:10] from pg_catalog.pg_settings where pending_restart) as pending_names

-- name: settings
-- Values as a fingerprint: some hold passwords.
select name::text as name, md5(reset_val) as mark
from pg_catalog.pg_settings
where source not in ('default', 'override', 'client', 'session', 'interactive', 'test', 'database', 'user', 'database user')
order by name
limit 500
