-- Rules, alerts with their timeline, who is told what through which channel, silences, probes; and what the hub knows of
-- each server's life.

alter table public.servers
  add column tags text[] not null default '{}' check (cardinality(tags) <= 50),
  add column fast boolean not null default false,
  add column ladder jsonb,
  add column alarm_after_seconds real,
  add column level smallint not null default 0 check (level between 0 and 10),
  add column level_since timestamptz,
  add column network text not null default '',
  add column life jsonb,
  add column leaving text check (leaving in ('stop', 'reboot', 'shutdown')),
  add column left_at timestamptz,
  add column back_by timestamptz,
  add column control_lost_at timestamptz,
  add column event_mark bigint not null default 0,
  add column open_digest text not null default '';
comment on column public.servers.tags is 'What rules, policies and silences can name it by.';
comment on column public.servers.fast is 'Whether it sends heartbeats every few seconds, so that evidence shortens the wait.';
comment on column public.servers.ladder is 'Silences in seconds, ascending, with their severity and rule, as its rules come to; null: as the hub''s settings have it.';
comment on column public.servers.alarm_after_seconds is 'The first of the ladder: a look at all servers needs no more than this; null with it.';
comment on column public.servers.level is 'How many steps of the ladder its silence has passed; 0 is up.';
comment on column public.servers.level_since is 'When it took on that level.';
comment on column public.servers.network is 'Where its heartbeats come from, to the /24 or /48: servers that fall silent with their network have that in common.';
comment on column public.servers.life is 'What its agent said of its boot, its start and the life before, with the newest heartbeat.';
comment on column public.servers.leaving is 'What it said when it left; null once it is heard again.';
comment on column public.servers.left_at is 'When it said so.';
comment on column public.servers.back_by is 'When it expects to be back.';
comment on column public.servers.control_lost_at is 'When its control connection was closed; null while one is open.';
comment on column public.servers.event_mark is 'Highest number of an alert event committed; one at or below it was already counted.';
comment on column public.servers.open_digest is 'Digest of the keys of its agent''s open alerts as the hub has them; compared at every heartbeat.';
create index servers_level_idx on public.servers (organization_id) where level > 0;

create table public.channels (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  name text not null check (char_length(name) between 1 and 100),
  kind text not null check (char_length(kind) between 1 and 50),
  settings jsonb not null check (jsonb_typeof(settings) = 'object' and octet_length(settings::text) <= 65536),
  secret bytea check (octet_length(secret) between 28 and 65536),
  secret_key_id text check (secret_key_id ~ '^[0-9a-f]{16}$'),
  direct boolean not null default true,
  fallback boolean not null default false,
  enabled boolean not null default true,
  version bigint not null default 1,
  created_by uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  ready_at timestamptz,
  held_until timestamptz,
  lease uuid,
  unique (organization_id, id),
  unique (organization_id, name),
  check ((secret is null) = (secret_key_id is null))
);
comment on table public.channels is 'Where notifications go.';
comment on column public.channels.kind is 'email, slack, sms …';
comment on column public.channels.settings is 'Where a secret value stands, it says ***.';
comment on column public.channels.secret is 'The secret values by their places: AES-256-GCM under a key derived from the hub''s secret.';
comment on column public.channels.secret_key_id is 'Tells the key of the secret values from others.';
comment on column public.channels.direct is 'Whether agents may speak on it themselves: they are given its credentials, sealed.';
comment on column public.channels.fallback is 'Whether it gets what another channel refused.';
comment on column public.channels.enabled is 'One that is off gets nothing.';
comment on column public.channels.version is 'Rises at each change; a secret is bound to it.';
comment on column public.channels.ready_at is 'When the next message on it may leave; null while none waits.';
comment on column public.channels.held_until is 'Nothing leaves before: the end of the lease, and after it of the pause that gathers what comes.';
comment on column public.channels.lease is 'Whoever sends on it at this moment; whoever holds another one comes too late.';
create index channels_ready_at_idx on public.channels (ready_at) where ready_at is not null;

