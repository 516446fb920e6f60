"""The scenarios of the specification, one test each: who was told, by whom, on which channel, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from twinwatch.alerts.forensics import CAUSES
from twinwatch.testing.hub_stage import HubStage
from twinwatch.testing.incident import Heard, Incident
from twinwatch.testing.story import until

LATE = (90.0, 100.0)
DOWN = (120.0, 126.0)
"""Seconds since the last sign of life: two minutes, a look, and a message on its way."""


@pytest.fixture
async def incident(stage: HubStage, tmp_path: Path) -> AsyncIterator[Incident]:
    """One server, its hub and its people, all well."""
    incident = await Incident.begin(stage, tmp_path)
    yield incident
    await incident.end()


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


async def test_an_application_fails_and_the_agent_tells_email_and_slack_at_once(incident: Incident) -> None:
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


async def test_an_agent_crashes_and_the_hub_tells_email_first_and_then_email_and_sms(incident: Incident) -> None:
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
    assert alert["cause"] == CAUSES["agent-crashed"]


async def test_a_server_loses_its_network_and_the_hub_tells_while_its_agent_runs_on(incident: Incident) -> None:
    (web,) = incident.servers
    await last_sign(incident)
    web.http.cut()
    web.gauge.checks["pump"] = "down"
    await asyncio.sleep(300)
    heard = incident.heard()
    assert {(one.to, one.teller) for one in heard} == {("ops", "hub"), ("phone", "hub")}
    assert DOWN[0] < at(heard, "phone") < DOWN[1]
    web.gauge.checks["pump"] = "up"
    await asyncio.sleep(60)
    incident.mark()
    web.http.mend()
    await asyncio.sleep(180)
    heard = incident.heard()
    assert {(one.to, one.occasion) for one in heard if one.title != "failed: pump"} == {
        ("ops", "resolved"),
        ("phone", "resolved"),
    }
    assert [one for one in heard if one.title == "failed: pump"] == [], "it is history by now, and told nobody late"
    by_title = {alert["title"]: alert for alert in await incident.alerts()}
    assert {alert["state"] for alert in by_title.values()} == {"resolved"}
    assert by_title.pop("failed: pump")["state"] == "resolved", "what happened meanwhile is in the history"
    (silence,) = by_title.values()
    assert silence["cause"] == CAUSES["network-lost"]


async def test_a_server_loses_power_and_the_hub_tells_and_later_names_the_cause(incident: Incident) -> None:
    (web,) = incident.servers
    await last_sign(incident)
    await web.lose_power()
    await asyncio.sleep(600)
    heard = incident.heard()
    assert {(one.to, one.teller) for one in heard} == {("ops", "hub"), ("phone", "hub")}
    assert DOWN[0] < at(heard, "phone") < DOWN[1]
    incident.mark()
    await web.start()
    await asyncio.sleep(60)
    assert summary(incident.heard()) == {("ops", "hub", "resolved"), ("phone", "hub", "resolved")}
    (alert,) = await incident.alerts()
    assert alert["cause"] == CAUSES["unclean-reboot"]


async def test_the_internet_is_down_while_the_server_is_fine_and_its_samples_come_later(incident: Incident) -> None:
    (web,) = incident.servers
    await last_sign(incident)
    web.http.cut()
    await asyncio.sleep(30 * 60)
    heard = incident.heard()
    assert {(one.to, one.teller) for one in heard} == {("ops", "hub"), ("phone", "hub")}
    incident.mark()
    web.http.mend()
    await asyncio.sleep(120)
    assert summary(incident.heard()) == {("ops", "hub", "resolved"), ("phone", "hub", "resolved")}
    (alert,) = await incident.alerts()
    assert alert["cause"] == CAUSES["network-lost"]
    server = (await incident.owner.client.get(f"/api/v1/servers/{web.id}")).json()
    assert server["delivery"]["dropped"] == 0
    assert server["delivery"]["pending"] < 20, "what was buffered has arrived"


async def test_the_hub_is_down_and_the_agent_tells_what_fires_and_what_ends_and_nobody_hears_it_again(
    incident: Incident, stage: HubStage
) -> None:
    (web,) = incident.servers
    await stage.stop()
    web.gauge.checks["pump"] = "down"
    web.gauge.value = 0.95
    await asyncio.sleep(60)
    told = incident.heard(server="web-1")
    assert summary([one for one in told if one.title == "failed: pump"]) == {
        ("ops", "agent", "firing"),
        ("chat", "agent", "firing"),
    }
    assert summary([one for one in told if one.title == "almost full"]) == {("ops", "agent", "firing")}
    web.gauge.checks["pump"] = "up"
    await asyncio.sleep(60)
    ended = incident.heard("resolved", server="web-1")
    assert summary(ended) == {("ops", "agent", "resolved"), ("chat", "agent", "resolved")}
    await stage.start()
    incident.mark()
    await asyncio.sleep(300)
    assert incident.heard(server="web-1") == [], "the hub learns of it and tells nobody again"
    alerts = {alert["title"]: alert for alert in await incident.alerts() if alert["server_id"] == str(web.id)}
    assert {rule: alert["state"] for rule, alert in alerts.items()} == {
        "failed: pump": "resolved",
        "almost full": "firing",
    }
    detail = await incident.alert(alerts["failed: pump"]["id"])
    kinds = [one["kind"] for one in detail["timeline"]]
    assert kinds.index("fired") < kinds.index("told") < kinds.index("resolved")
    web.gauge.value = 0.1
    await asyncio.sleep(120)
    assert summary(incident.heard(server="web-1")) == {("ops", "agent", "resolved")}, "whoever told tells the end"


async def test_both_are_down_and_the_hub_tells_once_it_is_back(incident: Incident, stage: HubStage) -> None:
    (web,) = incident.servers
    await stage.crash()
    await web.kill()
    await asyncio.sleep(600)
    assert incident.heard() == []
    await stage.start()
    incident.mark()
    await asyncio.sleep(200)
    heard = incident.heard()
    assert {(one.to, one.teller) for one in heard} == {("ops", "hub"), ("phone", "hub")}
    assert at(heard, "phone") < DOWN[1] + 20, "two minutes in which the hub hears, and some to be heard again"
    incident.mark()
    await web.start()
    await asyncio.sleep(60)
    assert summary(incident.heard()) == {("ops", "hub", "resolved"), ("phone", "hub", "resolved")}


async def test_a_hub_that_is_restarted_pages_nobody_for_the_time_in_which_it_was_away(
    stage: HubStage, tmp_path: Path
) -> None:
    incident = await Incident.begin(stage, tmp_path, servers=2)
    for _ in range(3):
        await stage.crash()
        await asyncio.sleep(90)
        await stage.start()
        await asyncio.sleep(200)
    assert [one for one in incident.heard() if one.server.startswith("web")] == []
    assert [alert for alert in await incident.alerts() if alert["severity"] == "down"] == []
    await incident.end()


async def test_a_hub_that_is_restarted_in_the_middle_of_an_alert_repeats_and_forgets_nothing(
    incident: Incident, stage: HubStage
) -> None:
    (web,) = incident.servers
    web.gauge.value = 0.95
    await asyncio.sleep(60)
    assert summary(incident.heard()) == {("ops", "hub", "firing")}
    await stage.crash()
    await asyncio.sleep(5)
    await stage.start()
    incident.mark()
    await asyncio.sleep(300)
    assert incident.heard() == []
    web.gauge.value = 0.1
    await asyncio.sleep(120)
    assert summary(incident.heard()) == {("ops", "hub", "resolved")}


async def test_an_agent_that_is_restarted_in_the_middle_of_an_alert_repeats_and_forgets_nothing(
    incident: Incident,
) -> None:
    (web,) = incident.servers
    web.gauge.value = 0.95
    web.gauge.checks["pump"] = "down"
    await asyncio.sleep(60)
    assert summary(incident.heard("firing", to="chat")) == {("chat", "agent", "firing")}
    assert len(incident.heard(to="ops")) == 2
    await web.kill()
    await asyncio.sleep(5)
    incident.mark()
    await web.start()
    await asyncio.sleep(300)
    assert incident.heard() == []
    web.gauge.value = 0.1
    web.gauge.checks["pump"] = "up"
    await asyncio.sleep(120)
    heard = incident.heard()
    assert {(one.to, one.teller, one.title) for one in heard if one.occasion == "resolved"} == {
        ("ops", "hub", "almost full"),
        ("ops", "agent", "failed: pump"),
        ("chat", "agent", "failed: pump"),
    }
    assert len(heard) == 3


@pytest.mark.parametrize("wrong_ms", [-20 * 60_000, 20 * 60_000])
async def test_a_clock_that_is_wrong_alarms_nobody_and_holds_nothing_up(
    incident: Incident, stage: HubStage, wrong_ms: int
) -> None:
    (web,) = incident.servers
    web.agent.clock.wrong_by_ms = wrong_ms
    await asyncio.sleep(600)
    assert [one for one in incident.heard() if "heartbeat" in one.title] == []
    incident.mark()
    web.gauge.value = 0.95
    await asyncio.sleep(90)
    assert summary(incident.heard(to="ops")) == {("ops", "hub", "firing")}
    (alert,) = [one for one in await incident.alerts() if one["title"] == "almost full"]
    assert abs(alert["detected_at"] - stage.clock.now()) < 120_000, "by the hub's clock"
    incident.mark()
    await last_sign(incident)
    await web.kill()
    await asyncio.sleep(180)
    assert DOWN[0] < at(incident.heard(to="phone"), "phone") < DOWN[1]


async def test_a_check_that_comes_and_goes_is_told_as_such_and_ends_in_a_state(incident: Incident) -> None:
    (web,) = incident.servers
    for _ in range(20):
        web.gauge.checks["pump"] = "down"
        await asyncio.sleep(20)
        web.gauge.checks["pump"] = "up"
        await asyncio.sleep(20)
    restless = incident.heard(to="chat")
    assert "flapping" in {one.occasion for one in restless}
    assert len(restless) <= 16, "a few times, and then once that it flaps"
    await asyncio.sleep(900)
    assert incident.heard(to="chat")[-1].occasion == "resolved"
    fires = [one for one in incident.heard(to="chat") if one.occasion in ("firing", "flapping")]
    ends = incident.heard("resolved", to="chat")
    assert len(fires) == len(ends)


async def test_in_maintenance_nobody_is_told_though_the_hub_be_away_and_what_lasts_is_told_at_its_end(
    incident: Incident, stage: HubStage
) -> None:
    (web,) = incident.servers
    until_ms = stage.clock.now() + 20 * 60_000
    wanted = {
        "organization_id": str(incident.organization_id),
        "comment": "new disks",
        "what": {"servers": [str(web.id)]},
        "ends_at": until_ms,
    }
    reply = await incident.owner.client.post("/api/v1/silences", wanted)
    assert reply.status == 201, reply
    await asyncio.sleep(90)
    web.gauge.checks["pump"] = "down"
    await asyncio.sleep(60)
    await stage.stop()
    web.gauge.checks["fan"] = "down"
    await asyncio.sleep(120)
    assert incident.heard(server="web-1") == []
    await stage.start()
    web.gauge.checks["fan"] = "up"
    await asyncio.sleep(10 * 60)
    assert incident.heard(server="web-1") == []
    incident.mark()
    await asyncio.sleep(10 * 60)
    heard = incident.heard(server="web-1")
    assert {(one.to, one.title) for one in heard} == {("ops", "failed: pump"), ("chat", "failed: pump")}
    assert len(heard) == 2
    web.gauge.checks["pump"] = "up"
    await asyncio.sleep(60)
    assert {one.to for one in incident.heard("resolved")} == {"ops", "chat"}


async def test_a_hundred_servers_are_lost_at_once_and_people_get_a_few_messages(
    stage: HubStage, tmp_path: Path
) -> None:
    """Of two networks out of five: the hub hears the others, so the servers are gone and not its own ears."""
    incident = await Incident.begin(stage, tmp_path, servers=0)
    crowd = [
        await stage.agent(incident.organization_id, f"node-{number}", ip=f"198.51.{number % 5}.9")
        for number in range(250)
    ]

    async def beat(number: int) -> None:
        while True:
            await crowd[number].heartbeat()
            await asyncio.sleep(60)

    async with asyncio.TaskGroup() as group:
        beating = {number: group.create_task(beat(number)) for number in range(250)}
        await asyncio.sleep(180)
        assert incident.heard() == []
        for number in range(250):
            if number % 5 in (0, 1):
                beating[number].cancel()
        incident.mark()
        await asyncio.sleep(300)
        for number in range(250):
            beating[number].cancel()
    down = {name for (name,) in await stage.execute("select subject from public.alerts where severity = 'down'")}
    assert len(down) == 100
    for to in ("ops", "phone"):
        messages = [one for one in incident.office.heard(to) if one.at >= stage.clock.now() - 300_000]
        named = {subject.server for one in messages for subject in one.note.subjects}
        assert named == down, f"{to} has not heard of each"
        assert len(messages) < 30, f"{to} got {len(messages)} messages for a hundred servers"
