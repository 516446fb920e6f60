"""A hub that may be the blind one says so once, and says of nobody that it is down before that one could be heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from twinwatch.testing.hub_stage import HubStage
from twinwatch.testing.incident import Heard, Incident

SERVERS = 5
HUB = "Twinwatch hub"


@pytest.fixture
async def blind(stage: HubStage, tmp_path: Path) -> AsyncIterator[Incident]:
    """No server of five networks is heard, and the hub suspects itself."""
    incident = await Incident.begin(stage, tmp_path, servers=SERVERS)
    for server in incident.servers:
        server.http.cut()
    await asyncio.sleep(200)
    heard = incident.heard("firing")
    assert {one.server for one in heard} == {HUB}
    assert len(heard) == len({one.to for one in heard}), "one incident about itself, and none about each server"
    incident.mark()
    yield incident
    await incident.end()


def of_servers(heard: list[Heard]) -> dict[str, list[str]]:
    """What was heard of servers, by name: the occasions, each once."""
    found: dict[str, set[str]] = {}
    for one in heard:
        if one.server != HUB:
            found.setdefault(one.server, set()).add(one.occasion)
    return {name: sorted(occasions) for name, occasions in found.items()}


async def test_when_all_are_heard_again_nobody_hears_of_any_of_them(blind: Incident) -> None:
    for server in blind.servers:
        server.http.mend()
    await asyncio.sleep(100)
    assert of_servers(blind.heard()) == {}
    assert {one.occasion for one in blind.heard()} == {"resolved"}


async def test_a_hub_that_was_stopped_while_it_suspected_itself_first_hears_who_is_there(
    blind: Incident, stage: HubStage
) -> None:
    await stage.stop()
    await asyncio.sleep(600)
    *others, gone = blind.servers
    for server in others:
        server.http.mend()
    await stage.start()
    await asyncio.sleep(120)
    assert of_servers(blind.heard()) == {gone.name: ["firing"]}
    assert min(one.seconds for one in blind.heard("firing")) >= 600 + 15, "the others were given the time to be heard"
