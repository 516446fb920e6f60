-- A row that is written anew every hour had better be small: times and values by column, packed as blocks are.

alter table samples.newest drop column times, drop column readings;
delete from samples.newest;
alter table samples.newest add column times bytea not null, add column readings bytea not null;
alter table samples.newest set (fillfactor = 50);
comment on column samples.newest.times is 'ms UTC by column, 0 where there was none; packed as the times of a block are.';
comment on column samples.newest.readings is 'The values at those times, packed as a column of a block is.';