create table public.policies (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  position integer not null,
  name text not null check (char_length(name) between 1 and 100),
  body jsonb not null check (jsonb_typeof(body) = 'object' and octet_length(body::text) <= 65536),
  updated_at timestamptz not null default now(),
  unique (organization_id, id)
);
comment on table public.policies is 'Which alerts go to whom, in steps. Of several the first by position that admits an alert has it.';
comment on column public.policies.position is 'Ascending; the first that admits wins.';
create index policies_organization_id_idx on public.policies (organization_id, position);

create table public.rules (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  scope text not null check (scope in ('organization', 'tag', 'server')),
  tag text not null default '',
  server_id uuid,
  name text not null check (char_length(name) between 1 and 200),
  body jsonb not null check (jsonb_typeof(body) = 'object' and octet_length(body::text) <= 65536),
  version bigint not null default 1,
  updated_at timestamptz not null default now(),
  updated_by uuid,
  author text not null default '' check (char_length(author) <= 254),
  unique nulls not distinct (organization_id, scope, tag, server_id, name),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade,
  check ((scope = 'server') = (server_id is not null)),
  check ((scope = 'tag') = (tag <> ''))
);
comment on table public.rules is 'When something becomes an alert. Of rules of one name a server''s own stands before a tag''s, and that before the organization''s.';
comment on column public.rules.scope is 'Whose servers it judges.';
comment on column public.rules.tag is 'Of scope tag: which.';
comment on column public.rules.version is 'Rises at each change.';
comment on column public.rules.updated_by is 'Who changed it last; kept when the user is gone, so no foreign key.';
comment on column public.rules.author is 'Their e-mail at that time, for people.';

create table public.silences (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  comment text not null default '' check (char_length(comment) <= 500),
  body jsonb not null check (jsonb_typeof(body) = 'object' and octet_length(body::text) <= 65536),
  starts_at timestamptz not null,
  ends_at timestamptz,
  created_by uuid,
  author text not null default '' check (char_length(author) <= 254),
  created_at timestamptz not null default now()
);
comment on table public.silences is 'Times in which alerts are recorded and nobody is told.';
comment on column public.silences.comment is 'Why.';
comment on column public.silences.body is 'Which alerts, and at which hours.';
comment on column public.silences.starts_at is 'From when it holds.';
comment on column public.silences.ends_at is 'Until when; null: until somebody ends it.';
comment on column public.silences.author is 'The e-mail of who made it.';
create index silences_organization_id_idx on public.silences (organization_id, ends_at);

create table public.probes (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  server_id uuid,
  name text not null check (char_length(name) between 1 and 200),
  body jsonb not null check (jsonb_typeof(body) = 'object' and octet_length(body::text) <= 65536),
  secret bytea check (octet_length(secret) between 28 and 65536),
  secret_key_id text check (secret_key_id ~ '^[0-9a-f]{16}$'),
  version bigint not null default 1,
  interval_seconds integer not null check (interval_seconds between 10 and 3600),
  enabled boolean not null default true,
  state text not null default 'unknown' check (state in ('up', 'degraded', 'down', 'unknown')),
  since timestamptz,
  last_at timestamptz,
  last_seconds real,
  message text not null default '',
  reason text not null default '',
  expires_at timestamptz,
  recent jsonb not null default '[]',
  memory bytea,
  next_at timestamptz not null default '1970-01-01 00:00+00',
  lease uuid,
  created_at timestamptz not null default now(),
  unique (organization_id, id),
  unique (organization_id, name),
  check ((secret is null) = (secret_key_id is null)),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
) with (fillfactor = 70);
comment on table public.probes is 'What the hub checks from outside.';
comment on column public.probes.server_id is 'The server that it stands for, if any: its failure is evidence when that is silent.';
comment on column public.probes.body is 'Kind, target and what is expected; where a secret value stands, it says ***.';
comment on column public.probes.secret is 'The secret values by their places: AES-256-GCM under a key derived from the hub''s secret.';
comment on column public.probes.secret_key_id is 'Tells the key of the secret values from others.';
comment on column public.probes.version is 'Rises at each change; a secret is bound to it.';
comment on column public.probes.interval_seconds is 'Between two tries.';
comment on column public.probes.enabled is 'One that is off is not tried.';
comment on column public.probes.state is 'How it stands, after the failures that it takes.';
comment on column public.probes.since is 'When it took on that state.';
comment on column public.probes.last_at is 'When it was last tried.';
comment on column public.probes.last_seconds is 'How long that took.';
comment on column public.probes.message is 'What was wrong, for people.';
comment on column public.probes.reason is 'A slug for programs; empty while up.';
comment on column public.probes.expires_at is 'When the certificate that was seen expires.';
comment on column public.probes.recent is 'The last tries: [ms UTC, seconds or null, outcome], oldest first.';
comment on column public.probes.memory is 'What the rules on it remember, msgpack.';
comment on column public.probes.next_at is 'When it is due.';
comment on column public.probes.lease is 'The try under way; a result that bears another one comes too late.';
create index probes_next_at_idx on public.probes (next_at) where enabled;
create index probes_server_id_idx on public.probes (server_id) where server_id is not null;

