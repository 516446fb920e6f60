-- Checkpoints, write-ahead log and its archive.

-- name: checkpoints
select
  checkpoints_timed::float8 as timed,
  checkpoints_req::float8 as requested,
  checkpoint_write_time as write_milliseconds,
  checkpoint_sync_time as sync_milliseconds,
  buffers_checkpoint::float8 as checkpoint_buffers,
  buffers_clean::float8 as background_buffers,
  buffers_backend::float8 as backend_buffers,
  maxwritten_clean::float8 as stops,
  buffers_alloc::float8 as allocated
from pg_catalog.pg_stat_bgwriter

-- name: checkpoints_17
select
  c.num_timed::float8 as timed,
  c.num_requested::float8 as requested,
  c.write_time as write_milliseconds,
  c.sync_time as sync_milliseconds,
  c.buffers_written::float8 as checkpoint_buffers,
  b.buffers_clean::float8 as background_buffers,
  b.maxwritten_clean::float8 as stops,
  b.buffers_alloc::float8 as allocated
from pg_catalog.pg_stat_checkpointer as c, pg_catalog.pg_stat_bgwriter as b

-- name: wal
select
  pg_wal_lsn_diff(
    case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_lsn() end, '0/0'
  )::float8 as bytes

-- name: wal_14
select
  pg_wal_lsn_diff(
    case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_lsn() end, '0/0'
  )::float8 as bytes,
  wal_records::float8 as records,
  wal_fpi::float8 as full_pages,
  wal_buffers_full::float8 as buffers_full
from pg_catalog.pg_stat_wal

-- name: wal_folder
select
  count(*)::float8 as files,
  coalesce(sum(size), 0)::float8 as bytes
from pg_ls_waldir()

-- name: archive
select
  a.archived_count::float8 as archived,
  a.failed_count::float8 as failed,
  extract(epoch from clock_timestamp() - a.last_archived_time)::float8 as archived_seconds,
  extract(epoch from clock_timestamp() - a.last_failed_time)::float8 as failed_seconds,
  a.last_failed_wal as failed_file,
  (select setting from pg_catalog.pg_settings where name = 'archive_mode') as mode,
  (select setting::float8 from pg_catalog.pg_settings where name = 'archive_timeout') as timeout_seconds
from pg_catalog.pg_stat_archiver as a

-- name: archive_folder
select (count(*) filter (where name like '%.ready'))::float8 as waiting from pg_ls_archive_statusdir()
