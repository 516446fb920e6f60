-- Sessions: how many, how long. Rows of others show no state without pg_read_all_stats.

-- name: activity
select
  coalesce(state, 'unknown') as state,
  count(*)::float8 as connections,
  count(*) filter (where wait_event_type = 'Lock')::float8 as waiting,
  max(extract(epoch from clock_timestamp() - xact_start))::float8 as transaction_seconds,
  (max(extract(epoch from clock_timestamp() - query_start)) filter (where state = 'active'))::float8 as query_seconds,
  (max(extract(epoch from clock_timestamp() - state_change)) filter (where state like 'idle in transaction%'))::float8
    as idle_seconds,
  greatest(max(age(backend_xmin)), max(age(backend_xid)))::float8 as xid_age
from pg_catalog.pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid()
group by 1
order by 1

-- name: backends
-- What everybody may see of the number of connections.
select coalesce(sum(numbackends), 0)::float8 as connections from pg_catalog.pg_stat_database where datid <> 0

-- name: sessions
with seen as (
  select
    datname,
    usename,
    nullif(application_name, '') as application_name,
    case when state = 'active' then coalesce(wait_event_type, 'none') end as wait
  from pg_catalog.pg_stat_activity
  where backend_type = 'client backend' and pid <> pg_backend_pid()
), grouped as (
  select
    case grouping(datname, usename, application_name, wait)
      when 7 then 'database' when 11 then 'user' when 13 then 'application' else 'wait'
    end as kind,
    coalesce(datname::text, usename::text, application_name, wait) as name,
    count(*) as connections
  from seen
  group by grouping sets ((datname), (usename), (application_name), (wait))
), ranked as (
  select
    kind,
    name,
    connections::float8 as connections,
    row_number() over (partition by kind order by connections desc, name) as place,
    count(*) over (partition by kind)::float8 as total
  from grouped
  where name is not null
)
select kind, name, connections, total from ranked where place <= {top} order by kind, place

-- name: oldest
select
  pid,
  usename as "user",
  datname as database,
  application_name as application,
  state,
  extract(epoch from clock_timestamp() - xact_start)::float8 as transaction_seconds,
  case when state like 'idle in transaction%' then extract(epoch from clock_timestamp() - state_change)::float8 end
    as idle_seconds
from pg_catalog.pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid() and xact_start is not null
order by xact_start
limit 50

-- name: prepared
select
  count(*)::float8 as transactions,
  max(extract(epoch from clock_timestamp() - prepared))::float8 as seconds,
  (array_agg(gid::text order by prepared))[1] as name
from pg_catalog.pg_prepared_xacts
