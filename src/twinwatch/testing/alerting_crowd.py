"""A hub's tables as they are with very many servers and messages: for plans and figures that only show at that size."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg

ORGANIZATIONS = 5_000
CHANNELS = 2
"""Of each organization."""

ORGANIZING = """
insert into public.organizations (name) select 'crowd ' || n from generate_series(1, %(organizations)s) as n
"""
CHANNELLING = """
insert into public.channels (organization_id, kind, name, settings, ready_at)
select o.id, 'email', 'ops ' || n, '{}', %(now)s - n * interval '1 ms'
from public.organizations as o, generate_series(1, %(channels)s) as n where o.name like 'crowd %%'
"""
SERVING = """
insert into public.servers (organization_id, install_id, name, agent_version, network, last_heartbeat_at)
select o.id, gen_random_uuid(), 'web-' || n, '1.0', '198.51.' || n %% 250 || '.0/24',
  %(now)s - random() * interval '60 seconds'
from (select id, row_number() over () as place from public.organizations where name like 'crowd %%') as o
join generate_series(1, %(servers)s) as n on n %% %(organizations)s + 1 = o.place
"""
ALERTING = """
insert into public.alerts
  (organization_id, server_id, key, origin, rule, thing, episode, severity, state, subject, title, message, true_at,
   detected_at, received_at)
select s.organization_id, s.id, md5(s.id::text), 'agent', 'r', 't', 1, 'critical', 'firing', s.name, 't', 'm',
  %(now)s, %(now)s, %(now)s
from public.servers as s where s.install_id is not null limit %(notes)s
"""
NOTING = """
insert into public.notifications
  (organization_id, alert_id, channel_id, occasion, dedup, teller, state, due_at, created_at)
select a.organization_id, a.id, c.id, 'firing', a.key || c.id, 'hub', 'waiting', %(now)s, %(now)s
from public.alerts as a
join lateral (
  select id from public.channels where organization_id = a.organization_id order by md5(id::text || a.key) limit 1
) as c on true
"""
SEEING = "vacuum analyze public.servers, public.alerts, public.channels, public.notifications"


async def crowd(connection: psycopg.AsyncConnection, now: int, *, servers: int, notes: int) -> None:
    """So many servers, heard within the last minute, and so many messages that wait to be sent at ``now``, ms UTC.

    The connection is the superuser's and commits by itself.
    """
    at = datetime.fromtimestamp(now / 1000, UTC)
    values = {
        "now": at,
        "organizations": ORGANIZATIONS,
        "channels": CHANNELS,
        "servers": servers,
        "notes": notes,
    }
    for statement in (ORGANIZING, CHANNELLING, SERVING, ALERTING, NOTING):
        await connection.execute(statement.encode(), values)
    await connection.execute(SEEING.encode())
