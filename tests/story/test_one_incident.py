"""Agent and hub, one incident: a real hub on a real database and a whole agent, each cut off, restarted and silenced;
nobody hears anything twice on one channel, and whatever began ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from twinwatch.agent.alerting.alerting import Alerting
from twinwatch.notify import Retry
from twinwatch.testing.gauge import Gauge
from twinwatch.testing.hub_stage import HubStage
from twinwatch.testing.incident import Incident
from twinwatch.testing.story import StagedAgent, until

OURS = ("failed", "almost full")
"""How alerts of the gauge begin; silences of the server are told of elsewhere."""


class Pair(Incident):
    """One server and its hub, of which either may be lost to the other, and neither to the people."""

    @property
    def agent(self) -> StagedAgent:
        return self.servers[0].agent

    @property
    def gauge(self) -> Gauge:
        return self.servers[0].gauge

    @property
    def alerting(self) -> Alerting:
        return self.agent.alerting

    def said(self) -> Counter[tuple[str, str, str, str]]:
        """Who was told what on which occasion by whom, and how often: what the servers' silence brings aside."""
        return Counter(
            (one.to, subject.occasion, subject.title, one.teller)
            for one in self.office.said
            for subject in one.note.subjects
            if subject.title.startswith(OURS)
        )

    async def alerts(self) -> list[dict[str, Any]]:
        """What the hub shows of the gauge."""
        return [one for one in await super().alerts() if one["title"].startswith(OURS)]

    async def shows(self, state: str, within_seconds: float = 120.0) -> dict[str, Any]:
        """The newest alert, once the hub shows it in this state."""
        async with asyncio.timeout(within_seconds):
            while True:
                found = await self.alerts()
                if found and found[0]["state"] == state:
                    return found[0]
                await asyncio.sleep(1)


@pytest.fixture
async def incident(stage: HubStage, tmp_path: Path) -> AsyncIterator[Pair]:
    """Everything runs, and the agent holds its bundle."""
    incident = await Pair.begin(stage, tmp_path)
    incident.only_the_hub_is_away = True
    yield incident
    await incident.end()


async def test_a_critical_alert_is_told_by_the_agent_and_the_hub_stays_silent_on_those_channels(incident: Pair) -> None:
    incident.gauge.checks["pump"] = "down"
    await incident.shows("firing")
    await asyncio.sleep(120)
    incident.gauge.checks["pump"] = "up"
    await incident.shows("resolved")
    await asyncio.sleep(120)
    assert incident.said() == {
        (to, occasion, "failed: pump", "agent"): 1 for to in ("ops", "chat") for occasion in ("firing", "resolved")
    }


async def test_a_warning_is_told_by_the_hub_alone(incident: Pair) -> None:
    incident.gauge.value = 0.95
    await incident.shows("firing")
    await asyncio.sleep(180)
    assert incident.said() == {("ops", "firing", "almost full", "hub"): 1}
    incident.gauge.value = 0.2
    await incident.shows("resolved")
    await asyncio.sleep(60)
    assert incident.said() == {("ops", occasion, "almost full", "hub"): 1 for occasion in ("firing", "resolved")}


async def test_what_happened_while_the_hub_was_away_is_shown_in_order_and_told_again_by_nobody(incident: Pair) -> None:
    incident.agent.http.cut()
    incident.gauge.checks["pump"] = "down"
    incident.gauge.value = 0.95
    await asyncio.sleep(100)
    incident.gauge.checks["pump"] = "up"
    await asyncio.sleep(100)
    told = incident.said()
    assert told == {
        ("ops", "firing", "failed: pump", "agent"): 1,
        ("chat", "firing", "failed: pump", "agent"): 1,
        ("ops", "resolved", "failed: pump", "agent"): 1,
        ("chat", "resolved", "failed: pump", "agent"): 1,
        ("ops", "firing", "almost full", "agent"): 1,
    }
    incident.agent.http.mend()
    await until(lambda: incident.agent.http.exchanges[-1].status == 200, 60)
    await asyncio.sleep(150)
    assert incident.said() == told
    assert {(one["title"], one["state"]) for one in await incident.alerts()} == {
        ("failed: pump", "resolved"),
        ("almost full", "firing"),
    }
    incident.gauge.value = 0.2
    await asyncio.sleep(90)
    assert incident.said() == told + Counter({("ops", "resolved", "almost full", "agent"): 1})


