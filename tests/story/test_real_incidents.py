"""Real processes and real trouble, counted where the messages arrive: nobody told twice, nobody untold, and every alert
that was told has its end.

The incidents mostly wait, so they happen side by side, once; each test looks at what came of one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.story import netns
from tests.story import real_incidents as incidents
from tests.story.real_incidents import DISK, FAN, PUMP
from tests.story.real_stage import RealHub
from twinwatch.hub.migrations import migrate
from twinwatch.testing.postgres import SECRET, Cluster, TcpPostgres

LACKING = netns.lacking()

Outcomes = dict[str, Any]
"""What arrived, by incident; an exception where it did not go as it should."""


async def played(**scenes: Awaitable[object]) -> Outcomes:
    found = await asyncio.gather(*scenes.values(), return_exceptions=True)
    return dict(zip(scenes, found, strict=True))


async def on_one_hub(url: str, folder: Path) -> Outcomes:
    async with RealHub(url, folder / "hub") as hub:
        scenes: dict[str, Callable[[RealHub, Path], Awaitable[object]]] = {
            "agent_killed": incidents.agent_killed,
            "mail_refused": incidents.mail_refused,
            "slack_in_trouble": incidents.slack_in_trouble,
        }
        if not LACKING:
            scenes["network_cut"] = incidents.network_cut
        return await played(**{name: scene(hub, folder / name) for name, scene in scenes.items()})


async def hub_killed(url: str, folder: Path) -> object:
    async with RealHub(url, folder / "hub") as hub:
        return await incidents.without_the_middle(hub, folder / "house", hub.kill, hub.start)


async def database_stopped(server: TcpPostgres, folder: Path) -> object:
    url = server.database("twinwatch")
    await migrate(url, SECRET)
    async with RealHub(url, folder / "hub") as hub:
        return await incidents.without_the_middle(
            hub, folder / "house", lambda: asyncio.to_thread(server.stop), lambda: asyncio.to_thread(server.start)
        )


@pytest.fixture(scope="module")
def outcomes(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    folder = tmp_path_factory.mktemp("real")
    first, second = cluster.lend(), cluster.lend()

    async def everything(server: TcpPostgres) -> Outcomes:
        several, *others = await asyncio.gather(
            on_one_hub(first, folder / "one"),
            played(hub_killed=hub_killed(second, folder / "two")),
            played(database_stopped=database_stopped(server, folder / "three")),
        )
        return {**several, **others[0], **others[1]}

    with TcpPostgres(cluster.binaries()) as server:
        found = asyncio.run(everything(server))
    for url in (first, second):
        cluster.take_back(url)
    return found


def outcome(outcomes: Outcomes, name: str) -> Any:
    found = outcomes[name]
    if isinstance(found, BaseException):
        raise found
    return found


def test_an_agent_that_is_killed_is_told_as_late_as_down_and_as_back_once_each(outcomes: Outcomes) -> None:
    assert outcome(outcomes, "agent_killed") == Counter(
        {
            ("email", "[Warning] crashing: late"): 1,
            ("email", "[Now down] crashing: down"): 1,
            ("email", "[Resolved] crashing: down"): 1,
            ("sms", "DOWN"): 1,
            ("sms", "RESOLVED"): 1,
        }
    )


@pytest.mark.skipif(bool(LACKING), reason=f"a cut network needs {LACKING}")
def test_a_network_that_is_cut_hides_nothing_and_repeats_nothing(outcomes: Outcomes) -> None:
    assert outcome(outcomes, "network_cut") == {
        "late": ["[Warning] remote: late", "[Resolved] remote: down"],
        "down": ["[Down] remote: down", "[Resolved] remote: down"],
        "urgent": ["[Critical] remote: check critical: disk", "[Resolved] remote: check critical: disk"],
    }


def test_mail_that_is_refused_is_tried_again_or_told_on_the_fallback(outcomes: Outcomes) -> None:
    both = ["[Warning] letters: check warning: disk", "[Resolved] letters: check warning: disk"]
    assert outcome(outcomes, "mail_refused") == {
        "busy": both,
        "strict": [],
        "late": both,
        "fallback": ["Warning: letters: check warning: disk", "Resolved: letters: check warning: disk"],
    }


def test_a_slack_that_asks_for_patience_fails_or_hangs_gets_every_message_once(outcomes: Outcomes) -> None:
    both = ["Critical: chats: check critical: disk", "Resolved: chats: check critical: disk"]
    assert outcome(outcomes, "slack_in_trouble") == {"hurried": both, "failing": both, "hanging": both}


@pytest.mark.parametrize("incident", ["hub_killed", "database_stopped"])
def test_without_hub_or_database_the_agent_tells_and_nobody_repeats_it(outcomes: Outcomes, incident: str) -> None:
    assert outcome(outcomes, incident) == Counter(
        {
            ("email", f"[Warning] {DISK}"): 1,
            ("email", f"[Resolved] {DISK}"): 1,
            ("email", f"[Warning] {FAN}"): 1,
            ("email", f"[Resolved] {FAN}"): 1,
            ("slack", f"Critical: {PUMP}"): 1,
            ("slack", f"Resolved: {PUMP}"): 1,
        }
    )