create table public.alerts (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  server_id uuid,
  probe_id uuid,
  key text not null unique check (key ~ '^[0-9a-f]{32}$'),
  origin text not null check (origin in ('agent', 'hub')),
  rule text not null,
  thing text not null,
  episode bigint not null,
  severity text not null check (severity in ('warning', 'critical', 'down')),
  state text not null check (state in ('firing', 'acknowledged', 'resolved')),
  subject text not null,
  title text not null,
  message text not null,
  labels jsonb not null default '{}',
  value double precision,
  unit text not null default '',
  definition jsonb,
  flapping boolean not null default false,
  suppressed boolean not null default false,
  late boolean not null default false,
  silenced_until timestamptz,
  fence bigint not null default 0,
  agent_until timestamptz,
  policy_id uuid,
  step integer not null default 0,
  repeated_at timestamptz,
  look_at timestamptz,
  true_at timestamptz not null,
  detected_at timestamptz not null,
  received_at timestamptz not null,
  told_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by text not null default '',
  resolved_at timestamptz,
  resolved_why text not null default '',
  resolved_by text not null default '',
  cause text not null default '',
  verdict text not null default '',
  evidence jsonb,
  unique (organization_id, id),
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade,
  foreign key (organization_id, probe_id) references public.probes (organization_id, id) on delete cascade
) with (fillfactor = 80);
comment on table public.alerts is 'One firing of one rule on one thing. Kept for 90 days after it was resolved.';
comment on column public.alerts.probe_id is 'The probe that found it, if one did.';
comment on column public.alerts.key is 'The episode''s one name on every side: owner, rule, thing and episode number, digested.';
comment on column public.alerts.origin is 'Who judged.';
comment on column public.alerts.rule is 'The rule''s name.';
comment on column public.alerts.thing is 'What the rule was judged on: a series, a check, heartbeat, a probe.';
comment on column public.alerts.episode is 'Rises with each firing of the rule on the thing.';
comment on column public.alerts.severity is 'It may get graver while it is open, never less grave.';
comment on column public.alerts.state is 'firing, then perhaps acknowledged, then resolved.';
comment on column public.alerts.subject is 'Name of the server or probe at that time.';
comment on column public.alerts.title is 'What is wrong, in a few words.';
comment on column public.alerts.message is 'What is wrong and what to do, for people.';
comment on column public.alerts.value is 'What was judged, where that is a number.';
comment on column public.alerts.unit is 'UCUM.';
comment on column public.alerts.definition is 'The rule as it was.';
comment on column public.alerts.flapping is 'Whether it comes and goes: messages wait until it has come to rest.';
comment on column public.alerts.suppressed is 'Nobody is told: what explains it is told already.';
comment on column public.alerts.late is 'The hub heard of it when it was over, or out of a backlog: it tells nobody again.';
comment on column public.alerts.silenced_until is 'Nobody is told before this; infinity: until the silence is ended.';
comment on column public.alerts.fence is 'Who has the highest one tells: the hub as long as it is the one given out here.';
comment on column public.alerts.agent_until is 'The agent waits until then for the hub to tell; what was not begun by then is the agent''s.';
comment on column public.alerts.policy_id is 'The policy that had it at its firing.';
comment on column public.alerts.step is 'How many of the policy''s steps have been taken.';
comment on column public.alerts.repeated_at is 'When somebody was last told by the policy.';
comment on column public.alerts.look_at is 'When there may be something to do; null: nothing any more.';
comment on column public.alerts.true_at is 'When it became true, by the clock of who saw it.';
comment on column public.alerts.detected_at is 'When it was found out.';
comment on column public.alerts.received_at is 'When the hub heard of it.';
comment on column public.alerts.told_at is 'When the first channel had it.';
comment on column public.alerts.acknowledged_at is 'When somebody said that they see to it.';
comment on column public.alerts.acknowledged_by is 'Who.';
comment on column public.alerts.resolved_at is 'When it ended.';
comment on column public.alerts.resolved_why is 'recovered, gone, changed, closed by hand, unknown to its agent.';
comment on column public.alerts.resolved_by is 'Who closed it by hand.';
comment on column public.alerts.cause is 'What it was, once that is known.';
comment on column public.alerts.verdict is 'What was likely while it lasted, with the evidence.';
comment on column public.alerts.evidence is 'What was true on the server at that moment.';
create index alerts_organization_id_idx on public.alerts (organization_id, detected_at desc, id);
create index alerts_open_idx on public.alerts (organization_id, server_id, rule, thing) where state <> 'resolved';
create index alerts_look_at_idx on public.alerts (look_at) where look_at is not null;
create index alerts_server_id_idx on public.alerts (server_id, detected_at desc);
create index alerts_probe_id_idx on public.alerts (probe_id) where probe_id is not null;

