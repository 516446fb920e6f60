-- As before, but an hour that is dropped while it is waited for holds nothing.
create or replace function samples.log_hours(before timestamptz) returns setof timestamptz
language plpgsql stable security definer set search_path = ''
as $$
declare
  part record;
  found boolean;
begin
  for part in
    select c.relname, to_timestamp(right(c.relname, 10), 'YYYYMMDDHH24')::timestamp at time zone 'UTC' as hour
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'samples.sample_log'::regclass
    order by c.relname
  loop
    if part.hour < before then
      begin
        execute format('select exists (select from samples.%I)', part.relname) into found;
      exception
        when undefined_table then
          found := false;
      end;
      if found then
        return next part.hour;
      end if;
    end if;
  end loop;
end
$$;
