-- In which state servers and checks were, as changes: an answer about 90 days reads few rows.

create table public.server_changes (
  organization_id uuid not null,
  server_id uuid not null,
  changed_at timestamptz not null,
  state text not null check (state in ('up', 'late', 'down')),
  primary key (server_id, changed_at),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.server_changes is 'When a server came to be up, late or down, by its heartbeats; kept for 90 days.';
comment on column public.server_changes.changed_at is 'Of a silence, when it began, and not when it was noticed.';
comment on column public.server_changes.state is 'It holds until the next.';

create table public.check_changes (
  organization_id uuid not null,
  server_id uuid not null,
  name text not null,
  changed_at timestamptz not null,
  state text not null check (state in ('up', 'degraded', 'down', 'unknown', 'gone')),
  primary key (server_id, name, changed_at),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.check_changes is 'When a check came to be in which state; kept for 90 days.';
comment on column public.check_changes.changed_at is 'By the agent''s clock, but not ahead of the hub''s.';
comment on column public.check_changes.state is 'gone: the agent no longer reports it.';

do $rls$
declare
  tenant text;
begin
  foreach tenant in array array['server_changes', 'check_changes'] loop
    execute format('alter table public.%I enable row level security', tenant);
    execute format('alter table public.%I force row level security', tenant);
    execute format('revoke all on public.%I from anon, authenticated, service_role', tenant);
    execute format('grant select, insert, update, delete on public.%I to service_role', tenant);
    execute format('grant select on public.%I to authenticated', tenant);
    execute format('create policy service_all on public.%I for all to service_role using (true) with check (true)', tenant);
    execute format(
      'create policy members_read on public.%I for select to authenticated'
      ' using (organization_id in (select private.my_organizations()))', tenant);
  end loop;
end
$rls$;
