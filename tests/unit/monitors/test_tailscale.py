from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors import Absent, Finding, Moment, Unreadable
from twinwatch.monitors.options import options_of
from twinwatch.monitors.tailscale import Tailscale
from twinwatch.testing.cases import EPOCH, cases_in
from twinwatch.testing.paper import PaperCommands, paper_world

CAPTURES = Path(__file__).parents[2] / "captures"
DAY = 86_400_000


async def ask(page: str | None, now: int = EPOCH, **options: Any) -> list[Finding]:
    world = paper_world(commands=PaperCommands({} if page is None else {"$ tailscale status --json": page}))
    return await Tailscale(options_of(Tailscale, options)).read(world, Moment(now, 0.0))


async def status(now: int = EPOCH, **fields: Any) -> dict[str, tuple[str, str]]:
    return checks(await ask("exit 0\n" + json.dumps({"BackendState": "Running", **fields}), now))


async def test_a_tailnet_with_chosen_peers() -> None:
    (case,) = (one for one in cases_in(CAPTURES, {"tailscale": Tailscale}) if one.name == "tailscale-tailnet")
    monitor = case.made()
    for snapshot, moment in zip(case.snapshots(), case.moments(), strict=True):
        found = await monitor.read(snapshot.world(moment), moment)
    assert checks(found) == {
        "connection": ("up", ""),
        "control": ("up", ""),
        "version": ("up", ""),
        "health": ("degraded", "warnings"),
        "key": ("degraded", "expires-soon"),
        "exit-node": ("up", ""),
        "peer:db-1": ("up", ""),
        "peer:db-2": ("down", "offline"),
        "peer:nas": ("up", ""),
        "peer:gone": ("down", "not-there"),
    }
    told = values(found)
    assert told["tailscale.peer.count", "online"] == 2
    assert told["tailscale.peer.io", "db-1", "receive"] == 1000
    assert told["tailscale.peer.direct", "db-1"] == 1
    assert told["tailscale.peer.direct", "nas"] == 0
    assert told["tailscale.peer.handshake_age", "db-1"] == 110


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("NeedsLogin", ("down", "needs-login")),
        ("NeedsMachineAuth", ("down", "needs-machine-auth")),
        ("Stopped", ("down", "stopped")),
        ("Starting", ("degraded", "starting")),
        ("Something new", ("down", "somethingnew")),
    ],
)
async def test_every_other_state_is_told_apart(state: str, expected: tuple[str, str]) -> None:
    assert (await status(BackendState=state))["connection"] == expected


async def test_a_key_that_expires_or_has_expired_or_never_will() -> None:
    expiry = {"KeyExpiry": "2023-12-01T00:00:00Z"}
    assert (await status(Self=expiry))["key"] == ("up", "")
    assert (await status(now=EPOCH + 10 * DAY, Self=expiry))["key"] == ("degraded", "expires-soon")
    assert (await status(now=EPOCH + 30 * DAY, Self=expiry))["key"] == ("down", "expired")
    assert (await status(Self={**expiry, "Expired": True}))["key"] == ("down", "expired")
    assert "key" not in await status(Self={})


async def test_a_lost_control_connection_is_a_check_of_its_own() -> None:
    found = await status(Self={"Online": False})
    assert found["connection"] == ("up", "")
    assert found["control"] == ("down", "no-control")


async def test_an_expired_key_is_the_cause_that_is_named() -> None:
    found = await status(BackendState="NeedsLogin", Self={"Expired": True, "KeyExpiry": "2023-11-14T00:00:00Z"})
    assert found["connection"] == ("down", "key-expired")
    assert found["key"] == ("down", "expired")


async def test_a_daemon_that_does_not_run_is_told() -> None:
    found = await ask("exit 1\nfailed to connect to local tailscaled; it doesn't appear to be running")
    assert checks(found) == {"connection": ("down", "not-running")}
    assert values(found)["tailscale.connected",] == 0


async def test_what_a_real_daemon_said_before_and_after_its_peer_was_killed() -> None:
    (case,) = (one for one in cases_in(CAPTURES, {"tailscale": Tailscale}) if one.name == "tailscale-socket")
    monitor = case.made()
    before, after = [
        checks(await monitor.read(snapshot.world(moment), moment))
        for snapshot, moment in zip(case.snapshots(), case.moments(), strict=True)
    ]
    assert before["peer:host-b"] == ("up", "")
    assert "key" not in before
    assert after["peer:host-b"] == ("down", "offline")
    assert after["key"] == ("degraded", "expires-soon")
    assert after["routes"] == ("degraded", "not-approved")
    assert after["connection"] == after["control"] == after["health"] == ("up", "")


async def test_the_way_of_all_traffic_and_the_ails_of_peers() -> None:
    (case,) = (one for one in cases_in(CAPTURES, {"tailscale": Tailscale}) if one.name == "tailscale-relayed")
    monitor = case.made()
    for snapshot, moment in zip(case.snapshots(), case.moments(), strict=True):
        found = await monitor.read(snapshot.world(moment), moment)
    told, read = checks(found), values(found)
    assert read[("tailscale.relayed",)] == 0.3333
    assert read["tailscale.io", "receive", "derp"] == 100_000
    assert read["tailscale.packet.dropped", "receive", "acl"] == 2
    assert told["peer:db-1"] == ("degraded", "key-expires-soon")
    assert told["peer:laptop"] == ("down", "key-expired")
    assert told["peer:nas"] == ("degraded", "relayed")
    assert told["exit-node"] == ("down", "offline")
    assert told["version"] == ("degraded", "security-update")
    assert told["routes"] == ("degraded", "not-approved")


async def test_where_it_is_not_installed_there_is_nothing_to_watch() -> None:
    with pytest.raises(Absent, match="tailscale is not installed"):
        await ask(None)


@pytest.mark.parametrize("page", ["exit 1\nno such command", "exit 0\n[]", "exit 0\n{}"])
async def test_an_answer_that_is_none_is_unreadable(page: str) -> None:
    with pytest.raises(Unreadable, match="status --json: expected"):
        await ask(page)
