"""The systemd monitor on a bus of paper: selection, signals, faults, and what time alone brings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.unit.monitors.conftest import CAPTURES, checks, values
from twinwatch.monitors import Absent, Check, Finding, Moment, Unreadable
from twinwatch.monitors.options import options_of
from twinwatch.monitors.systemd import CALLS, Systemd
from twinwatch.monitors.systemd.names import path_of
from twinwatch.monitors.systemd.selection import UNITS
from twinwatch.monitors.systemd.source import MANAGER, PROPERTIES
from twinwatch.testing.cases import cases_in
from twinwatch.testing.paper import PaperClock, PaperHost, paper_world
from twinwatch.testing.paper_bus import PaperBus

ROOT = "/org/freedesktop/systemd1"
NOW = 1_700_000_000_000
SERVICE: dict[str, Any] = {"Type": "simple", "Result": "success", "Restart": "no", "NRestarts": 0, "MainPID": 10}
ACTIVE: dict[str, Any] = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running"}


class Paper:
    """A systemd whose units are dictionaries."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self.bus = PaperBus({})
        self.host = PaperHost({})
        self.clock = PaperClock()
        self.monitor = Systemd(options_of(Systemd, options or {}))
        self.rows: dict[str, tuple[str, str, str]] = {}
        self.say(f"{ROOT} {MANAGER}", {"SystemState": "running", "NFailedUnits": 0, "NJobs": 0})
        self.say(f"{ROOT} ListUnitFilesByPatterns", [[]])
        self.publish()

    def say(self, source: str, answer: Any) -> None:
        self.bus.sources[f"bus {source}"] = json.dumps(answer)

    def publish(self) -> None:
        rows = [[name, "", *states, "", path_of(name), 0, "", "/"] for name, states in self.rows.items()]
        self.say(f"{ROOT} ListUnitsByPatterns", [rows])

    def unit(self, name: str, common: dict[str, Any] | None = None, **own: Any) -> None:
        """Makes a unit, or makes it anew."""
        unit = ACTIVE | (common or {})
        self.say(f"{path_of(name)} org.freedesktop.systemd1.Unit", unit)
        kind = name.rpartition(".")[2].capitalize()
        self.say(f"{path_of(name)} org.freedesktop.systemd1.{kind}", (SERVICE if kind == "Service" else {}) | own)
        self.rows[name] = (unit["LoadState"], unit["ActiveState"], unit["SubState"])
        self.publish()

    def enabled(self, *names: str) -> None:
        self.say(
            f"{ROOT} ListUnitFilesByPatterns", [[[f"/usr/lib/systemd/system/{name}", "enabled"] for name in names]]
        )

    async def read(self, seconds: float = 0.0) -> list[Finding]:
        """A run, so many seconds after the last."""
        self.clock.monotonic_seconds += seconds
        self.clock.time += round(seconds * 1000)
        world = paper_world(self.host, clock=self.clock, bus=self.bus)
        return await self.monitor.read(world, Moment(self.clock.time, self.clock.monotonic_seconds))

    async def checks(self, seconds: float = 0.0) -> dict[str, tuple[str, str]]:
        return checks(await self.read(seconds))

    def watch(self, changed: Callable[[], None]) -> asyncio.Task[None]:
        world = paper_world(self.host, clock=self.clock, bus=self.bus)
        self.say(f"{ROOT} Subscribe", [])
        return asyncio.create_task(self.monitor.watch(world, changed))

    def changed(self, name: str, **properties: Any) -> None:
        body = ["org.freedesktop.systemd1.Unit", properties, []]
        self.bus.emit(path_of(name), PROPERTIES, "PropertiesChanged", body)


FAILED: dict[str, Any] = {"ActiveState": "failed", "SubState": "failed"}


