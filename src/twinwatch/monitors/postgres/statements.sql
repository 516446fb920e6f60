-- Statements of the postgres monitor. Each works on PostgreSQL 13 to 18 with the rights of pg_monitor, or of nobody
-- where it shows less then.

-- name: server
select
  current_setting('server_version_num')::int as version,
  pg_is_in_recovery() as is_standby,
  extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8 as up_seconds,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as connections

-- name: activity
select
  coalesce(state, 'unknown') as state,
  count(*) as connections,
  count(*) filter (where wait_event_type = 'Lock') as waiting,
  max(extract(epoch from clock_timestamp() - xact_start))::float8 as transaction_seconds,
  (max(extract(epoch from clock_timestamp() - query_start)) filter (where state = 'active'))::float8 as query_seconds
from pg_catalog.pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid()
group by 1
order by 1

-- name: databases
select
  d.datname as name,
  s.xact_commit::float8 as commits,
  s.xact_rollback::float8 as rollbacks,
  s.blks_read::float8 as blocks_read,
  s.blks_hit::float8 as blocks_hit,
  s.deadlocks::float8 as deadlocks,
  s.temp_bytes::float8 as temporary_bytes,
  case when pg_catalog.has_database_privilege(d.oid, 'connect') then pg_catalog.pg_database_size(d.oid)::float8 end as size
from pg_catalog.pg_database as d
join pg_catalog.pg_stat_database as s on s.datid = d.oid
where d.datallowconn and not d.datistemplate
order by d.datname
limit 100

-- name: standbys
select
  coalesce(nullif(application_name, ''), host(client_addr), 'standby') as name,
  state,
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn)::float8 as lag_bytes,
  extract(epoch from replay_lag)::float8 as lag_seconds
from pg_catalog.pg_stat_replication
order by 1, pid
limit 100

-- name: standby
select
  (select status from pg_catalog.pg_stat_wal_receiver) as receiver,
  -- A primary that writes nothing sends nothing: a standby that has replayed all it got is not behind.
  case
    when pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() then 0
    else extract(epoch from clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8
  end as lag_seconds,
  pg_catalog.pg_is_wal_replay_paused() as is_paused
