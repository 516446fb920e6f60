"""What agents say besides that something is wrong: of the way between them and the hub, and what was true then."""

from __future__ import annotations

import pytest

from tests.service.alert_desk import Desk, event, fired
from twinwatch.protocol.alerts import THE_WAY, Evidence, Told


@pytest.mark.parametrize("thing", THE_WAY)
async def test_what_was_wrong_with_the_way_is_kept_and_told_to_nobody(desk: Desk, thing: str) -> None:
    told = (Told(desk.channels["phone"], desk.stage.clock.now(), "delivered"),)
    first = fired(desk.agent, thing, rule="twinwatch: not reachable", told=told)
    await desk.agent.events(first)
    await desk.passes(30)
    assert desk.office.said == [], "the hub can be reached, or it would not have heard"
    await desk.agent.events(event(desk.agent, "resolved", first))
    await desk.passes(30)
    assert desk.office.said == []
    alert = await desk.alert()
    assert (alert["state"], alert["late"]) == ("resolved", True)


async def test_evidence_that_comes_after_the_alert_takes_the_place_of_what_came_with_it(desk: Desk) -> None:
    at = desk.stage.clock.now()
    first = fired(desk.agent, evidence=Evidence(at, {"Load": ["load 9"]}))
    await desk.agent.events(first)
    await desk.quiet()
    assert (await desk.detail())["evidence"] == {"Load": ["load 9"]}
    said = len(desk.office.said)
    whole = Evidence(at, {"Journal": ["it broke"], "Load": ["load 9"]})
    await desk.agent.events(event(desk.agent, "told", first, evidence=whole))
    await desk.quiet()
    assert (await desk.detail())["evidence"] == whole.parts
    assert len(desk.office.said) == said
