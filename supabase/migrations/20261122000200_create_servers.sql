-- Servers, the keys with which they come and speak, and what they declare.

create table public.enrolment_keys (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  name text not null check (char_length(name) between 1 and 100),
  prefix text not null,
  hash bytea not null unique check (octet_length(hash) = 32),
  created_by uuid,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz
);
comment on table public.enrolment_keys is 'Keys that let a new server join the organization. The key is shown once and not kept.';
comment on column public.enrolment_keys.prefix is 'First characters of the key, so that people can tell keys apart.';
comment on column public.enrolment_keys.hash is 'SHA-256 of the whole key.';
create index enrolment_keys_organization_id_idx on public.enrolment_keys (organization_id);

create table public.servers (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  install_id uuid not null,
  name text not null check (char_length(name) between 1 and 200),
  agent_version text not null,
  registered_at timestamptz not null default now(),
  last_heartbeat_at timestamptz,
  clock_skew_seconds double precision,
  last_sample_at timestamptz,
  sequence_mark bigint not null default 0,
  unique (organization_id, id),
  unique (organization_id, install_id)
) with (fillfactor = 70); -- heartbeats and marks change no indexed column: room for them on the page keeps updates HOT
comment on table public.servers is 'Monitored machines.';
comment on column public.servers.install_id is 'Made by the agent before it registers: the same installation is the same server.';
comment on column public.servers.clock_skew_seconds is 'Agent''s clock minus the hub''s at the last heartbeat.';
comment on column public.servers.sequence_mark is 'Highest batch number committed; a batch at or below it was already counted.';

create table public.server_keys (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null,
  server_id uuid not null,
  prefix text not null,
  hash bytea not null unique check (octet_length(hash) = 32),
  created_at timestamptz not null default now(),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.server_keys is 'The key with which one server''s agent speaks.';
comment on column public.server_keys.prefix is 'First characters of the key, so that people can tell keys apart.';
comment on column public.server_keys.hash is 'SHA-256 of the whole key.';
create index server_keys_server_id_idx on public.server_keys (organization_id, server_id);

create table public.catalogues (
  organization_id uuid not null,
  server_id uuid primary key,
  fingerprint text not null,
  body jsonb not null,
  updated_at timestamptz not null default now(),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.catalogues is 'What the agent declares: monitors, metrics, charts, host facts. The dashboard is drawn from it.';

create table public.series (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  server_id uuid not null,
  key bytea not null check (octet_length(key) = 16),
  metric text not null,
  labels jsonb not null default '{}',
  created_at timestamptz not null default now(),
  unique (server_id, key),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.series is 'Metric name and labels on one server; samples refer to the id.';
comment on column public.series.key is 'Digest of metric and labels: labels may be longer than an index row.';
create index series_metric_idx on public.series (server_id, metric);

create table public.shapes (
  organization_id uuid not null,
  server_id uuid not null,
  id text not null check (id ~ '^[0-9a-f]{16}$'),
  monitor text not null,
  series_ids bigint[] not null,
  created_at timestamptz not null default now(),
  primary key (server_id, id),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.shapes is 'Which series the columns of a frame belong to, by the digest that the agent sends.';
comment on column public.shapes.series_ids is 'public.series.id of each column, in the order of the columns.';

do $rls$
declare
  tenant text;
begin
  foreach tenant in array array['enrolment_keys', 'servers', 'server_keys', 'catalogues', 'series', 'shapes'] loop
    execute format('alter table public.%I enable row level security', tenant);
    execute format('alter table public.%I force row level security', tenant);
    execute format('revoke all on public.%I from anon, authenticated, service_role', tenant);
    execute format('grant select, insert, update, delete on public.%I to service_role', tenant);
    execute format('create policy service_all on public.%I for all to service_role using (true) with check (true)', tenant);
  end loop;
  -- Key tables are not in this list: nobody but a worker needs a hash.
  foreach tenant in array array['servers', 'catalogues', 'series', 'shapes'] loop
    execute format('grant select on public.%I to authenticated', tenant);
    execute format(
      'create policy members_read on public.%I for select to authenticated'
      ' using (organization_id in (select private.my_organizations()))', tenant);
  end loop;
end
$rls$;

grant update (name), delete on public.servers to authenticated;
create policy members_rename on public.servers for update to authenticated
  using (organization_id in (select private.my_organizations('{owner,admin,member}')))
  with check (organization_id in (select private.my_organizations('{owner,admin,member}')));
create policy admins_delete on public.servers for delete to authenticated
  using (organization_id in (select private.my_organizations('{owner,admin}')));

grant select (id, organization_id, name, prefix, created_by, created_at, expires_at, last_used_at)
  on public.enrolment_keys to authenticated;
grant insert (organization_id, name, prefix, hash, created_by, expires_at), delete
  on public.enrolment_keys to authenticated;
create policy admins_read on public.enrolment_keys for select to authenticated
  using (organization_id in (select private.my_organizations('{owner,admin}')));
create policy admins_add on public.enrolment_keys for insert to authenticated
  with check (
    created_by = (select auth.uid())
    and organization_id in (select private.my_organizations('{owner,admin}'))
  );
create policy admins_delete on public.enrolment_keys for delete to authenticated
  using (organization_id in (select private.my_organizations('{owner,admin}')));
