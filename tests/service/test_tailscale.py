"""The tailscale monitor before a daemon on a real socket."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors import Absent, Finding, Moment, Unreadable
from twinwatch.monitors.options import options_of
from twinwatch.monitors.tailscale import Tailscale
from twinwatch.monitors.tailscale.source import PONG_SECONDS
from twinwatch.testing.tailscaled import Peer, Tailscaled
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp

Watch = Callable[..., Tailscale]
Run = Callable[[Tailscale], Awaitable[dict[str, tuple[str, str]]]]
Read = Callable[[Tailscale], Awaitable[list[Finding]]]


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "tailscaled.sock"


@pytest.fixture
async def daemon(socket: Path) -> AsyncIterator[Tailscaled]:
    peers = [Peer("db-1", "100.64.0.2"), Peer("db-2", "100.64.0.3", relay="fra"), Peer("laptop", "100.64.0.4")]
    async with Tailscaled(peers=peers).serving(socket) as daemon:
        yield daemon


@pytest.fixture
def watch(socket: Path) -> Watch:
    return lambda **options: Tailscale(
        options_of(Tailscale, {"socket": str(socket), "command": "no-tailscale-here", **options})
    )


@pytest.fixture
async def read() -> AsyncIterator[Read]:
    world = World(clock=SystemClock(), http=AiohttpHttp(sockets=True), host=Host())

    async def once(monitor: Tailscale) -> list[Finding]:
        return list(await monitor.read(world, Moment(world.clock.now(), world.clock.monotonic())))

    yield once
    await world.close()


@pytest.fixture
def run(read: Read) -> Run:
    async def once(monitor: Tailscale) -> dict[str, tuple[str, str]]:
        return checks(await read(monitor))

    return once


def within(**time_left: float) -> str:
    return (datetime.now(UTC) + timedelta(**time_left)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_server_leaves_its_tailnet_and_comes_back(daemon: Tailscaled, watch: Watch, run: Run) -> None:
    monitor = watch(peers=["db-*"])
    well = {"connection", "control", "health", "version", "peer:db-1", "peer:db-2"}
    assert {name for name, (state, _) in (await run(monitor)).items() if state == "up"} == well
    daemon.state, daemon.health = "NeedsLogin", ["You are logged out."]
    found = await run(monitor)
    assert found["connection"] == ("down", "needs-login")
    unjudged = {"control", "health", "peer:db-1", "peer:db-2"}
    assert {name for name, (state, _) in found.items() if state == "unknown"} == unjudged
    daemon.state, daemon.health = "Running", []
    assert {name for name, (state, _) in (await run(monitor)).items() if state == "up"} == well


async def test_the_control_server_is_lost(daemon: Tailscaled, watch: Watch, read: Read) -> None:
    daemon.control = False
    daemon.health = ["Unable to connect to the Tailscale coordination server to synchronize the state of your tailnet."]
    found = await read(watch())
    assert checks(found)["control"] == ("down", "no-control")
    assert checks(found)["connection"] == ("up", "")
    assert checks(found)["health"] == ("up", ""), "one cause, one check"
    assert values(found)[("tailscale.control.connected",)] == 0


@pytest.mark.parametrize(
    ("left", "expired", "expected"),
    [
        (None, False, None),
        ({"days": 15}, False, ("up", "")),
        ({"days": 13}, False, ("degraded", "expires-soon")),
        ({"hours": 2}, False, ("degraded", "expires-soon")),
        ({"hours": -1}, False, ("down", "expired")),
        ({"hours": -1}, True, ("down", "expired")),
    ],
)
async def test_the_node_key_expires(
    daemon: Tailscaled,
    watch: Watch,
    run: Run,
    left: dict[str, float] | None,
    expired: bool,
    expected: tuple[str, str] | None,
) -> None:
    daemon.key_expiry = within(**left) if left else ""
    daemon.expired = expired
    assert (await run(watch())).get("key") == expected


async def test_a_peer_is_lost_answers_no_more_or_is_reached_by_a_detour(
    daemon: Tailscaled, watch: Watch, read: Read
) -> None:
    monitor = watch(peers=["db-*"], direct=["db-*"])
    first, second, _ = daemon.peers
    found = await read(monitor)
    assert checks(found)["peer:db-1"] == ("up", "")
    assert checks(found)["peer:db-2"] == ("degraded", "relayed")
    assert values(found)["tailscale.peer.direct", "db-2"] == 0
    assert values(found)["tailscale.peer.latency", "db-1"] == 0.002
    second.online, first.answers = False, False
    told = [checks(await read(monitor)) for _ in range(3)]
    assert {one["peer:db-2"] for one in told} == {("down", "offline")}
    assert [one["peer:db-1"] for one in told] == [("up", ""), ("up", ""), ("degraded", "no-answer")]
    first.answers = True
    assert checks(await read(monitor))["peer:db-1"] == ("up", "")
    daemon.peers = [first]
    assert "peer:db-2" not in checks(await read(monitor)), "nobody named it but by a pattern that another fits"


async def test_silent_peers_are_waited_for_side_by_side(daemon: Tailscaled, watch: Watch, read: Read) -> None:
    daemon.peers = [Peer(f"n{number:03}", f"100.64.1.{number}", answers=False) for number in range(25)]
    began = time.monotonic()
    found = await read(watch(peers=["*"], max_peers=20))
    assert time.monotonic() - began < 4 * PONG_SECONDS
    assert checks(found)["peers"] == ("degraded", "too-many")
    assert values(found)[("tailscale.peer.left_out",)] == 5
    assert len([one for one in checks(found) if one.startswith("peer:")]) == 20


async def test_routes_and_exit_node(daemon: Tailscaled, watch: Watch, read: Read) -> None:
    daemon.advertised, daemon.exit_node = ["10.7.0.0/24"], False
    found = await read(watch())
    assert checks(found)["routes"] == ("degraded", "not-approved")
    assert checks(found)["exit-node"] == ("down", "offline")
    daemon.approved, daemon.exit_node = ["10.7.0.0/24"], True
    found = await read(watch())
    assert checks(found)["routes"] == checks(found)["exit-node"] == ("up", "")
    assert values(found)[("tailscale.routes.approved",)] == 1


async def test_versions(daemon: Tailscaled, watch: Watch, run: Run) -> None:
    daemon.client_version = {"LatestVersion": "1.104.0"}
    assert (await run(watch()))["version"] == ("up", "update-available")
    daemon.client_version = {"LatestVersion": "1.104.0", "UrgentSecurityUpdate": True}
    assert (await run(watch()))["version"] == ("degraded", "security-update")
    daemon.client_version = None
    assert "version" not in await run(watch())


@pytest.mark.parametrize("fault", ["hangs", "cuts", "refuses"])
async def test_an_older_or_ailing_daemon_is_read_as_far_as_it_goes(
    daemon: Tailscaled, watch: Watch, run: Run, fault: str
) -> None:
    daemon.advertised = ["10.7.0.0/24"]
    getattr(daemon, fault).update({"prefs", "usermetrics", "ping"})
    found = await run(watch(peers=["db-1"]))
    assert found["connection"] == found["peer:db-1"] == ("up", "")
    assert "routes" not in found


async def test_a_status_that_does_not_come_is_no_verdict(daemon: Tailscaled, watch: Watch, read: Read) -> None:
    daemon.refuses.add("status")
    with pytest.raises(Unreadable, match="answers 403"):
        await read(watch())


async def test_a_daemon_that_stops_is_told_and_what_it_said_is_unjudged(
    socket: Path, watch: Watch, run: Run, read: Read
) -> None:
    monitor = watch(peers=["db-1"])
    with pytest.raises(Absent, match="not installed"):
        await read(monitor)
    async with Tailscaled(peers=[Peer("db-1", "100.64.0.2")]).serving(socket):
        assert (await run(monitor))["connection"] == ("up", "")
    found = await run(monitor)
    assert found["connection"] == ("down", "not-running")
    assert found["peer:db-1"] == found["health"] == ("unknown", "not-connected")


async def test_only_where_the_socket_cannot_be_asked_a_process_is_started(
    daemon: Tailscaled, socket: Path, tmp_path: Path, watch: Watch, run: Run
) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "tailscale"
    program.write_text(f'#!/bin/sh\necho "$@" >>{ran}\necho \'{{"BackendState": "Stopped"}}\'\n')
    program.chmod(0o755)
    monitor = watch(command=str(program))
    assert (await run(monitor))["connection"] == ("up", "")
    assert not ran.exists()
    elsewhere = watch(command=str(program), socket=str(tmp_path / "nowhere.sock"))
    assert (await run(elsewhere))["connection"] == ("down", "stopped")
    assert ran.read_text() == "status --json\n"
    program.write_text("#!/bin/sh\necho 'Failed to connect to local tailscaled; not running?' >&2\nexit 1\n")
    assert (await run(elsewhere))["connection"] == ("down", "not-running")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, as /run/tailscale is."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def nobody() -> Iterator[Callable[[], None]]:
    """Makes this process another user's, until the test is over."""
    yield lambda: os.seteuid(65534)
    os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize("mode", [0o666, 0o600])
async def test_no_right_is_needed_but_to_open_the_socket(
    open_folder: Path, nobody: Callable[[], None], read: Read, mode: int
) -> None:
    socket = open_folder / "tailscaled.sock"
    monitor = Tailscale(options_of(Tailscale, {"socket": str(socket), "command": "no-tailscale-here"}))
    async with Tailscaled().serving(socket):
        await asyncio.to_thread(socket.chmod, mode)  # tailscaled makes it 0666
        nobody()
        if mode == 0o666:
            assert checks(await read(monitor))["connection"] == ("up", "")
        else:
            with pytest.raises(Unreadable, match="permission denied: let the agent's user open it"):
                await read(monitor)
        os.seteuid(0)


def test_the_options_that_name_files_are_bounded() -> None:
    for wrong in ("relative.sock", "/a\nb", "/" + "x" * 200):
        with pytest.raises(Exception, match="socket"):
            options_of(Tailscale, {"socket": wrong})
