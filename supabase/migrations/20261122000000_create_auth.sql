-- Roles and the auth schema as Supabase has them, for a PostgreSQL that has neither. On Supabase nothing happens here.
-- Names and types of columns are those of Supabase Auth, so that rows can be moved to a Supabase project.

do $roles$
declare
  wanted text;
begin
  foreach wanted in array array['anon', 'authenticated', 'service_role', 'supabase_auth_admin'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
      begin
        execute format('create role %I nologin noinherit', wanted);
      exception when duplicate_object or unique_violation then
        null; -- roles are shared by all databases of a server: another one's migration was quicker
      end;
    end if;
  end loop;
end
$roles$;

-- What the hub logs in as: no rights of its own, it takes on one of these roles in each transaction.
do $hub$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'twinwatch_hub') then
    begin
      create role twinwatch_hub nologin noinherit;
    exception when duplicate_object or unique_violation then
      null;
    end;
  end if;
  grant anon, authenticated, service_role to twinwatch_hub;
  -- The owner of the schema gives functions to service_role and so must be able to become it. A superuser is anyhow;
  -- from PostgreSQL 16 on, having created a role is not enough.
  if (case when current_setting('server_version_num')::int >= 160000
      then not pg_has_role(current_user, 'service_role', 'set')
      else not pg_has_role(current_user, 'service_role', 'member') end)
  then
    execute format('grant service_role to %I', current_user);
  end if;
exception when unique_violation then
  null; -- a concurrent migration of another database wrote the same membership
end
$hub$;

do $shim$
begin
  if to_regclass('auth.users') is not null then
    return;
  end if;

  create schema auth;
  grant usage on schema auth to anon, authenticated, service_role, supabase_auth_admin;

  create table auth.users (
    instance_id uuid not null default '00000000-0000-0000-0000-000000000000',
    id uuid primary key default gen_random_uuid(),
    aud text not null default 'authenticated',
    role text not null default 'authenticated',
    email text not null,
    encrypted_password text not null,
    email_confirmed_at timestamptz,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb not null default '{"provider": "email", "providers": ["email"]}',
    raw_user_meta_data jsonb not null default '{}',
    banned_until timestamptz,
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
  );
  comment on table auth.users is 'Who can sign in; on Supabase this is Supabase''s own table.';
  comment on column auth.users.encrypted_password is 'argon2id, PHC string.';
  create unique index users_email_key on auth.users (lower(email)) where deleted_at is null;

  create table auth.sessions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references auth.users (id) on delete cascade,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    user_agent text,
    ip inet
  );
  comment on table auth.sessions is 'One sign-in on one device; its refresh tokens form a chain.';
  create index sessions_user_id_idx on auth.sessions (user_id);

  create table auth.refresh_tokens (
    id bigint generated always as identity primary key,
    session_id uuid not null references auth.sessions (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    token text not null unique,
    parent text,
    revoked boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
  );
  comment on table auth.refresh_tokens is 'Each may be exchanged once; a second use ends the session.';
  comment on column auth.refresh_tokens.token is 'SHA-256 of the token, hex; the token itself is not kept.';
  create index refresh_tokens_session_id_idx on auth.refresh_tokens (session_id);

  grant select, insert, update, delete on auth.users, auth.sessions, auth.refresh_tokens to supabase_auth_admin;
  grant references, select (id, email) on auth.users to service_role;

  create function auth.jwt() returns jsonb
  language sql stable set search_path = ''
  as $f$
    select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb
  $f$;
  comment on function auth.jwt() is 'The claims of the request''s access token; empty outside a request.';

  create function auth.uid() returns uuid
  language sql stable set search_path = ''
  as $f$
    select nullif(auth.jwt() ->> 'sub', '')::uuid
  $f$;
  comment on function auth.uid() is 'The signed-in user''s id; null outside a request.';

  create function auth.role() returns text
  language sql stable set search_path = ''
  as $f$
    select auth.jwt() ->> 'role'
  $f$;
  comment on function auth.role() is 'The role that the access token names.';

  grant supabase_auth_admin to twinwatch_hub;
exception when duplicate_schema then
  raise exception 'schema auth exists but has no table auth.users: this is neither Supabase nor an empty database';
end
$shim$;
