-- Statements of agent/alerting/memory. "-- name:" begins one and is how it is asked for.

-- name: schema_1
create table things (
  rule text not null,
  thing text not null,
  -- msgpack of judge.Remembered
  body blob not null,
  primary key (rule, thing)
) without rowid;
create table alerts (
  rule text not null,
  thing text not null,
  episode integer not null,
  -- msgpack of alert.Alert
  body blob not null,
  primary key (rule, thing, episode)
) without rowid;
create table events (
  number integer primary key,
  at_ms integer not null,
  -- msgpack of AlertEvent without its key
  body blob not null
);
create table ledger (
  one integer primary key check (one = 1),
  -- the highest number that an event ever had
  number integer not null,
  delivered_ms integer not null default 0
);

-- name: begin
insert into ledger (one, number) values (1, :number);

-- name: ledger
select number, delivered_ms from ledger;

-- name: note_number
update ledger set number = max(number, :number);

-- name: note_delivered
update ledger set delivered_ms = max(delivered_ms, :at);

-- name: things
select body from things;

-- name: keep_thing
insert into things (rule, thing, body) values (:rule, :thing, :body)
on conflict (rule, thing) do update set body = excluded.body;

-- name: forget_thing
delete from things where rule = :rule and thing = :thing;

-- name: alerts
select body from alerts order by episode, rule, thing;

-- name: keep_alert
insert into alerts (rule, thing, episode, body) values (:rule, :thing, :episode, :body)
on conflict (rule, thing, episode) do update set body = excluded.body;

-- name: forget_alert
delete from alerts where rule = :rule and thing = :thing and episode = :episode;

-- name: add_event
insert into events (number, at_ms, body) values (:number, :at, :body);

-- name: events
select number, body from events where number > :after order by number limit :most;

-- name: count_events
select count(*) from events;

-- name: acknowledge
delete from events where number <= :number;

-- name: drop_event
delete from events where number = :number;

-- name: expire
delete from events where at_ms < :before
  or number <= (select number from events order by number desc limit 1 offset :most);
