-- name: special
-- Who does not have what all begin with.
select id, plan, retention_days from public.organizations where plan <> 'free' or retention_days is not null

-- name: clock
select now() as now
