-- Statements by the time that they took, from pg_stat_statements.

-- name: statements
-- Without the texts, which lie in a file that may be large.
select
  s.queryid::text as id,
  d.datname as database,
  (count(*) over ())::float8 as total,
  sum(s.calls)::float8 as calls,
  sum(s.total_exec_time) as milliseconds,
  sum(s.rows)::float8 as rows,
  sum(s.shared_blks_hit)::float8 as blocks_hit,
  sum(s.shared_blks_read)::float8 as blocks_read,
  sum(s.temp_blks_read + s.temp_blks_written)::float8 as temporary_blocks,
  (sum(sum(s.calls)) over ())::float8 as all_calls,
  sum(sum(s.total_exec_time)) over () as all_milliseconds
from {schema}.pg_stat_statements(false) as s
join pg_catalog.pg_database as d on d.oid = s.dbid
where s.queryid is not null
group by s.queryid, d.datname
order by milliseconds desc, id
limit {top}

-- name: texts
select s.queryid::text as id, left(min(s.query), 200) as text
from {schema}.pg_stat_statements(true) as s
where s.queryid = any (array[{ids}]::bigint[])
group by s.queryid
limit {top}
