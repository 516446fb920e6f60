-- Indexes of this database.

-- name: indexes
with largest as materialized (
  select i.indexrelid, i.indrelid, n.nspname, c.relname, c.relpages, count(*) over () as total
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as c on c.oid = i.indexrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where
    c.relkind = 'i'
    and c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  order by c.relpages desc, c.oid
  limit {top}
)
select
  l.nspname || '.' || l.relname as name,
  l.total::float8 as total,
  l.relpages * current_setting('block_size')::float8 as bytes,
  pg_stat_get_numscans(l.indexrelid)::float8 as scans
from largest as l
order by l.relpages desc, l.indexrelid

-- name: index_faults
-- An index that is being built is not valid yet.
with ours as materialized (
  select
    i.indexrelid, n.nspname || '.' || c.relname as name, c.relpages, i.indisvalid, i.indisunique,
    exists (
      select from pg_catalog.pg_stat_progress_create_index as p where p.relid = i.indrelid or p.relid is null
    ) as is_in_the_making
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as c on c.oid = i.indexrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.relkind = 'i' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
)
select
  (count(*) filter (where not indisvalid and not is_in_the_making))::float8 as invalid,
  (array_agg(name order by relpages desc) filter (where not indisvalid and not is_in_the_making))[1:5] as invalid_names,
  (count(*) filter (where is_unused))::float8 as unused,
  coalesce(sum(relpages) filter (where is_unused), 0) * current_setting('block_size')::float8 as unused_bytes
from (
  select ours.*, indisvalid and not indisunique and relpages >= 16 and pg_stat_get_numscans(indexrelid) = 0 as is_unused
  from ours
) as judged
