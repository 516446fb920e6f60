-- Statements of agent/buffer. "-- name:" begins one and is how it is asked for.

-- name: schema_1
create table shapes (
  id integer primary key,
  digest text not null unique,
  definition blob not null,
  series integer not null,
  announced integer not null default 0 check (announced in (0, 1))
);
create table ticks (
  id integer primary key,
  time_ms integer not null,
  shape_id integer not null references shapes (id),
  samples blob not null,
  -- null: waiting; 0: set aside; else the number it was, or is being, sent under
  sequence integer
);
create index ticks_waiting on ticks (id) where sequence is null;
create index ticks_time on ticks (time_ms);
create table ledger (
  one integer primary key check (one = 1),
  next_sequence integer not null,
  acknowledged integer not null default 0,
  -- the number in flight and the ticks that bear it; 0: none
  sending integer not null default 0,
  sending_first integer not null default 0,
  sending_last integer not null default 0,
  collected integer not null default 0,
  delivered integer not null default 0,
  dropped integer not null default 0,
  set_aside integer not null default 0
);

-- name: schema_2
create table checks (
  name text primary key,
  standing blob not null
) without rowid;

-- name: open_ledger
insert into ledger (one, next_sequence) values (1, :next_sequence);

-- name: ledger
select next_sequence, acknowledged, sending, sending_first, sending_last, collected, delivered, dropped, set_aside
from ledger;

-- name: find_shape
select id from shapes where digest = :digest;

-- name: keep_shape
insert into shapes (digest, definition, series) values (:digest, :definition, :series);

-- name: keep_tick
insert into ticks (time_ms, shape_id, samples, sequence) values (:time_ms, :shape_id, :samples, :sequence);

-- name: count
update ledger set
  collected = collected + :collected, delivered = delivered + :delivered, dropped = dropped + :dropped,
  set_aside = set_aside + :set_aside;

-- name: waiting
select t.id, t.shape_id, t.time_ms, t.samples, s.digest, s.series, length(s.definition), s.announced
from ticks as t indexed by ticks_waiting join shapes as s on s.id = t.shape_id
where t.sequence is null and t.time_ms between :since and :until
order by t.id
limit :ticks;

-- name: number_tick
update ticks set sequence = :sequence where id = :id;

-- name: begin_sending
update ledger set
  sending = :sequence, next_sequence = max(next_sequence, :sequence + 1), sending_first = :first, sending_last = :last;

-- name: in_flight
select t.id, t.shape_id, t.time_ms, t.samples, s.digest, s.series, length(s.definition), s.announced
from ticks as t join shapes as s on s.id = t.shape_id
where t.id between :first and :last and t.sequence = :sequence
order by t.id;

-- name: count_in_flight
select count(*) from ticks where id between :first and :last and sequence = :sequence;

-- name: definition
select definition from shapes where id = :id;

-- name: renumber
update ticks set sequence = :becomes where id between :first and :last and sequence = :sequence;

-- name: end_sending
update ledger set sending = 0, sending_first = 0, sending_last = 0;

-- name: note_acknowledged
update ledger set acknowledged = max(acknowledged, :sequence);

-- name: raise_sequence
update ledger set next_sequence = max(next_sequence, :above + 1);

-- name: announce
update shapes set announced = 1
where announced = 0 and id in (select shape_id from ticks where id between :first and :last and sequence = :sequence);

-- name: forget_announced
update shapes set announced = 0 where digest = :digest;

-- name: past
select count(*), count(*) filter (where sequence is null)
from ticks where time_ms < :before and (sequence is null or sequence <> :sending);

-- name: trim
delete from ticks where time_ms < :before and (sequence is null or sequence <> :sending);

-- name: trim_shapes
delete from shapes where id not in (select shape_id from ticks);

-- name: discard_sent
delete from ticks where id in (
  select id from ticks where sequence is not null and sequence <> :sending order by id limit :ticks
);

-- name: discard_waiting
delete from ticks where id in (
  select id from ticks indexed by ticks_waiting where sequence is null order by id limit :ticks
);

-- name: pending
select count(*), min(time_ms) from ticks indexed by ticks_waiting where sequence is null;

-- name: oldest_waiting
select time_ms from ticks indexed by ticks_waiting where sequence is null order by id limit 1;

-- name: window
select t.time_ms, t.samples, s.definition
from ticks as t join shapes as s on s.id = t.shape_id
where t.time_ms >= :since and t.time_ms < :until
order by t.time_ms, t.id
limit :ticks;

-- name: definitions
select id, definition from shapes;

-- name: page
select id, time_ms, shape_id, samples from ticks
where (time_ms, id) > (:time, :id) and time_ms >= :since and time_ms < :until and shape_id in (/* shapes */)
order by time_ms, id
limit :ticks;

-- name: checks
select name, standing from checks;

-- name: keep_check
insert into checks (name, standing) values (:name, :standing)
on conflict (name) do update set standing = excluded.standing;

-- name: forget_check
delete from checks where name = :name;
