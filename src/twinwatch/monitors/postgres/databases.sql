-- What each database has done. Columns that came with 14 are read by name, so that they are null before.

-- name: databases
select
  d.datname as name,
  (count(*) over ())::float8 as total,
  s.xact_commit::float8 as commits,
  s.xact_rollback::float8 as rollbacks,
  s.blks_read::float8 as blocks_read,
  s.blks_hit::float8 as blocks_hit,
  s.tup_returned::float8 as returned,
  s.tup_fetched::float8 as fetched,
  s.tup_inserted::float8 as inserted,
  s.tup_updated::float8 as updated,
  s.tup_deleted::float8 as deleted,
  s.conflicts::float8 as conflicts,
  s.deadlocks::float8 as deadlocks,
  s.temp_files::float8 as temporary_files,
  s.temp_bytes::float8 as temporary_bytes,
  s.blk_read_time as read_milliseconds,
  s.blk_write_time as write_milliseconds,
  s.checksum_failures::float8 as checksum_failures,
  (to_jsonb(s) ->> 'sessions_abandoned')::float8 as abandoned,
  (to_jsonb(s) ->> 'sessions_fatal')::float8 as fatal,
  (to_jsonb(s) ->> 'sessions_killed')::float8 as killed
from pg_catalog.pg_database as d
join pg_catalog.pg_stat_database as s on s.datid = d.oid
where d.datallowconn and not d.datistemplate
order by s.xact_commit + s.xact_rollback desc, d.datname
limit {top}

-- name: sizes
-- Looks at every file of a database.
select
  d.datname as name,
  case
    when has_database_privilege(d.oid, 'connect') or pg_has_role(current_user, 'pg_read_all_stats', 'usage')
      then pg_database_size(d.oid)::float8
  end as bytes
from pg_catalog.pg_database as d
join pg_catalog.pg_stat_database as s on s.datid = d.oid
where d.datallowconn and not d.datistemplate
order by s.xact_commit + s.xact_rollback desc, d.datname
limit {top}

-- name: ages
select
  datname as name,
  (count(*) over ())::float8 as total,
  age(datfrozenxid)::float8 as xid_age,
  mxid_age(datminmxid)::float8 as multixact_age,
  current_setting('autovacuum_freeze_max_age')::float8 as freeze_at,
  current_setting('autovacuum_multixact_freeze_max_age')::float8 as multixact_freeze_at
from pg_catalog.pg_database
order by greatest(age(datfrozenxid), mxid_age(datminmxid)) desc, datname
limit {top}
