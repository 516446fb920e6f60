-- Locks: how many, who waits, for whom.

-- name: locks
select
  mode,
  (count(*) filter (where granted))::float8 as held,
  (count(*) filter (where not granted))::float8 as waiting,
  (count(*) filter (where not fastpath and mode <> 'SIReadLock' and locktype <> 'virtualxid'))::float8 as shared,
  current_setting('max_locks_per_transaction')::float8
    * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) as room
from pg_catalog.pg_locks
where pid is distinct from pg_backend_pid()
group by mode
order by mode

-- name: blocked
with waiting as materialized (
  select pid, usename, datname, application_name, state_change, wait_event
  from pg_catalog.pg_stat_activity
  where wait_event_type = 'Lock' and backend_type = 'client backend'
  order by state_change
  limit 20
), since as materialized (
  -- waitstart is there from 14 on.
  select l.pid, min((to_jsonb(l) ->> 'waitstart')::timestamptz) as at
  from pg_catalog.pg_locks as l
  where not l.granted
  group by l.pid
)
select
  w.pid,
  w.usename as "user",
  w.datname as database,
  w.application_name as application,
  extract(epoch from clock_timestamp() - coalesce(s.at, w.state_change))::float8 as seconds,
  b.pid as by_pid,
  b.usename as by_user,
  b.datname as by_database,
  b.application_name as by_application,
  b.state as by_state,
  extract(epoch from clock_timestamp() - b.xact_start)::float8 as by_seconds
from waiting as w
left join since as s on s.pid = w.pid
left join lateral (
  select a.*
  from pg_catalog.pg_stat_activity as a
  where a.pid = any (pg_blocking_pids(w.pid))
  order by a.wait_event_type is not distinct from 'Lock', a.xact_start
  limit 1
) as b on true
order by seconds desc nulls last
limit 20
