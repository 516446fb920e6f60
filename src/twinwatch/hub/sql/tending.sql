-- name: turn
-- Of several hubs and their processes one ends samples, and one series, at a time; each transaction asks anew.
select pg_try_advisory_xact_lock(hashtextextended('twinwatch.tending.' || %(what)s, 0)) as is_ours

-- name: organizations
select id from public.organizations
