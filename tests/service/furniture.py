"""Something of everybody's in every table, for the tests that ask who may see and change what."""

from __future__ import annotations

from twinwatch.protocol.checks import CheckStanding, Report
from twinwatch.protocol.metrics import Catalogue, Metric, MonitorFacts
from twinwatch.testing.client import PATIENCE_SECONDS
from twinwatch.testing.hub_stage import Cast, HubStage, Player, Voice
from twinwatch.testing.story import until


async def furnish(stage: HubStage, cast: Cast) -> None:
    """Puts it there for the cast and for the stranger."""
    catalogue = Catalogue("1.0", (MonitorFacts("test", "Test", 15.0, (Metric("test.a", "1", "a"),)),))
    for agent in (cast.agent, cast.other_agent):
        assert (await agent.declare(catalogue)).status == 204
        assert (await agent.push((stage.clock.now(), (1.0, 2.0)))).status == 200
        check = CheckStanding("test:a", "test", "down", "it is down", "failed", stage.clock.now())
        assert (await agent.report(Report(checks=(check,)))).status == 204
        await stage.execute(
            "insert into public.server_changes (organization_id, server_id, changed_at, state)"
            " select organization_id, id, now(), 'up' from public.servers where id = %s",
            agent.server_id,
        )
    for player, agent in ((cast.owner, cast.agent), (cast.stranger, cast.other_agent)):
        monitors = [{"type": "postgres", "options": {"password": "hunter2"}}]
        saving = {"version": 0, "monitors": monitors, "rules": []}
        assert (await player.client.put(f"/api/v1/servers/{agent.server_id}/configuration", saving)).status == 200
        wanted = {"organization_id": str(player.organization_id), "name": "laptops"}
        assert (await player.client.post("/api/v1/enrolment-keys", wanted)).status == 201
        await _alerting(stage, player, agent)


async def _alerting(stage: HubStage, player: Player, agent: Voice) -> None:
    """A channel, a policy, a rule, a silence, a probe, and an alert that was told."""
    organization = str(player.organization_id)
    rule = {"name": "r", "check": "c"}
    for path, body in (
        ("channels", {"name": "Ops", "kind": "email", "settings": {"to": "ops", "token": "hunter2"}}),
        ("rules", {"scope": "organization", "rule": rule}),
        ("silences", {"comment": "later", "starts_at": stage.clock.now() + 3_600_000}),
    ):
        reply = await player.client.post(f"/api/v1/{path}", {"organization_id": organization, **body})
        assert reply.status == 201, reply
    policies = {"policies": [{"name": "Everyone", "steps": [{"channels": ["kind:*"]}]}]}
    assert (await player.client.put(f"/api/v1/policies?organization_id={organization}", policies)).status == 200
    probe = {
        "organization_id": organization,
        "server_id": str(agent.server_id),
        "name": "shop",
        "kind": "http",
        "settings": {"url": "https://shop.example/", "bearer_token": "hunter2"},
        "enabled": False,  # nobody tries it while these tests compare
    }
    reply = await player.client.post("/api/v1/probes", probe)
    assert reply.status == 201, reply
    whose = (player.organization_id, reply.json()["id"])
    await stage.execute(
        "insert into public.probe_hours (organization_id, probe_id, hour) values (%s, %s, date_trunc('hour', now()))",
        *whose,
    )
    await stage.execute(
        "insert into public.probe_days (organization_id, probe_id, day) values (%s, %s, current_date)", *whose
    )
    assert (await agent.fire("r", "test:a")).status == 200
    await until(lambda: stage.post_office.heard("ops", "firing"), PATIENCE_SECONDS)