async def test_a_recorded_systemd_with_named_units() -> None:
    (case,) = (
        one
        for one in cases_in(CAPTURES["systemd-named"].folder.parent, {"systemd": Systemd})
        if one.name == "systemd-named"
    )
    monitor = case.made()
    for snapshot, moment in zip(case.snapshots(), case.moments(), strict=True):
        found = checks(await monitor.read(snapshot.world(moment), moment))
    assert found == {
        "app@*.service": ("unknown", "no-match"),
        "backup.timer": ("up", ""),
        "bad.service": ("down", "exit-code"),
        "gone.service": ("down", "not-found"),
        "job.timer": ("down", "timer-overdue"),
        "killed.service": ("down", "signal"),
        "limit.service": ("down", "start-limit-hit"),
        "loop.service": ("down", "crash-loop"),
        "manager": ("degraded", "failed-units"),
        "nginx.service": ("up", ""),
    }


async def test_what_services_use() -> None:
    folder = CAPTURES["systemd-accounting"].folder.parent
    (case,) = (one for one in cases_in(folder, {"systemd": Systemd}) if one.name == "systemd-accounting")
    monitor = case.made()
    for snapshot, moment in zip(case.snapshots(), case.moments(), strict=True):
        findings = await monitor.read(snapshot.world(moment), moment)
    found = values(findings)
    assert found["systemd.service.cpu.usage", "api.service"] == 0.5
    assert found["systemd.service.memory.usage", "api.service"] == 500 << 20
    assert found["systemd.service.memory.utilization", "api.service"] == 0.9375
    assert found["systemd.service.io", "api.service", "read"] == 10_000_000
    assert found["systemd.service.network.io", "api.service", "transmit"] == 1_000_000
    assert found["systemd.service.memory.peak", "cache.service"] == 80 << 20
    assert ("systemd.service.io", "cache.service", "read") not in found
    assert checks(findings) == {
        "manager": ("up", ""),
        "api.service": ("degraded", "memory-near-limit"),
        "cache.service": ("degraded", "tasks-near-limit"),
        "worker.service": ("degraded", "oom-kill"),
    }


async def test_without_names_what_is_enabled_or_failed_is_watched() -> None:
    paper = Paper()
    for name in ("a.service", "b.service", "tty@1.service", "d.timer", "e.mount", "f.scope", "static.service"):
        paper.unit(name)
    paper.unit("bad.service", FAILED, Result="exit-code")
    paper.unit("bad.scope", FAILED)
    paper.enabled("a.service", "tty@.service", "d.timer", "e.mount", "f.scope", "not-loaded.service")
    assert set(await paper.checks()) == {
        "a.service", "tty@1.service", "d.timer", "e.mount", "bad.service", "manager",
    }  # fmt: skip


async def test_an_enabled_unit_that_is_inactive_is_well_unless_it_was_named() -> None:
    for options, state in (({}, ("up", "")), ({"services": ["a"]}, ("down", "inactive"))):
        paper = Paper(options)
        paper.unit("a.service", {"ActiveState": "inactive", "SubState": "dead"})
        paper.enabled("a.service")
        assert (await paper.checks())["a.service"] == state


async def test_oneshots_and_triggered_services_may_be_inactive() -> None:
    paper = Paper({"services": ["once", "socketed", "plain"]})
    dead = {"ActiveState": "inactive", "SubState": "dead"}
    paper.unit("once.service", dead, Type="oneshot")
    paper.unit("socketed.service", dead | {"TriggeredBy": ["socketed.socket"]})
    paper.unit("plain.service", dead | {"ConditionResult": False, "ConditionTimestampMonotonic": 5})
    found = {one.name: one for one in await paper.read() if isinstance(one, Check)}
    assert [found[f"{name}.service"].state for name in ("once", "socketed", "plain")] == ["up", "up", "down"]
    assert "start condition is not met" in found["plain.service"].message


async def test_a_unit_that_failed_stays_watched_until_it_is_unloaded() -> None:
    paper = Paper()
    paper.unit("run-1.service", FAILED, Result="signal")
    assert (await paper.checks())["run-1.service"] == ("down", "signal")
    paper.unit("run-1.service")
    assert (await paper.checks(60))["run-1.service"] == ("up", "")
    del paper.rows["run-1.service"]
    paper.publish()
    assert "run-1.service" not in await paper.checks(60)


async def test_what_is_ignored_makes_nothing_worse() -> None:
    paper = Paper({"ignore": ["snap-*"]})
    paper.say(f"{ROOT} {MANAGER}", {"SystemState": "degraded", "NFailedUnits": 1, "NJobs": 0})
    paper.unit("snap-core.service", FAILED, Result="exit-code")
    assert await paper.checks() == {"manager": ("up", "")}


