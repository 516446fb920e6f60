-- name: enrolment_of_key
select id, organization_id
from public.enrolment_keys
where hash = %(hash)s and (expires_at is null or expires_at > %(now)s)

-- name: enrolment_used
update public.enrolment_keys set last_used_at = %(now)s where id = %(id)s

-- name: register
insert into public.servers (organization_id, install_id, name, agent_version, registered_at)
values (%(organization)s, %(install)s, %(name)s, %(version)s, %(now)s)
on conflict (organization_id, install_id) do update set agent_version = excluded.agent_version
returning id, sequence_mark

-- name: drop_server_keys
delete from public.server_keys where organization_id = %(organization)s and server_id = %(server)s

-- name: add_server_key
insert into public.server_keys (organization_id, server_id, prefix, hash)
values (%(organization)s, %(server)s, %(prefix)s, %(hash)s)

-- name: speaker_of_key
select organization_id, server_id from public.server_keys where hash = %(hash)s

-- name: heartbeat
with beat as (
  update public.servers
  set last_heartbeat_at = greatest(last_heartbeat_at, %(now)s), clock_skew_seconds = %(skew)s,
    agent_version = %(version)s, delivery = coalesce(%(delivery)s::jsonb, delivery),
    life = coalesce(%(life)s::jsonb, life), network = %(network)s, leaving = null, left_at = null, back_by = null
  where id = %(server)s and organization_id = %(organization)s
  returning id, organization_id, fast, open_digest
)
select b.id, b.fast, b.open_digest, o.bundle_version, c.fingerprint, r.digest, f.version
from beat as b
join public.organizations as o on o.id = b.organization_id
left join public.catalogues as c on c.server_id = b.id
left join public.reports as r on r.server_id = b.id
left join public.configurations as f on f.server_id = b.id

-- name: store_catalogue
insert into public.catalogues (organization_id, server_id, fingerprint, body, kinds, updated_at)
values (%(organization)s, %(server)s, %(fingerprint)s, %(body)s, %(kinds)s, %(now)s)
on conflict (server_id) do update
set fingerprint = excluded.fingerprint, body = excluded.body, kinds = excluded.kinds, updated_at = excluded.updated_at
