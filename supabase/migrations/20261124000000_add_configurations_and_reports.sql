-- What each server shall watch, and how its monitors, checks and deliveries stand.

alter table public.servers add column delivery jsonb;
comment on column public.servers.delivery is 'What became of the agent''s ticks, as its newest heartbeat said, and at, ms UTC, when it did.';

-- Apart from the body, which the overview reads of every server: schemas of options are long.
-- json, not jsonb, which puts keys in another order: forms show options in the order in which they are declared.
alter table public.catalogues add column kinds json not null default '[]';
comment on column public.catalogues.kinds is 'Types of monitor that the agent could run, with the JSON Schema of their options.';

create table public.configurations (
  organization_id uuid not null,
  server_id uuid primary key,
  version bigint not null check (version between 1 and 9007199254740992),
  body jsonb not null check (jsonb_typeof(body) = 'object' and octet_length(body::text) <= 1048576),
  secret bytea check (octet_length(secret) between 28 and 1048576),
  secret_key_id text check (secret_key_id ~ '^[0-9a-f]{16}$'),
  updated_at timestamptz not null,
  updated_by uuid,
  author text not null default '' check (char_length(author) <= 254),
  check ((secret is null) = (secret_key_id is null)),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.configurations is 'The monitors and rules that a server''s agent is given. Older versions are not kept; who made which is in the audit log.';
comment on column public.configurations.version is 'Rises by one at each change.';
comment on column public.configurations.body is 'Monitors and rules; where a secret value stands, it says ***.';
comment on column public.configurations.secret is 'The secret values by their places in the body: AES-256-GCM under a key derived from the hub''s secret.';
comment on column public.configurations.secret_key_id is 'Tells the key of the secret values from others, so that a hub whose secret was changed can say so.';
comment on column public.configurations.updated_by is 'Who made this version; kept when the user is gone, so no foreign key.';
comment on column public.configurations.author is 'Their e-mail at that time, for people.';

create table public.reports (
  organization_id uuid not null,
  server_id uuid primary key,
  digest text not null,
  monitors jsonb not null,
  configuration jsonb not null,
  counts jsonb not null,
  updated_at timestamptz not null,
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.reports is 'The newest report of each agent: its monitors and what became of its configuration. Its checks are rows of their own.';
comment on column public.reports.digest is 'What the agent calls this content; repeated in answers to heartbeats.';
comment on column public.reports.monitors is 'How each configured monitor stands.';
comment on column public.reports.configuration is 'Version in force, version refused, and problems.';
comment on column public.reports.counts is 'How many checks are in each state, so that an overview need not count them.';

create table public.checks (
  organization_id uuid not null,
  server_id uuid not null,
  name text not null,
  monitor text not null,
  state text not null check (state in ('up', 'degraded', 'down', 'unknown')),
  reason text not null,
  message text not null,
  since timestamptz not null,
  primary key (server_id, name),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.checks is 'Named states on a server, in step with the agent''s newest report.';
comment on column public.checks.state is 'unknown: it could not be judged.';
comment on column public.checks.reason is 'A slug for programs; empty while up.';
comment on column public.checks.message is 'What is wrong, for people.';
comment on column public.checks.since is 'When it took on this state and reason, by the agent''s clock.';

do $rls$
declare
  tenant text;
begin
  foreach tenant in array array['configurations', 'reports', 'checks'] loop
    execute format('alter table public.%I enable row level security', tenant);
    execute format('alter table public.%I force row level security', tenant);
    execute format('revoke all on public.%I from anon, authenticated, service_role', tenant);
    execute format('grant select, insert, update, delete on public.%I to service_role', tenant);
    execute format('create policy service_all on public.%I for all to service_role using (true) with check (true)', tenant);
    execute format(
      'create policy members_read on public.%I for select to authenticated'
      ' using (organization_id in (select private.my_organizations()))', tenant);
  end loop;
end
$rls$;

grant select on public.reports, public.checks to authenticated;

-- All but the secret, which is written and never read by anyone in a browser.
grant select (organization_id, server_id, version, body, secret_key_id, updated_at, updated_by, author)
  on public.configurations to authenticated;
grant insert (organization_id, server_id, version, body, secret, secret_key_id, updated_at, updated_by, author)
  on public.configurations to authenticated;
grant update (version, body, secret, secret_key_id, updated_at, updated_by, author)
  on public.configurations to authenticated;
create policy members_add on public.configurations for insert to authenticated
  with check (
    updated_by = (select auth.uid())
    and organization_id in (select private.my_organizations('{owner,admin,member}'))
  );
create policy members_change on public.configurations for update to authenticated
  using (organization_id in (select private.my_organizations('{owner,admin,member}')))
  with check (
    updated_by = (select auth.uid())
    and organization_id in (select private.my_organizations('{owner,admin,member}'))
  );
