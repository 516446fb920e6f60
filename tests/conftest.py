"""What tests of several folders share: a PostgreSQL for the session, a database and a hub for each test.

The hub is imported by the fixtures that need it: where the agent alone is installed, its tests run without.
The summary says where the time went.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.contract.timescale_server import TimescaleServer
    from twinwatch.testing.hub_stage import Cast, HandClock, HubStage
    from twinwatch.testing.postgres import Cluster


# For a second run of the same tests in another environment: what they find by chance the first run has looked for.
settings.register_profile("brief", max_examples=5)
pytest.register_assert_rewrite("twinwatch.testing.contract", "twinwatch.testing.channels.contract")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One PostgreSQL server for the session, started by the first test that needs it."""
    from twinwatch.testing.postgres import Cluster

    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def timescale() -> Iterator[TimescaleServer]:
    """One TimescaleDB for the session, in WebAssembly. Its database is emptied by whoever uses it next."""
    from tests.contract.timescale_server import TimescaleServer

    with TimescaleServer() as server:
        yield server


@pytest.fixture(scope="session")
def victoria() -> Iterator[str]:
    """One VictoriaMetrics for the session: its address. What others have written there stays."""
    from twinwatch.testing.victoria import PROGRAM, is_there, single_node

    if not is_there():
        pytest.skip(f"{PROGRAM} is not installed: apt-get install {PROGRAM}")
    with single_node() as address:
        yield address


@pytest.fixture
def database_url(cluster: Cluster) -> Iterator[str]:
    """A database with today's schema and nothing in it: the superuser's connection string."""
    url = cluster.lend()
    yield url
    cluster.take_back(url)


@pytest.fixture
def clock() -> HandClock:
    """The hub's clock, set by hand."""
    from twinwatch.testing.hub_stage import HandClock

    return HandClock()


@pytest.fixture
async def stage(database_url: str, clock: HandClock, tmp_path: Path) -> AsyncIterator[HubStage]:
    """A running hub on a fresh database."""
    from twinwatch.testing.hub_stage import HubStage

    async with HubStage(database_url, tmp_path, clock=clock) as stage:
        yield stage


@pytest.fixture
async def cast(stage: HubStage) -> Cast:
    """An owner, an admin, a member, a viewer, a stranger, and a server in either organization."""
    return await stage.cast()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The seconds of each folder of tests, fixtures included."""
    seconds: dict[str, float] = {}
    tests: dict[str, int] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = Path(report.nodeid).parts[1] if "/" in report.nodeid else "."
                seconds[folder] = seconds.get(folder, 0.0) + report.duration
                tests[folder] = tests.get(folder, 0) + (report.when == "call")
    terminalreporter.section("where the time went")
    for folder, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        terminalreporter.write_line(f"{spent:8.1f} s  {folder} ({tests[folder]} tests)")