@pytest.mark.parametrize(
    ("state", "check"),
    [
        ("maintenance", ("down", "maintenance")),
        ("stopping", ("degraded", "stopping")),
        ("starting", ("up", "")),
        ("offline", ("unknown", "unreadable")),
        (7, ("unknown", "unreadable")),
    ],
)
async def test_the_state_of_systemd_itself(state: object, check: tuple[str, str]) -> None:
    paper = Paper({"services": ["a"]})
    paper.say(f"{ROOT} {MANAGER}", {"SystemState": state})
    assert (await paper.checks())["manager"] == check


async def test_too_many_units_are_cut_and_told() -> None:
    paper = Paper()
    paper.enabled(*(f"u{number}.mount" for number in range(UNITS + 5)))
    for number in range(UNITS + 5):
        paper.unit(f"u{number}.mount")
    paper.unit("z.service", FAILED, Result="exit-code")
    found = await paper.checks()
    assert found["selection"] == ("degraded", "too-many-units")
    assert found["z.service"] == ("down", "exit-code"), "what failed comes first"
    assert len(found) == UNITS + 2


async def test_restarts_within_the_window_are_a_loop_and_pass() -> None:
    paper = Paper({"services": ["a"], "restarts": 3, "restart_window": "10m"})
    seen = []
    for count in (5, 6, 7, 8):
        paper.unit("a.service", NRestarts=count, Result="success")
        seen.append((await paper.checks(60))["a.service"])
    assert seen == [("up", "")] * 3 + [("down", "crash-loop")]
    assert (await paper.checks(210))["a.service"] == ("degraded", "crash-loop")
    assert (await paper.checks(600))["a.service"] == ("up", "")
    paper.unit("a.service", NRestarts=0)
    assert (await paper.checks(60))["a.service"] == ("up", ""), "systemctl restart makes it count anew"


async def test_a_restart_now_and_then_is_no_loop() -> None:
    paper = Paper({"services": ["a"]})
    for count in range(30):
        paper.unit("a.service", NRestarts=count)
        assert (await paper.checks(301))["a.service"] == ("up", "")


async def test_between_two_tries_it_is_degraded() -> None:
    paper = Paper({"services": ["a"]})
    again = {"ActiveState": "activating", "SubState": "auto-restart"}
    paper.unit("a.service", again, Result="exit-code", ExecMainCode=1, ExecMainStatus=203, Restart="always")
    found = {one.name: one for one in await paper.read() if isinstance(one, Check)}["a.service"]
    assert (found.state, found.reason) == ("degraded", "restarting")
    assert "203" in found.message


async def test_starting_for_long() -> None:
    paper = Paper({"services": ["a", "job"], "activating_for": "2m"})
    started = round(paper.clock.monotonic_seconds * 1e6)
    starting = {"ActiveState": "activating", "SubState": "start", "StateChangeTimestampMonotonic": started}
    paper.unit("a.service", starting)
    paper.unit("job.service", starting, Type="oneshot")
    assert (await paper.checks())["a.service"] == ("degraded", "activating")
    found = await paper.checks(121)
    assert found["a.service"] == ("down", "activating-long")
    assert found["job.service"] == ("up", ""), "a oneshot that runs is starting all the while"


async def test_a_timer_that_should_have_fired() -> None:
    paper = Paper({"services": ["job.timer"], "timer_slack": "1m"})
    waiting = {"ActiveState": "active", "SubState": "waiting"}
    paper.unit("job.service", {"ActiveState": "inactive", "SubState": "dead"}, Type="oneshot")
    due = {"Unit": "job.service", "NextElapseUSecRealtime": (NOW + 30_000) * 1000, "AccuracyUSec": 60_000_000}
    paper.unit("job.timer", waiting, **due, LastTriggerUSec=(NOW - 60_000) * 1000)
    assert (await paper.checks())["job.timer"] == ("up", "")
    assert (await paper.checks(149))["job.timer"] == ("up", "")
    assert (await paper.checks(2))["job.timer"] == ("down", "timer-overdue")
    paper.unit("job.timer", waiting, Unit="job.service", NextElapseUSecMonotonic=(1 << 64) - 1)
    assert (await paper.checks(60))["job.timer"] == ("up", "")