async def test_an_answer_that_is_lost_or_late_makes_no_second_message(incident: Pair) -> None:
    for number, lost in enumerate((1, 3), 1):
        incident.agent.http.lose_answers(lost)
        incident.gauge.value = 0.95
        await asyncio.sleep(200)
        assert sum(incident.said()["ops", "firing", "almost full", teller] for teller in ("agent", "hub")) == number
        incident.gauge.value = 0.2
        await asyncio.sleep(60)
    incident.agent.http.delay_seconds = 5.0
    incident.gauge.value = 0.95
    await asyncio.sleep(200)
    assert [count for (_, occasion, *_), count in incident.said().items() if occasion == "flapping"] == [1]


async def test_a_hub_that_dies_with_an_alert_it_accepted_leaves_it_to_the_agent(incident: Pair) -> None:
    incident.failure = lambda kind, to, note: None if note.teller == "agent" else Retry("cut off")
    incident.gauge.value = 0.95
    await until(lambda: any(path.path.endswith("/alerts") for path in incident.agent.http.exchanges), 30)
    await asyncio.sleep(3)
    incident.agent.http.cut()
    await asyncio.sleep(120)
    assert incident.said() == {("ops", "firing", "almost full", "agent"): 1}
    incident.failure = lambda kind, to, note: None
    incident.agent.http.mend()
    await asyncio.sleep(300)
    assert incident.said() == {("ops", "firing", "almost full", "agent"): 1}


async def test_an_agent_killed_with_an_open_alert_ends_it_after_its_restart(incident: Pair) -> None:
    incident.gauge.checks["pump"] = "down"
    incident.gauge.value = 0.95
    await asyncio.sleep(90)
    await incident.servers[0].kill()
    incident.gauge.checks["pump"] = "up"
    incident.gauge.value = 0.2
    await asyncio.sleep(45)
    await incident.servers[0].start()
    await asyncio.sleep(120)
    assert incident.said() == {
        **{(to, occasion, "failed: pump", "agent"): 1 for to in ("ops", "chat") for occasion in ("firing", "resolved")},
        **{("ops", occasion, "almost full", "hub"): 1 for occasion in ("firing", "resolved")},
    }
    assert {one["state"] for one in await incident.alerts()} == {"resolved"}


async def test_a_silence_is_obeyed_while_the_hub_is_away_and_told_at_its_end(incident: Pair) -> None:
    silence = {
        "organization_id": str(incident.owner.organization_id),
        "what": {"rule": "gauge: *"},
        "ends_at": incident.stage.clock.now() + 600_000,
        "comment": "work",
    }
    reply = await incident.owner.client.post("/api/v1/silences", silence)
    assert reply.status == 201, reply
    await until(lambda: incident.alerting.bundle.silences, 70)
    incident.agent.http.cut()
    incident.gauge.checks["pump"] = "down"
    await asyncio.sleep(300)
    assert incident.said() == {}
    await asyncio.sleep(320)
    assert incident.said() == {(to, "firing", "failed: pump", "agent"): 1 for to in ("ops", "chat")}
    incident.agent.http.mend()
    await incident.shows("firing")
    await asyncio.sleep(120)
    assert sum(incident.said().values()) == 2


async def test_what_is_resolved_by_hand_at_the_hub_is_over_for_both(incident: Pair) -> None:
    incident.gauge.checks["pump"] = "down"
    alert = await incident.shows("firing")
    await asyncio.sleep(30)
    reply = await incident.owner.client.post(f"/api/v1/alerts/{alert['id']}/resolve", {})
    assert reply.status in (200, 204), reply
    await until(lambda: not incident.alerting.open_alerts, 150)
    await asyncio.sleep(60)
    assert incident.said() == {
        **{(to, "firing", "failed: pump", "agent"): 1 for to in ("ops", "chat")},
        **{(to, "resolved", "failed: pump", "hub"): 1 for to in ("ops", "chat")},
    }
    incident.gauge.checks["pump"] = "up"
    await asyncio.sleep(60)
    assert sum(incident.said().values()) == 4
