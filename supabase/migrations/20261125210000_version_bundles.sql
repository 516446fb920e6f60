-- What agents hold of an organization is another whenever one of these is: they are told by this number.
alter table public.organizations add column bundle_version bigint not null default 1;
comment on column public.organizations.bundle_version is 'Rises whenever rules, silences, policies, channels, tags or the set of servers change: agents fetch their bundle anew.';

create function private.bundles_changed() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  update public.organizations set bundle_version = bundle_version + 1
  where id = coalesce(new.organization_id, old.organization_id);
  return null;
end
$$;
comment on function private.bundles_changed() is 'Raises the organization''s bundle version.';
alter function private.bundles_changed() owner to service_role;
revoke all on function private.bundles_changed() from public;

create trigger bundles_changed after insert or delete or update of name, settings, secret, direct, enabled
  on public.channels for each row execute function private.bundles_changed();
create trigger bundles_changed after insert or delete or update on public.policies
  for each row execute function private.bundles_changed();
create trigger bundles_changed after insert or delete or update on public.rules
  for each row execute function private.bundles_changed();
create trigger bundles_changed after insert or delete or update on public.silences
  for each row execute function private.bundles_changed();
create trigger bundles_changed after update of tags on public.servers
  for each row execute function private.bundles_changed();

-- A fleet that is put in place at once raises it once, not once per server.
create function private.fleet_changed() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  update public.organizations set bundle_version = bundle_version + 1
  where id in (select distinct organization_id from changed);
  return null;
end
$$;
comment on function private.fleet_changed() is 'Raises the bundle version of the organizations whose servers came or went.';
alter function private.fleet_changed() owner to service_role;
revoke all on function private.fleet_changed() from public;

create trigger fleet_grew after insert on public.servers referencing new table as changed
  for each statement execute function private.fleet_changed();
create trigger fleet_shrank after delete on public.servers referencing old table as changed
  for each statement execute function private.fleet_changed();
