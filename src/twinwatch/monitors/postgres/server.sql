-- What every run begins with. Each statement of this monitor works with the rights of nobody, or shows less then.

-- name: server
select
  current_setting('server_version_num')::int as version,
  pg_is_in_recovery() as is_standby,
  current_user::text as role,
  current_database()::text as database,
  pg_has_role(current_user, 'pg_read_all_stats', 'usage') as sees_all,
  extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8 as up_seconds,
  (
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0) -- 16 on
  )::float8 as allowed,
  (
    select n.nspname from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'pg_stat_statements'
  ) as statements_schema,
  (
    select n.nspname from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'pg_buffercache'
  ) as buffers_schema
