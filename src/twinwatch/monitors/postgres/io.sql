-- Reading and writing, by whom.

-- name: io
select
  backend_type as who,
  sum(reads)::float8 as read,
  sum(writes)::float8 as write,
  sum(extends)::float8 as extend,
  sum(fsyncs)::float8 as fsync,
  sum(hits)::float8 as hit,
  sum(evictions)::float8 as evict,
  sum(coalesce(read_time, 0) + coalesce(write_time, 0) + coalesce(extend_time, 0) + coalesce(fsync_time, 0))::float8
    as milliseconds
from pg_catalog.pg_stat_io
group by backend_type
having sum(coalesce(reads, 0) + coalesce(writes, 0) + coalesce(extends, 0) + coalesce(hits, 0)) > 0
order by backend_type

-- name: slru
select name, blks_hit::float8 as hit, blks_read::float8 as read, blks_written::float8 as write
from pg_catalog.pg_stat_slru
order by name
limit 20

-- name: buffers
select
  buffers_used::float8 as used,
  buffers_unused::float8 as unused,
  buffers_dirty::float8 as dirty,
  buffers_pinned::float8 as pinned
from {schema}.pg_buffercache_summary()
