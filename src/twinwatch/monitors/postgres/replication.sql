-- Standbys, seen from the primary and from themselves; replication slots.

-- name: standbys
with here as materialized (
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as lsn
)
select
  coalesce(nullif(r.application_name, ''), host(r.client_addr), 'standby') as name,
  (count(*) over ())::float8 as total,
  r.state,
  r.sync_state,
  pg_wal_lsn_diff(here.lsn, '0/0')::float8 as here_bytes,
  pg_wal_lsn_diff(r.replay_lsn, '0/0')::float8 as replayed_bytes,
  pg_wal_lsn_diff(here.lsn, r.sent_lsn)::float8 as sent_behind,
  pg_wal_lsn_diff(here.lsn, r.write_lsn)::float8 as write_behind,
  pg_wal_lsn_diff(here.lsn, r.flush_lsn)::float8 as flush_behind,
  pg_wal_lsn_diff(here.lsn, r.replay_lsn)::float8 as replay_behind,
  extract(epoch from r.write_lag)::float8 as write_seconds,
  extract(epoch from r.flush_lag)::float8 as flush_seconds,
  extract(epoch from r.replay_lag)::float8 as replay_seconds,
  current_setting('synchronous_standby_names') <> '' as waits_for_standbys
from pg_catalog.pg_stat_replication as r, here
where r.state is distinct from 'backup'
order by replay_behind desc nulls last, name, r.pid
limit {top}

-- name: unheard
-- Whether commits wait for standbys of which none may be there.
select current_setting('synchronous_standby_names') <> '' as waits_for_standbys

-- name: standby
select
  w.status as receiver,
  extract(epoch from clock_timestamp() - w.last_msg_receipt_time)::float8 as heard_seconds,
  w.pid is not null as has_receiver,
  (select setting <> '' from pg_catalog.pg_settings where name = 'primary_conninfo') as has_primary,
  pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::float8 as received_bytes,
  pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::float8 as replayed_bytes,
  pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::float8 as behind_bytes,
  extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as replayed_seconds,
  pg_is_wal_replay_paused() as is_paused
from (select 1) as one
left join pg_catalog.pg_stat_wal_receiver as w on true

-- name: slots
-- Columns that came with 17 are read by name, so that they are null before.
with here as materialized (
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as lsn
)
select
  s.slot_name as name,
  (count(*) over ())::float8 as total,
  s.slot_type as kind,
  s.active as is_active,
  pg_wal_lsn_diff(here.lsn, s.restart_lsn)::float8 as retained,
  pg_wal_lsn_diff(here.lsn, s.confirmed_flush_lsn)::float8 as unconfirmed,
  s.wal_status as status,
  s.safe_wal_size::float8 as safe,
  greatest(age(s.xmin), age(s.catalog_xmin))::float8 as xid_age,
  to_jsonb(s) ->> 'invalidation_reason' as invalid_since,
  extract(epoch from clock_timestamp() - (to_jsonb(s) ->> 'inactive_since')::timestamptz)::float8 as inactive_seconds
from pg_catalog.pg_replication_slots as s, here
where not s.temporary
order by retained desc nulls last, s.slot_name
limit {top}
