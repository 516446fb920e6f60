"""The scenarios of the specification, one test each: who was told, by whom, on which channel, and when."""

from __future__ import annotations

import asyncio
from pathlib import Path

from twinwatch.testing.hub_stage import HubStage
from twinwatch.testing.incident import Heard, Incident
from twinwatch.testing.story import until

LATE = (90.0, 100.0)
DOWN = (120.0, 126.0)
"""Seconds since the last sign of life: two minutes, a look, and a message on its way."""


def summary(heard: list[Heard]) -> set[tuple[str, str, str]]:
    """To whom, from whom and why, each once."""
    lines = [(one.to, one.teller, one.occasion) for one in heard]
    assert len(lines) == len(set(lines)), f"somebody was told twice: {heard}"
    return set(lines)


def at(heard: list[Heard], to: str) -> float:
    """When one of them heard of it."""
    (one,) = [line for line in heard if line.to == to]
    return one.seconds


async def last_sign(incident: Incident) -> None:
    """Waits for the next heartbeat, and marks it."""
    server = incident.servers[0]
    beats = len([one for one in server.http.exchanges if one.path.endswith("/heartbeat")])
    await until(lambda: len([one for one in server.http.exchanges if one.path.endswith("/heartbeat")]) > beats, 70)
    await asyncio.sleep(0.5)
    incident.mark()


async def test_an_application_fails_and_the_agent_tells_email_and_slack_at_once(
    stage: HubStage, tmp_path: Path
) -> None:
    incident = await Incident.begin(stage, tmp_path)
    (web,) = incident.servers
    web.gauge.checks["pump"] = "down"
    await asyncio.sleep(60)
    fired = incident.heard()
    assert summary(fired) == {("ops", "agent", "firing"), ("chat", "agent", "firing")}
    assert max(one.seconds for one in fired) <= 16, "one interval of the monitor, and the message"
    (alert,) = await incident.alerts()
    assert (alert["state"], alert["severity"], alert["origin"]) == ("firing", "critical", "agent")
    incident.mark()
    web.gauge.checks["pump"] = "up"
    await asyncio.sleep(120)
    assert summary(incident.heard()) == {("ops", "agent", "resolved"), ("chat", "agent", "resolved")}
    (alert,) = await incident.alerts()
    assert alert["state"] == "resolved"
    await incident.end()


async def test_an_agent_crashes_and_the_hub_tells_email_first_and_then_email_and_sms(
    stage: HubStage, tmp_path: Path
) -> None:
    incident = await Incident.begin(stage, tmp_path)
    (web,) = incident.servers
    await last_sign(incident)
    await web.kill()
    await asyncio.sleep(200)
    late, worse = incident.heard("firing", to="ops"), incident.heard("worse", to="ops")
    assert [one.teller for one in (*late, *worse)] == ["hub", "hub"]
    assert LATE[0] < late[0].seconds < LATE[1]
    assert DOWN[0] < worse[0].seconds < DOWN[1] + 10, "mail that goes to somebody who has just had one waits 10 s"
    assert DOWN[0] < at(incident.heard(to="phone"), "phone") < DOWN[1]
    assert incident.heard(to="chat") == []
    incident.mark()
    await web.start()
    await asyncio.sleep(60)
    assert summary(incident.heard()) == {("ops", "hub", "resolved"), ("phone", "hub", "resolved")}
    (alert,) = await incident.alerts()
    assert alert["cause"] == "The agent crashed; the server ran on."
    await incident.end()
