-- Vacuum: is it at work, and does it keep up.

-- name: autovacuum
select
  current_setting('autovacuum')::bool and current_setting('track_counts')::bool as is_on,
  current_setting('autovacuum_max_workers')::float8 as room,
  (count(*) filter (where backend_type = 'autovacuum worker'))::float8 as workers,
  (count(*) filter (where backend_type = 'autovacuum worker' and query like '%(to prevent wraparound)'))::float8 as urgent,
  (max(extract(epoch from clock_timestamp() - xact_start)) filter (where backend_type = 'autovacuum worker'))::float8
    as seconds
from pg_catalog.pg_stat_activity

-- name: vacuums
select
  p.datname as database,
  case when p.datname = current_database() then n.nspname || '.' || c.relname else 'relation ' || p.relid::text end as name,
  (count(*) over ())::float8 as total,
  p.heap_blks_total::float8 as blocks,
  p.heap_blks_scanned::float8 as scanned
from pg_catalog.pg_stat_progress_vacuum as p
left join pg_catalog.pg_class as c on c.oid = p.relid and p.datname = current_database()
left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where p.relid is not null
order by p.heap_blks_total desc, p.pid
limit {top}

-- name: tables
-- Sizes are those of the last vacuum: asking for today's would wait for whoever has locked a table.
with largest as materialized (
  select
    c.oid, n.nspname, c.relname, c.relpages, c.reltuples, c.reltoastrelid, c.reloptions,
    count(*) over () as total
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where
    c.relkind in ('r', 'm')
    and c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  order by c.relpages desc, c.oid
  limit {top}
)
select
  t.nspname || '.' || t.relname as name,
  t.total::float8 as total,
  t.relpages::float8 * b.size as heap_bytes,
  (select x.relpages::float8 * b.size from pg_catalog.pg_class as x where x.oid = t.reltoastrelid) as toast_bytes,
  i.pages * b.size as index_bytes,
  pg_stat_get_live_tuples(t.oid)::float8 as live,
  pg_stat_get_dead_tuples(t.oid)::float8 as dead,
  pg_stat_get_mod_since_analyze(t.oid)::float8 as modified,
  pg_stat_get_numscans(t.oid)::float8 as sequential_scans,
  i.scans as index_scans,
  pg_stat_get_tuples_inserted(t.oid)::float8 as inserted,
  pg_stat_get_tuples_updated(t.oid)::float8 as updated,
  pg_stat_get_tuples_deleted(t.oid)::float8 as deleted,
  pg_stat_get_blocks_fetched(t.oid)::float8 as blocks_fetched,
  pg_stat_get_blocks_hit(t.oid)::float8 as blocks_hit,
  extract(epoch from clock_timestamp()
    - greatest(pg_stat_get_last_vacuum_time(t.oid), pg_stat_get_last_autovacuum_time(t.oid)))::float8 as vacuumed_seconds,
  extract(epoch from clock_timestamp()
    - greatest(pg_stat_get_last_analyze_time(t.oid), pg_stat_get_last_autoanalyze_time(t.oid)))::float8
    as analyzed_seconds,
  coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold')::float8)
    + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor')::float8) * greatest(t.reltuples, 0)
    as vacuum_at
from largest as t
cross join (select current_setting('block_size')::float8 as size) as b
left join lateral (
  select sum(x.relpages)::float8 as pages, sum(pg_stat_get_numscans(x.oid))::float8 as scans
  from pg_catalog.pg_index as y
  join pg_catalog.pg_class as x on x.oid = y.indexrelid
  where y.indrelid = t.oid
) as i on true
left join lateral (
  select
    (max(option_value) filter (where option_name = 'autovacuum_vacuum_threshold'))::float8 as threshold,
    (max(option_value) filter (where option_name = 'autovacuum_vacuum_scale_factor'))::float8 as scale
  from pg_options_to_table(t.reloptions)
) as o on true
order by t.relpages desc, t.oid

-- name: bloat
-- How many pages the rows would fill by the mean width of their columns, against how many there are. pg_stats shows
-- columns only to who may read them.
with largest as materialized (
  select
    c.oid, n.nspname, c.relname, c.relpages::float8 as pages, c.reltuples::float8 as tuples,
    coalesce((
      select option_value::float8 from pg_options_to_table(c.reloptions) where option_name = 'fillfactor'
    ), 100) / 100 as fill,
    (select count(*) from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
      as columns
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where
    c.relkind in ('r', 'm')
    and c.relpersistence <> 't'
    and c.relpages >= 128
    and c.reltuples > 0
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  order by c.relpages desc, c.oid
  limit {top}
), widths as materialized (
  select t.oid, count(*) as columns, sum((1 - s.null_frac) * s.avg_width)::float8 as width
  from largest as t
  join pg_catalog.pg_stats as s on s.schemaname = t.nspname and s.tablename = t.relname and not s.inherited
  group by t.oid
)
select
  t.nspname || '.' || t.relname as name,
  t.pages * b.size as bytes,
  case when w.columns = t.columns then
    ceil(t.tuples * (ceil((w.width + 24) / 8) * 8 + 4) / ((b.size - 24) * t.fill)) * b.size
  end as needed_bytes
from largest as t
cross join (select current_setting('block_size')::float8 as size) as b
left join widths as w on w.oid = t.oid
order by t.pages desc, t.oid