async def test_a_timer_whose_last_run_goes_on_for_too_long() -> None:
    paper = Paper({"services": ["job.timer"], "timer_slack": "1m"})
    paper.unit("job.service", {"ActiveState": "activating", "SubState": "start"}, Type="oneshot")
    hourly = {"Unit": "job.service", "LastTriggerUSec": NOW * 1000}
    paper.unit("job.timer", {"SubState": "waiting"}, **hourly, NextElapseUSecRealtime=(NOW + 3_600_000) * 1000)
    await paper.checks()
    paper.unit("job.timer", {"SubState": "running"}, **hourly, NextElapseUSecRealtime=NOW * 1000)
    assert (await paper.checks(3600))["job.timer"] == ("up", ""), "it may run for as long as it is not due again"
    assert (await paper.checks(61))["job.timer"] == ("down", "timer-overdue")


async def test_a_timer_is_as_well_as_its_last_run() -> None:
    paper = Paper({"services": ["job.timer"]})
    paper.unit("job.service", FAILED, Type="oneshot", Result="exit-code", ExecMainCode=1, ExecMainStatus=2)
    paper.unit("job.timer", {"SubState": "waiting"}, Unit="job.service")
    assert (await paper.checks())["job.timer"] == ("down", "last-run-failed")
    paper.unit("job.service", Type="oneshot")
    assert (await paper.checks(60))["job.timer"] == ("up", "")


async def test_a_watchdog_that_is_not_answered() -> None:
    paper = Paper({"services": ["a"]})
    paper.unit("a.service", WatchdogUSec=100_000_000, WatchdogTimestampMonotonic=1_000_000_000)
    assert (await paper.checks(79))["a.service"] == ("up", "")
    assert (await paper.checks(2))["a.service"] == ("degraded", "watchdog-late")


async def test_a_unit_that_cannot_be_read_is_unknown_and_the_others_are_not() -> None:
    paper = Paper({"services": ["a", "b"]})
    paper.unit("a.service")
    paper.unit("b.service")
    paper.bus.sources[f"bus {path_of('b.service')} org.freedesktop.systemd1.Unit"] = "error org.x.Denied not for you"
    assert await paper.checks() == {
        "a.service": ("up", ""), "b.service": ("unknown", "unreadable"), "manager": ("up", ""),
    }  # fmt: skip


async def test_no_systemd_is_absent_and_one_that_went_away_is_not() -> None:
    paper = Paper({"services": ["a"]})
    sources, paper.bus.sources = paper.bus.sources, {}
    with pytest.raises(Absent):
        await paper.read()
    watch = paper.watch(lambda: None)
    paper.bus.sources = {}
    with pytest.raises(Absent):
        await watch
    paper.host.files["/run/systemd/system/x"] = ""
    with pytest.raises(Unreadable):
        await paper.read()
    paper.host.files.clear()
    paper.bus.sources = sources
    await paper.read()
    paper.bus.sources = {}
    with pytest.raises(Unreadable):
        await paper.read(60)


async def test_a_systemd_of_before_lists_everything() -> None:
    paper = Paper({"services": ["a@*"]})
    paper.unit("a@1.service")
    listing = f"bus {ROOT} ListUnitsByPatterns"
    paper.bus.sources[f"bus {ROOT} ListUnits"] = paper.bus.sources[listing]
    paper.bus.sources[listing] = "error org.freedesktop.DBus.Error.UnknownMethod no such method"
    assert (await paper.checks())["a@1.service"] == ("up", "")