create table public.alert_events (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  alert_id uuid not null,
  happened_at timestamptz not null,
  kind text not null check (char_length(kind) between 1 and 40),
  actor text not null default '' check (char_length(actor) <= 254),
  text text not null default '' check (char_length(text) <= 4000),
  detail jsonb not null default '{}',
  foreign key (organization_id, alert_id) references public.alerts (organization_id, id) on delete cascade
);
comment on table public.alert_events is 'What happened to an alert, in order. Rows are only ever added.';
comment on column public.alert_events.kind is 'fired, worse, told, refused, acknowledged, comment, escalated, silenced, resolved …';
comment on column public.alert_events.actor is 'Who: a person''s e-mail, agent, hub.';
comment on column public.alert_events.text is 'A person''s own words, or a sentence.';
comment on column public.alert_events.detail is 'What else there is to say, by kind.';
create index alert_events_alert_id_idx on public.alert_events (alert_id, happened_at, id);

create table public.notifications (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  alert_id uuid,
  channel_id uuid not null,
  occasion text not null,
  dedup text not null unique,
  teller text not null check (teller in ('agent', 'hub')),
  state text not null check (state in ('waiting', 'sending', 'delivered', 'refused', 'given-up', 'cancelled')),
  due_at timestamptz not null,
  not_after timestamptz,
  leased_until timestamptz,
  lease uuid,
  attempts integer not null default 0,
  created_at timestamptz not null,
  done_at timestamptz,
  reason text not null default '',
  reference text not null default '',
  body jsonb,
  unique (organization_id, id),
  foreign key (organization_id, alert_id) references public.alerts (organization_id, id) on delete cascade,
  foreign key (organization_id, channel_id) references public.channels (organization_id, id) on delete cascade
) with (fillfactor = 70);
comment on column public.notifications.channel_id is 'Where to.';
comment on table public.notifications is 'The outbox: one message to one channel, born in the transaction that changed the alert.';
comment on column public.notifications.alert_id is 'Null: a test or a drill.';
comment on column public.notifications.occasion is 'firing, worse, resolved, repeat, escalation, flapping, settled, acknowledged, test, drill.';
comment on column public.notifications.dedup is 'Twice the same message has twice the same, and is there once.';
comment on column public.notifications.teller is 'Who sends it: rows of the agent''s record what it did.';
comment on column public.notifications.state is 'waiting, sending under a lease, then delivered, refused by the provider, given up, or cancelled.';
comment on column public.notifications.due_at is 'Not before this.';
comment on column public.notifications.not_after is 'What was not begun by then waits until its agent was heard: that one may have told by itself.';
comment on column public.notifications.leased_until is 'Whoever sends it has until then.';
comment on column public.notifications.lease is 'Tells one try from another: a result that bears another one comes too late.';
comment on column public.notifications.attempts is 'Tries so far.';
comment on column public.notifications.done_at is 'When it was delivered, or will never be.';
comment on column public.notifications.reason is 'Why it was refused, given up, cancelled or is tried again.';
comment on column public.notifications.reference is 'What the provider returned to continue the conversation.';
comment on column public.notifications.body is 'Of a test or a drill: what to say.';
create index notifications_waiting_idx on public.notifications (channel_id, due_at) where state = 'waiting';
create index notifications_sending_idx on public.notifications (channel_id) where state = 'sending';
create index notifications_alert_id_idx on public.notifications (alert_id) where alert_id is not null;
create index notifications_channel_id_idx on public.notifications (channel_id, created_at desc);

