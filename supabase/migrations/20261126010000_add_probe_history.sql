-- What probes have seen, hour by hour and day by day; and what the hub asks other agents to look at.

create table public.probe_hours (
  organization_id uuid not null,
  probe_id uuid not null,
  hour timestamptz not null check (hour = date_trunc('hour', hour, 'UTC')),
  tries integer not null default 0,
  well_seconds real not null default 0,
  down_seconds real not null default 0,
  answered integer not null default 0,
  seconds_sum double precision not null default 0,
  seconds_min real,
  seconds_max real,
  results bytea not null default '',
  changes jsonb not null default '[]',
  primary key (probe_id, hour),
  foreign key (organization_id, probe_id) references public.probes (organization_id, id) on delete cascade
) with (fillfactor = 80);
comment on table public.probe_hours is 'A probe''s tries of one hour, and what they come to. Kept for 90 days.';
comment on column public.probe_hours.probe_id is 'Whose.';
comment on column public.probe_hours.hour is 'When it begins.';
comment on column public.probe_hours.tries is 'How many there were.';
comment on column public.probe_hours.well_seconds is 'Time for which up or degraded tries speak: each for the time since the one before it.';
comment on column public.probe_hours.down_seconds is 'Time for which tries speak that found it down. What is in neither was not judged.';
comment on column public.probe_hours.answered is 'Tries that have a time.';
comment on column public.probe_hours.seconds_sum is 'Of their times.';
comment on column public.probe_hours.seconds_min is 'The shortest.';
comment on column public.probe_hours.seconds_max is 'The longest.';
comment on column public.probe_hours.results is 'Eight bytes for each try, in order: tenths of a second since the hour began (u16), state (u8), 0, seconds (f32, NaN for none); little-endian.';
comment on column public.probe_hours.changes is 'Tries that came to something else than the one before: [ms UTC, state, reason, message].';
create index probe_hours_hour_idx on public.probe_hours (hour);

create table public.probe_days (
  organization_id uuid not null,
  probe_id uuid not null,
  day date not null,
  tries integer not null default 0,
  well_seconds real not null default 0,
  down_seconds real not null default 0,
  answered integer not null default 0,
  seconds_sum double precision not null default 0,
  seconds_min real,
  seconds_max real,
  primary key (probe_id, day),
  foreign key (organization_id, probe_id) references public.probes (organization_id, id) on delete cascade
) with (fillfactor = 80);
comment on table public.probe_days is 'What a probe''s tries of one day (UTC) come to: for uptime over weeks and months. Kept for 90 days.';
comment on column public.probe_days.probe_id is 'Whose.';
comment on column public.probe_days.day is 'Of UTC.';
comment on column public.probe_days.tries is 'How many there were.';
comment on column public.probe_days.well_seconds is 'As of hours.';
comment on column public.probe_days.down_seconds is 'As of hours.';
comment on column public.probe_days.answered is 'Tries that have a time.';
comment on column public.probe_days.seconds_sum is 'Of their times.';
comment on column public.probe_days.seconds_min is 'The shortest.';
comment on column public.probe_days.seconds_max is 'The longest.';
create index probe_days_day_idx on public.probe_days (day);

do $rls$
declare
  tenant text;
begin
  foreach tenant in array array['probe_hours', 'probe_days'] loop
    execute format('alter table public.%I enable row level security', tenant);
    execute format('alter table public.%I force row level security', tenant);
    execute format('revoke all on public.%I from anon, authenticated, service_role', tenant);
    execute format('grant select, insert, update, delete on public.%I to service_role', tenant);
    execute format('create policy service_all on public.%I for all to service_role using (true) with check (true)', tenant);
    execute format(
      'create policy members_read on public.%I for select to authenticated'
      ' using (organization_id in (select private.my_organizations()))', tenant);
    execute format('grant select on public.%I to authenticated', tenant);
  end loop;
end
$rls$;

-- A probe that is deleted leaves its alerts behind: whoever was told of one is told that it is over.
alter table public.alerts drop constraint alerts_organization_id_probe_id_fkey;
alter table public.alerts add constraint alerts_organization_id_probe_id_fkey
  foreign key (organization_id, probe_id) references public.probes (organization_id, id) on delete set null (probe_id);

create table private.witness_questions (
  id uuid primary key,
  organization_id uuid not null references public.organizations (id) on delete cascade,
  server_id uuid not null,
  probe text not null check (probe in ('http', 'tcp', 'ping', 'peer')),
  target text not null check (char_length(target) <= 2048),
  options jsonb not null default '{}',
  timeout_seconds real not null,
  expires_at timestamptz not null,
  sent_at timestamptz,
  outcome text check (outcome in ('up', 'down', 'unknown')),
  reason text not null default '',
  message text not null default '',
  seconds real,
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table private.witness_questions is 'What agents are asked to look at. Whichever hub has the agent''s connection asks, whichever hears the answer writes it down.';
comment on column private.witness_questions.server_id is 'Whose agent is asked: nobody else''s answer counts.';
comment on column private.witness_questions.probe is 'How it is to look.';
comment on column private.witness_questions.target is 'At what: a URL, host:port, or a host''s name among Tailscale peers.';
comment on column private.witness_questions.options is 'What it is to expect; no secrets.';
comment on column private.witness_questions.timeout_seconds is 'What it has for that.';
comment on column private.witness_questions.expires_at is 'Nobody waits for the answer after this.';
comment on column private.witness_questions.sent_at is 'When a hub said it to the agent; null: none has yet.';
comment on column private.witness_questions.outcome is 'What it saw; null: no answer yet.';
comment on column private.witness_questions.reason is 'A slug for programs; empty while up.';
comment on column private.witness_questions.message is 'In its words.';
comment on column private.witness_questions.seconds is 'How long it took.';
create index witness_questions_unsent_idx on private.witness_questions (expires_at) where sent_at is null;
create index witness_questions_expires_at_idx on private.witness_questions (expires_at);
create index witness_questions_server_id_idx on private.witness_questions (organization_id, server_id);
alter table private.witness_questions enable row level security;
alter table private.witness_questions force row level security;
create policy service_all on private.witness_questions for all to service_role using (true) with check (true);
grant select, insert, update, delete on private.witness_questions to service_role;

alter table public.probes drop column recent;
alter table public.probes add column leased_until timestamptz;
comment on column public.probes.leased_until is 'The try under way is lost if it has not come to an end by then; null: none is under way.';
alter table public.probes add column only_here boolean not null default false;
comment on column public.probes.only_here is 'Whether, by the last look of others, the hub alone cannot reach it.';
grant select (only_here) on public.probes to authenticated;
