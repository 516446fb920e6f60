-- name: server
select s.id, s.name, s.tags, s.organization_id, o.name as organization, o.bundle_version, k.hash,
  (select count(*) from public.servers as other
   where other.organization_id = s.organization_id and other.id < s.id
     and other.last_heartbeat_at > %(recent)s) as rank
from public.servers as s
join public.organizations as o on o.id = s.organization_id
join public.server_keys as k on k.server_id = s.id
where s.id = %(server)s

-- name: version
select o.bundle_version from public.organizations as o where o.id = %(organization)s