create table public.notification_attempts (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  notification_id uuid not null,
  tried_at timestamptz not null,
  outcome text not null check (outcome in ('delivered', 'retry', 'refused', 'lost')),
  reason text not null default '',
  seconds real not null,
  foreign key (organization_id, notification_id) references public.notifications (organization_id, id) on delete cascade
);
comment on table public.notification_attempts is 'Every try to send a notification.';
comment on column public.notification_attempts.tried_at is 'When it began.';
comment on column public.notification_attempts.outcome is 'lost: nobody knows, the hub ended in the middle of it.';
comment on column public.notification_attempts.reason is 'What the provider or the network said.';
comment on column public.notification_attempts.seconds is 'How long it took.';
create index notification_attempts_notification_id_idx on public.notification_attempts (notification_id);

create table public.paths (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null,
  channel_id uuid not null,
  server_id uuid,
  tried_at timestamptz not null,
  outcome text not null check (outcome in ('trying', 'delivered', 'retry', 'refused')),
  reason text not null default '',
  proven_at timestamptz,
  seconds real,
  unique nulls not distinct (channel_id, server_id),
  foreign key (organization_id, channel_id) references public.channels (organization_id, id) on delete cascade,
  foreign key (organization_id, server_id) references public.servers (organization_id, id) on delete cascade
);
comment on table public.paths is 'Whether a message really arrives: from the hub, or from one server''s agent, to a channel.';
comment on column public.paths.server_id is 'Whose agent; null: the hub.';
comment on column public.paths.tried_at is 'When it was last tried, by a drill or by a real message.';
comment on column public.paths.outcome is 'How that ended.';
comment on column public.paths.reason is 'What the provider or the network said.';
comment on column public.paths.proven_at is 'When a message last went through; null: never.';
comment on column public.paths.seconds is 'How long that took.';

do $rls$
declare
  tenant text;
begin
  foreach tenant in array array['channels', 'policies', 'rules', 'silences', 'probes', 'alerts', 'alert_events',
    'notifications', 'notification_attempts', 'paths'] loop
    execute format('alter table public.%I enable row level security', tenant);
    execute format('alter table public.%I force row level security', tenant);
    execute format('revoke all on public.%I from anon, authenticated, service_role', tenant);
    execute format('grant select, insert, update, delete on public.%I to service_role', tenant);
    execute format('create policy service_all on public.%I for all to service_role using (true) with check (true)', tenant);
    execute format(
      'create policy members_read on public.%I for select to authenticated'
      ' using (organization_id in (select private.my_organizations()))', tenant);
  end loop;
  -- Where messages go is for owners and admins; what is judged and when not to be told, for every member.
  foreach tenant in array array['channels', 'policies'] loop
    execute format(
      'create policy admins_add on public.%I for insert to authenticated'
      ' with check (organization_id in (select private.my_organizations(''{owner,admin}'')))', tenant);
    execute format(
      'create policy admins_change on public.%I for update to authenticated'
      ' using (organization_id in (select private.my_organizations(''{owner,admin}'')))'
      ' with check (organization_id in (select private.my_organizations(''{owner,admin}'')))', tenant);
    execute format(
      'create policy admins_delete on public.%I for delete to authenticated'
      ' using (organization_id in (select private.my_organizations(''{owner,admin}'')))', tenant);
  end loop;
  foreach tenant in array array['rules', 'silences', 'probes'] loop
    execute format(
      'create policy members_add on public.%I for insert to authenticated'
      ' with check (organization_id in (select private.my_organizations(''{owner,admin,member}'')))', tenant);
    execute format(
      'create policy members_change on public.%I for update to authenticated'
      ' using (organization_id in (select private.my_organizations(''{owner,admin,member}'')))'
      ' with check (organization_id in (select private.my_organizations(''{owner,admin,member}'')))', tenant);
    execute format(
      'create policy members_delete on public.%I for delete to authenticated'
      ' using (organization_id in (select private.my_organizations(''{owner,admin,member}'')))', tenant);
  end loop;
