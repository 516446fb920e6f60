-- name: signs
select id, (extract(epoch from last_heartbeat_at) * 1000)::bigint as heard from public.servers