async def test_signals_lead_to_a_run_that_reads_what_changed_alone() -> None:
    paper = Paper({"services": ["a", "b", "app@*"]})
    for name in ("a.service", "b.service", "other.service"):
        paper.unit(name)
    await paper.read()
    woken = asyncio.Event()
    watch = paper.watch(woken.set)
    await woken.wait()
    await paper.read()
    woken.clear()
    paper.changed("b.service", **ACTIVE)
    paper.changed("other.service", ActiveState="deactivating")
    paper.bus.emit(ROOT, MANAGER, "UnitNew", ["a.service", path_of("a.service")])
    paper.unit("a.service", FAILED, Result="oom-kill")
    paper.changed("a.service", **FAILED)
    async with asyncio.timeout(5):
        await woken.wait()
    paper.bus.calls.clear()
    assert (await paper.checks(1))["a.service"] == ("down", "oom-kill")
    assert {path for path, member, *_ in paper.bus.calls if member == "GetAll"} == {path_of("a.service")}
    paper.unit("app@7.service")
    woken.clear()
    paper.bus.emit(ROOT, MANAGER, "UnitNew", ["app@7.service", path_of("app@7.service")])
    async with asyncio.timeout(5):
        await woken.wait()
    assert (await paper.checks(1))["app@7.service"] == ("up", "")
    paper.bus.lose()
    with pytest.raises(Unreadable):
        await watch
    assert paper.bus.listeners == 0


async def test_a_kill_for_lack_of_memory_that_was_over_in_a_moment_is_remembered() -> None:
    paper = Paper({"services": ["a"], "restart_window": "5m"})
    paper.unit("a.service")
    await paper.read()
    woken = asyncio.Event()
    watch = paper.watch(woken.set)
    await woken.wait()
    await paper.read()
    woken.clear()
    body = ["org.freedesktop.systemd1.Service", {"Result": "oom-kill"}, []]
    paper.bus.emit(path_of("a.service"), PROPERTIES, "PropertiesChanged", body)
    paper.unit("a.service", NRestarts=1)
    async with asyncio.timeout(5):
        await woken.wait()
    assert (await paper.checks(1))["a.service"] == ("degraded", "oom-kill")
    assert (await paper.checks(310))["a.service"] == ("up", "")
    watch.cancel()
    await asyncio.wait((watch,))
    assert paper.bus.listeners == 0


async def test_a_run_that_was_cut_off_forgets_no_change() -> None:
    paper = Paper({"services": ["a"]})
    paper.unit("a.service")
    await paper.read()
    woken = asyncio.Event()
    watch = paper.watch(woken.set)
    await woken.wait()
    await paper.read()
    paper.unit("a.service", FAILED, Result="signal")
    paper.changed("a.service", **FAILED)
    paper.bus.hangs = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await paper.read(1)
    paper.bus.hangs = False
    assert (await paper.checks(1))["a.service"] == ("down", "signal")
    watch.cancel()
    await asyncio.wait((watch,))


async def test_a_unit_that_never_rests_is_read_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinwatch.monitors.systemd.GAP_SECONDS", 0.0)
    monkeypatch.setattr("twinwatch.monitors.systemd.DEFERRED_SECONDS", 0.2)
    paper = Paper({"services": ["a", "b"]})
    paper.unit("a.service")
    paper.unit("b.service")
    await paper.read()
    woken = asyncio.Event()
    calls: list[float] = []

    def changed() -> None:
        calls.append(asyncio.get_running_loop().time())
        woken.set()

    watch = paper.watch(changed)
    await woken.wait()
    await paper.read()
    woken.clear()
    for sub in range(100):
        paper.changed("a.service", SubState=f"state-{sub}")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(calls) <= 1 + CALLS
    woken.clear()
    before = len(calls)
    async with asyncio.timeout(5):
        await woken.wait()
    assert len(calls) == before + 1, "what was deferred is read in the end"
    woken.clear()
    paper.changed("b.service", SubState="dead")
    async with asyncio.timeout(0.15):
        await woken.wait()
    watch.cancel()
    await asyncio.wait((watch,))


async def test_a_systemd_that_came_back_is_subscribed_to_again() -> None:
    paper = Paper({"services": ["a"]})
    paper.unit("a.service")
    woken = asyncio.Event()
    watch = paper.watch(woken.set)
    await woken.wait()
    paper.bus.emit(
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "NameOwnerChanged",
        ["org.freedesktop.systemd1", ":1.0", ":1.9"],
    )
    with pytest.raises(Unreadable, match="anew"):
        await watch


@pytest.mark.parametrize("name", ["a b", "näme", "x" * 252, "/etc/passwd"])
def test_names_that_no_unit_can_have_are_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="no name of a unit"):
        options_of(Systemd, {"services": [name]})
