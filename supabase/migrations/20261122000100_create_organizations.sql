-- Tenants and who belongs to them.

create schema private;
comment on schema private is 'Helpers of policies and what only the hub''s workers use; no browser role can read its tables.';
grant usage on schema private to authenticated, service_role;
grant create on schema private to service_role;

create table public.organizations (
  id uuid primary key default gen_random_uuid(),
  name text not null check (char_length(name) between 1 and 100),
  plan text not null default 'free' check (plan in ('free', 'pro', 'enterprise')),
  created_at timestamptz not null default now()
);
comment on table public.organizations is 'The tenant: owns servers, keys and all that follows from them.';
comment on column public.organizations.plan is 'What it pays for.';

create table public.members (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
  created_at timestamptz not null default now(),
  primary key (organization_id, user_id)
);
comment on table public.members is 'Which user belongs to which organization, and what they may do there.';
create index members_user_id_idx on public.members (user_id);

create table public.audit_log (
  id bigint generated always as identity primary key,
  organization_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid,
  action text not null,
  subject text not null,
  happened_at timestamptz not null default now()
);
comment on table public.audit_log is 'Every change of state that a person made. Rows are only ever added.';
comment on column public.audit_log.user_id is 'Who did it; kept when the user is gone, so no foreign key.';
comment on column public.audit_log.action is 'Noun and verb, such as server.rename.';
comment on column public.audit_log.subject is 'What it was done to, for people: a name, never a secret.';
create index audit_log_organization_id_idx on public.audit_log (organization_id, happened_at desc);

-- Policies ask this instead of reading members, whose own policy would then ask itself.
create function private.my_organizations(roles text[] default '{owner,admin,member,viewer}')
returns setof uuid
language sql stable security definer set search_path = ''
as $$
  select organization_id from public.members where user_id = (select auth.uid()) and role = any (roles)
$$;
comment on function private.my_organizations(text[]) is 'Organizations in which the signed-in user has one of these roles.';
alter function private.my_organizations(text[]) owner to service_role;
revoke all on function private.my_organizations(text[]) from public;
grant execute on function private.my_organizations(text[]) to authenticated, service_role;

alter table public.organizations enable row level security;
alter table public.organizations force row level security;
alter table public.members enable row level security;
alter table public.members force row level security;
alter table public.audit_log enable row level security;
alter table public.audit_log force row level security;

revoke all on public.organizations, public.members, public.audit_log from anon, authenticated, service_role;
grant select on public.organizations, public.members, public.audit_log to authenticated;
grant update (name) on public.organizations to authenticated;
grant insert (organization_id, user_id, action, subject) on public.audit_log to authenticated;
grant select, insert, update, delete on public.organizations, public.members to service_role;
grant select, insert on public.audit_log to service_role;

create policy service_all on public.organizations for all to service_role using (true) with check (true);
create policy service_all on public.members for all to service_role using (true) with check (true);
create policy service_all on public.audit_log for all to service_role using (true) with check (true);

create policy members_read on public.organizations for select to authenticated
  using (id in (select private.my_organizations()));
create policy admins_rename on public.organizations for update to authenticated
  using (id in (select private.my_organizations('{owner,admin}')))
  with check (id in (select private.my_organizations('{owner,admin}')));

create policy members_read on public.members for select to authenticated
  using (organization_id in (select private.my_organizations()));

create policy admins_read on public.audit_log for select to authenticated
  using (organization_id in (select private.my_organizations('{owner,admin}')));
create policy members_add on public.audit_log for insert to authenticated
  with check (
    user_id = (select auth.uid())
    and organization_id in (select private.my_organizations('{owner,admin,member}'))
  );

create table private.setup_tokens (
  hash bytea primary key check (octet_length(hash) = 32),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  created_at timestamptz not null default now()
);
comment on table private.setup_tokens is 'One-time links with which the first owner of an organization signs up.';
comment on column private.setup_tokens.hash is 'SHA-256 of the whole token.';
alter table private.setup_tokens enable row level security;
alter table private.setup_tokens force row level security;
create policy service_all on private.setup_tokens for all to service_role using (true) with check (true);
grant select, insert, delete on private.setup_tokens to service_role;
