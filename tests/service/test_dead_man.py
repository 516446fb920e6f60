"""The hub's own sign of life is given while it watches, and only then."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from twinwatch.hub.db import Database
from twinwatch.hub.dead_man import STALE_SECONDS, DeadMan
from twinwatch.testing.hub_stage import HandClock, HubStage
from twinwatch.testing.paper import PaperHttp

URL = "https://hc.example.org/ping/5ecret"
ASKED = f"GET {URL}"


class Looks:
    """When the watchdog last looked."""

    def __init__(self, clock: HandClock) -> None:
        self.at: float | None = clock.monotonic()

    def __call__(self) -> float | None:
        return self.at


@pytest.fixture
def http() -> PaperHttp:
    return PaperHttp({ASKED: "200\n\nOK"})


@pytest.fixture
def looks(clock: HandClock) -> Looks:
    return Looks(clock)


@pytest.fixture
def dead_man(stage: HubStage, http: PaperHttp, clock: HandClock, looks: Looks) -> DeadMan:
    return DeadMan(clock, stage.hub.database, http, URL, {"watchdog": looks})


async def test_a_hub_that_watches_says_so(dead_man: DeadMan, http: PaperHttp) -> None:
    assert await dead_man.sign() == ""
    assert http.asked == [ASKED]


async def test_a_hub_whose_watchdog_stands_still_gives_no_sign(
    dead_man: DeadMan, http: PaperHttp, clock: HandClock, looks: Looks
) -> None:
    clock.advance(STALE_SECONDS + 1)
    assert "watchdog has not looked" in await dead_man.sign()
    looks.at = None
    assert "watchdog has not looked" in await dead_man.sign()
    looks.at = clock.monotonic()
    assert await dead_man.sign() == ""
    assert http.asked == [ASKED]


async def test_a_hub_without_its_database_gives_no_sign(http: PaperHttp, clock: HandClock, looks: Looks) -> None:
    closed = Database("postgresql://nobody@127.0.0.1:1/nothing")
    assert "database away" in await DeadMan(clock, closed, http, URL, {"watchdog": looks}).sign()
    assert http.asked == []


async def test_what_becomes_of_the_sign_is_logged_once_and_never_the_address(
    dead_man: DeadMan, http: PaperHttp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    http.sources[ASKED] = "404\n\ngone"
    for _ in range(3):
        assert "status 404" in await dead_man.sign()
    http.sources.clear()
    assert "does not answer" in await dead_man.sign()
    http.sources[ASKED] = "200\n\nOK"
    await dead_man.sign()
    said = [record.getMessage() for record in caplog.records if "dead-man" in record.getMessage()]
    assert said == [
        "dead-man URL: it answers with status 404; the hub goes on",
        "dead-man URL: it does not answer; the hub goes on",
        "dead-man URL: heard again",
    ]


async def test_the_workers_that_count_are_the_hubs_own(database_url: str, tmp_path: Path, clock: HandClock) -> None:
    async with HubStage(database_url, tmp_path, clock=clock, dead_man_url=URL) as stage:
        stage.own.sources[ASKED] = "200\n\nOK"
        await stage.hub.look()
        assert await stage.hub.dead_man.sign() == ""
        assert stage.own.asked == [ASKED]