end
$rls$;

grant select (id, organization_id, name, kind, settings, secret_key_id, direct, fallback, enabled, version, created_by,
  created_at, updated_at) on public.channels to authenticated;
grant insert (id, organization_id, name, kind, settings, secret, secret_key_id, direct, fallback, enabled, version,
  created_by, created_at, updated_at) on public.channels to authenticated;
grant update (name, settings, secret, secret_key_id, direct, fallback, enabled, version, updated_at)
  on public.channels to authenticated;
grant delete on public.channels to authenticated;
grant select, delete on public.policies, public.rules, public.silences to authenticated;
grant insert (id, organization_id, position, name, body, updated_at) on public.policies to authenticated;
grant update (position, name, body, updated_at) on public.policies to authenticated;
grant insert (organization_id, scope, tag, server_id, name, body, updated_at, updated_by, author)
  on public.rules to authenticated;
grant update (scope, tag, server_id, name, body, version, updated_at, updated_by, author) on public.rules to authenticated;
grant insert (organization_id, comment, body, starts_at, ends_at, created_by, author, created_at)
  on public.silences to authenticated;
grant update (comment, body, starts_at, ends_at) on public.silences to authenticated;
grant select (id, organization_id, server_id, name, body, secret_key_id, version, interval_seconds, enabled, state, since,
  last_at, last_seconds, message, reason, expires_at, recent, next_at, created_at) on public.probes to authenticated;
grant insert (id, organization_id, server_id, name, body, secret, secret_key_id, version, interval_seconds, enabled,
  created_at, next_at) on public.probes to authenticated;
grant update (server_id, name, body, secret, secret_key_id, version, interval_seconds, enabled, next_at)
  on public.probes to authenticated;
grant delete on public.probes to authenticated;
grant select on public.alerts, public.alert_events, public.notifications, public.notification_attempts, public.paths
  to authenticated;

-- What a person does to an alert: see to it, say something. The rest is the hub's.
grant update (state, acknowledged_at, acknowledged_by) on public.alerts to authenticated;
create policy members_change on public.alerts for update to authenticated
  using (organization_id in (select private.my_organizations('{owner,admin,member}')))
  with check (organization_id in (select private.my_organizations('{owner,admin,member}')));
grant insert (organization_id, alert_id, happened_at, kind, actor, text) on public.alert_events to authenticated;
create policy members_add on public.alert_events for insert to authenticated
  with check (organization_id in (select private.my_organizations('{owner,admin,member}')));
grant update (tags, fast) on public.servers to authenticated;

create table private.watch (
  one boolean primary key default true check (one),
  looked_at timestamptz,
  blind jsonb not null default '[]',
  suspected_since timestamptz
);
comment on table private.watch is 'What the watchdogs of all hubs share.';
comment on column private.watch.looked_at is 'When one of them last looked: a hub that finds this long ago was not there.';
comment on column private.watch.blind is 'Spans, ms UTC, in which the hub could not hear: they count for nobody''s silence.';
comment on column private.watch.suspected_since is 'Since when most servers have been silent at once, which points at the hub.';
alter table private.watch enable row level security;
alter table private.watch force row level security;
create policy service_all on private.watch for all to service_role using (true) with check (true);
grant select, insert, update on private.watch to service_role;
comment on column public.alert_events.alert_id is 'What it happened to.';
comment on column public.notification_attempts.notification_id is 'What was tried.';
comment on column public.paths.channel_id is 'Where to.';
comment on column private.watch.one is 'There is one row.';
