-- Labels come and go, of containers or jobs, and with each a shape: without a word on when it was used last, it and its
-- series would be there for ever. What is there counts as used now; rows that change have room beside them.

-- Who waits for a table behind a backup holds up all who come after.
set local lock_timeout = '5s';
alter table public.shapes add column last_used_at timestamptz not null default now();
comment on column public.shapes.last_used_at is 'When a batch that has it came last, by the hub''s clock; noted once an hour at most, so up to that much too early.';
comment on column public.shapes.created_at is 'When it was told first, by the hub''s clock.';
alter table public.shapes set (fillfactor = 80);
