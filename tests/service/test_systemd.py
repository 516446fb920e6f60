"""The systemd monitor and the bus, on a real systemd that the test may break."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from twinwatch.monitors import Absent, Check, Finding, Moment, Reading, Unreadable
from twinwatch.monitors.options import options_of
from twinwatch.monitors.systemd import Systemd
from twinwatch.testing.paper import paper_world
from twinwatch.testing.systemd import SystemdSandbox, lacking
from twinwatch.world.bus import DAEMON, DISCONNECTED, NO_REPLY, NO_SERVER, BusUnavailable, Heard, SystemBus
from twinwatch.world.clock import SystemClock
from twinwatch.world.host import Host

pytestmark = pytest.mark.skipif(bool(lacking()), reason=f"a real systemd needs {lacking()}")

SECOND = 1.0
PATIENCE = 15.0
SLEEPS = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 1000\n"
PROPERTIES = "org.freedesktop.DBus.Properties"
STATE = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", PROPERTIES, "Get", "ss",
         ("org.freedesktop.systemd1.Manager", "SystemState"))  # fmt: skip


@pytest.fixture
def boot() -> Iterator[Callable[..., SystemdSandbox]]:
    """Boots a systemd with these units; its folder can be entered by everybody, and its socket's path is short."""
    started: list[SystemdSandbox] = []

    def booted(units: dict[str, str], *, unified: bool = False) -> SystemdSandbox:
        folder = Path(tempfile.mkdtemp(prefix="tw-"))
        folder.chmod(0o755)
        sandbox = SystemdSandbox(folder, units, unified=unified)
        started.append(sandbox)
        sandbox.start()
        return sandbox

    yield booted
    for sandbox in started:
        sandbox.stop()
        shutil.rmtree(sandbox.folder)


class Eyes:
    """A monitor that is run as the agent runs it: by its signals, here without any interval."""

    def __init__(self, root: str, bus: SystemBus, options: dict[str, Any]) -> None:
        self.bus = bus
        self.monitor = Systemd(options_of(Systemd, options))
        self.clock = SystemClock()
        self.world = paper_world(Host(root), clock=self.clock, bus=bus)
        self.checks: dict[str, Check] = {}
        self.readings: dict[tuple[str, ...], float] = {}
        self.runs = 0
        self.woken = asyncio.Event()

    async def look(self) -> list[Finding]:
        self.runs += 1
        found = await self.monitor.read(self.world, Moment(self.clock.now(), self.clock.monotonic()))
        self.checks = {one.name: one for one in found if isinstance(one, Check)}
        self.readings |= {(one.metric, *one.labels.values()): one.value for one in found if isinstance(one, Reading)}
        return found

    async def until(self, **reasons: str) -> float:
        """Until the services have these reasons; how many seconds that took."""
        started = time.monotonic()
        wanted = {
            name.replace("_", ".") if "_" in name else f"{name}.service": reason for name, reason in reasons.items()
        }
        try:
            async with asyncio.timeout(PATIENCE):
                while any(name not in self.checks or self.checks[name].reason != wanted[name] for name in wanted):
                    await self.woken.wait()
                    self.woken.clear()
                    await self.look()
        except TimeoutError:
            raise AssertionError({name: self.checks.get(name) for name in wanted}) from None
        return time.monotonic() - started

    async def until_so(self, condition: Callable[[], bool]) -> None:
        """Until signals have led to this."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self.woken.wait()
                self.woken.clear()
                await self.look()

    async def watch(self) -> None:
        """Starts again when the connection is lost, as the agent does."""
        while True:
            with suppress(Absent, Unreadable):
                await self.monitor.watch(self.world, self.woken.set)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def watching(sandbox: SystemdSandbox, **options: Any) -> AsyncIterator[Eyes]:
    bus = SystemBus(sandbox.address)
    eyes = Eyes(f"/proc/{sandbox.pid}/root", bus, options)
    await eyes.look()
    watch = asyncio.create_task(eyes.watch())
    async with asyncio.timeout(PATIENCE):
        await eyes.woken.wait()
    try:
        yield eyes
    finally:
        watch.cancel()
        await asyncio.wait((watch,))
        await bus.close()


def kill(sandbox: SystemdSandbox, unit: str) -> None:
    os.kill(int((sandbox.group_of(unit) / "cgroup.procs").read_text()), signal.SIGKILL)


async def do(sandbox: SystemdSandbox, *arguments: str) -> str:
    return await asyncio.to_thread(sandbox.exec, *arguments)


async def test_a_unit_that_is_killed_is_down_within_a_second(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot({"web@.service": SLEEPS})
    names = [f"web@{number}" for number in range(5)]
    await do(sandbox, "systemctl", "start", *names)
    taken = []
    async with watching(sandbox, services=names) as eyes:
        for name in names:
            unit = f"{name}.service"
            assert eyes.checks[unit].state == "up"
            kill(sandbox, unit)
            taken.append(await eyes.until(**{name: "signal"}))
            said = f"failed: its program was killed (SIGKILL): journalctl -u {unit} -n 20"
            assert eyes.checks[unit] == Check(unit, "down", said, "signal")
        await do(sandbox, "systemctl", "start", *names)
        await eyes.until(**dict.fromkeys(names, ""))
    sys.stderr.write(f"killed to down: {', '.join(f'{1000 * one:.0f} ms' for one in sorted(taken))}\n")
    assert max(taken) < SECOND


async def test_a_unit_that_never_rests_delays_no_other(boot: Callable[..., SystemdSandbox]) -> None:
    loop = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=20ms\nExecStart=/bin/true\n"
    sandbox = boot({"loop.service": loop, "web.service": SLEEPS})
    await do(sandbox, "systemctl", "start", "web", "loop")
    async with watching(sandbox, services=["web", "loop"]) as eyes:
        await eyes.until(loop="crash-loop")
        runs = eyes.runs
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await eyes.until(loop="nothing")
        assert eyes.runs - runs < 10
        kill(sandbox, "web.service")
        assert await eyes.until(web="signal") < SECOND


async def test_ways_to_fail_are_told_apart(boot: Callable[..., SystemdSandbox]) -> None:
    always = "[Unit]\nStartLimitBurst={}\n[Service]\nRestart=always\nRestartSec=50ms\nExecStart=/bin/{}\n"
    sandbox = boot(
        {
            "bad.service": "[Service]\nExecStart=/bin/false\n",
            "nothing.service": "[Service]\nExecStart=/nothing/here\n",
            "core.service": "[Service]\nExecStart=/bin/sh -c 'kill -SEGV $$$$'\n",
            "slow.service": "[Service]\nType=notify\nTimeoutStartSec=200ms\nExecStart=/bin/sleep 1000\n",
            "dog.service": "[Service]\nWatchdogSec=200ms\nTimeoutAbortSec=1s\nExecStart=/bin/sleep 1000\n",
            "limit.service": always.format(3, "false"),
            "clean.service": always.format(3, "true"),
            "loop.service": always.format(0, "false"),
            "once.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
            "job.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n",
            "job.timer": "[Timer]\nOnActiveSec=50ms\nOnUnitActiveSec=100ms\nAccuracySec=1ms\n",
            "nightly.service": "[Service]\nType=oneshot\nExecStart=/bin/false\n",
            "nightly.timer": "[Timer]\nOnActiveSec=50ms\nOnUnitActiveSec=1h\nAccuracySec=1ms\n",
            "stuck.service": "[Service]\nType=notify\nExecStart=/bin/sleep 1000\n",
        }
    )
    names = [
        "bad",
        "nothing",
        "core",
        "slow",
        "dog",
        "limit",
        "clean",
        "loop",
        "once",
        "job.timer",
        "nightly.timer",
        "stuck",
    ]
    async with watching(sandbox, services=[*names, "gone"], timer_slack="100ms", activating_for="300ms") as eyes:
        assert {check.reason for name, check in eyes.checks.items() if name.startswith("bad")} == {"inactive"}
        await do(sandbox, "systemctl", "start", "--no-block", *names)
        await eyes.until(
            bad="exit-code", nothing="exit-code", slow="timeout", dog="watchdog", limit="start-limit-hit",
            clean="start-limit-hit", loop="crash-loop", once="", gone="not-found", nightly_timer="last-run-failed",
        )  # fmt: skip
        eyes.woken.set()
        await eyes.until(job_timer="timer-overdue", stuck="activating-long")
        assert eyes.checks["core.service"].reason in {"core-dump", "signal"}  # a container may not dump
        assert "exit status 203" in eyes.checks["nothing.service"].message
        states = {name: check.state for name, check in eyes.checks.items()}
        assert {name for name, state in states.items() if state == "up"} == {"once.service"}
        assert states["manager"] == "degraded"


async def starve(sandbox: SystemdSandbox, unit: str) -> None:
    """Does to a unit what systemd-oomd does; the kernel's own kills need a memory controller in the unified tree."""
    group = sandbox.group_of(unit)
    for name in ("user.oomd_ooms", "user.oomd_kill"):
        os.setxattr(group, name, b"1")
    for pid in (group / "cgroup.procs").read_text().split():
        os.kill(int(pid), signal.SIGKILL)


async def test_a_unit_that_is_out_of_memory_is_told_and_recovers(boot: Callable[..., SystemdSandbox]) -> None:
    again = "[Service]\nRestart=on-failure\nRestartSec=10ms\nExecStart=/bin/sleep 1000\n"
    sandbox = boot({"web.service": SLEEPS, "again.service": again}, unified=True)
    await do(sandbox, "systemctl", "start", "web", "again")
    async with watching(sandbox, services=["web", "again"], restart_window="3s") as eyes:
        await starve(sandbox, "web.service")
        await starve(sandbox, "again.service")
        await eyes.until(web="oom-kill", again="oom-kill")
        assert eyes.checks["web.service"].state == "down"
        await eyes.until(web="oom-kill", again="oom-kill")
        await eyes.until_so(lambda: eyes.checks["again.service"].state == "degraded")
        async with asyncio.timeout(PATIENCE):
            while eyes.checks["again.service"].state != "up":
                await asyncio.sleep(0.1)
                await eyes.look()
        assert eyes.checks["web.service"].reason == "oom-kill"


@pytest.mark.skipif(
    "memory" not in (Path("/sys/fs/cgroup/cgroup.subtree_control").read_text().split()
                     if Path("/sys/fs/cgroup/cgroup.subtree_control").exists() else ()),
    reason="the kernel tells systemd of its kills through a memory controller in the unified tree",
)  # fmt: skip
async def test_a_unit_that_the_kernel_kills_for_lack_of_memory(boot: Callable[..., SystemdSandbox]) -> None:
    grows = f"{sys.executable} -c 'x = bytearray(1 << 30)'"
    sandbox = boot({"hungry.service": f"[Service]\nMemoryMax=16M\nMemorySwapMax=0\nExecStart={grows}\n"}, unified=True)
    async with watching(sandbox, services=["hungry"]) as eyes:
        await do(sandbox, "systemctl", "start", "--no-block", "hungry")
        await eyes.until(hungry="oom-kill")


async def test_without_names_enabled_and_failed_units_are_watched(boot: Callable[..., SystemdSandbox]) -> None:
    enabled = SLEEPS + "[Install]\nWantedBy=basic.target\n"
    sandbox = boot({"web.service": enabled, "off.service": enabled, "bad.service": "[Service]\nExecStart=/bin/false\n"})
    await do(sandbox, "systemctl", "enable", "--now", "web", "off")
    async with watching(sandbox, ignore=["ignored*"]) as eyes:
        assert eyes.checks["web.service"].state == "up"
        assert "bad.service" not in eyes.checks
        assert len(eyes.checks) < 60
        await do(sandbox, "systemctl", "start", "--no-block", "bad")
        await eyes.until(bad="exit-code")
        await do(sandbox, "systemctl", "stop", "off")
        await do(sandbox, "systemctl", "reset-failed", "bad")
        eyes.woken.set()
        await eyes.until_so(lambda: eyes.checks.get("bad.service", Check("", "up")).state == "up")
        assert eyes.checks.get("off.service", Check("", "up")).state == "up", "nobody asked for it to be active"


async def test_instances_come_and_go(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot({"app@.service": SLEEPS})
    async with watching(sandbox, services=["app@*"]) as eyes:
        assert eyes.checks["app@*.service"].state == "unknown"
        await do(sandbox, "systemctl", "start", "app@1", "app@2")
        await eyes.until(**{"app@1": "", "app@2": ""})
        await do(sandbox, "systemctl", "stop", "app@1")
        await eyes.until_so(lambda: "app@1.service" not in eyes.checks)
        assert eyes.checks["app@2.service"].state == "up"


async def test_files_that_change_and_units_that_appear(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot({"web.service": SLEEPS})
    await do(sandbox, "systemctl", "start", "web")
    async with watching(sandbox, services=["web", "late"]) as eyes:
        assert eyes.checks["late.service"].reason == "not-found"
        sandbox.put("web.service", SLEEPS + "Nice=1\n")
        sandbox.put("late.service", SLEEPS)
        await eyes.look()
        assert eyes.checks["web.service"] == Check("web.service", "up", "its file changed: systemctl daemon-reload")
        await do(sandbox, "systemctl", "daemon-reload")
        await eyes.until(late="inactive")
        await eyes.until_so(lambda: eyes.checks["web.service"].message == "")
        await do(sandbox, "bash", "-c", "rm /etc/systemd/system/web.service && systemctl mask --now web")
        await eyes.until(web="masked")


async def test_nothing_is_read_while_nothing_happens(boot: Callable[..., SystemdSandbox]) -> None:
    """A unit that is not loaded is loaded and dropped by reading it: that must not be news."""
    sandbox = boot({"web.service": SLEEPS})
    async with watching(sandbox, services=["web", "gone", "app@*"]) as eyes:
        eyes.woken.clear()
        for _ in range(3):
            await eyes.look()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await eyes.woken.wait()


async def test_a_bus_that_is_started_anew_is_found_again(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot({"web.service": SLEEPS})
    await do(sandbox, "systemctl", "start", "web")
    async with watching(sandbox, services=["web"]) as eyes:
        eyes.woken.clear()
        await do(sandbox, "systemctl", "kill", "-s", "KILL", "dbus.service")
        async with asyncio.timeout(PATIENCE):
            await eyes.woken.wait()  # it listens again
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(Unreadable):
                    await eyes.look()
                    break
                await asyncio.sleep(0.05)
        kill(sandbox, "web.service")
        assert await eyes.until(web="signal") < SECOND


async def test_a_systemd_that_is_executed_anew_is_listened_to_again(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot({"web.service": SLEEPS})
    await do(sandbox, "systemctl", "start", "web")
    async with watching(sandbox, services=["web"]) as eyes:
        eyes.woken.clear()
        await do(sandbox, "systemctl", "daemon-reexec")
        async with asyncio.timeout(PATIENCE):
            await eyes.woken.wait()
        await asyncio.to_thread(sandbox.exec, "systemctl", "is-active", "web")
        kill(sandbox, "web.service")
        await eyes.until(web="signal")


async def test_a_bus_that_hangs_is_left(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot({})
    bus = SystemBus(sandbox.address)
    assert await bus.call(*STATE, timeout_seconds=5)
    daemon = int((sandbox.group_of("dbus.service") / "cgroup.procs").read_text().split()[0])
    os.kill(daemon, signal.SIGSTOP)
    try:
        for _ in range(4):
            started = time.monotonic()
            with pytest.raises(BusUnavailable) as refused:
                await bus.call(*STATE, timeout_seconds=0.1)
            assert refused.value.name in {NO_REPLY, DISCONNECTED}
            assert time.monotonic() - started < SECOND
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert await bus.call(*STATE, timeout_seconds=5)
    await bus.close()


async def test_no_match_rule_is_left_behind(boot: Callable[..., SystemdSandbox]) -> None:
    sandbox = boot({})
    bus = SystemBus(sandbox.address)
    rule = "type='signal',interface='org.freedesktop.DBus',member='NameOwnerChanged'"
    heard: list[Heard] = []
    own = SystemBus(sandbox.address)

    async def appear(name: str) -> None:
        await own.call(*DAEMON, "RequestName", "su", (name, 0), timeout_seconds=5)
        await own.call(*DAEMON, "ReleaseName", "s", (name,), timeout_seconds=5)
        await bus.call(*STATE, timeout_seconds=5)

    for _ in range(3):
        async with bus.listen(rule, heard.append):
            pass
    async with bus.listen(rule, heard.append):
        await asyncio.to_thread(sandbox.exec, "busctl", "status")  # a connection that comes and goes
        await bus.call(*STATE, timeout_seconds=5)
    assert {one.member for one in heard} == {"NameOwnerChanged"}
    count = len(heard)
    rules = await bus.call(DAEMON[0], DAEMON[1], "org.freedesktop.DBus.Debug.Stats", "GetStats", timeout_seconds=5)
    await asyncio.to_thread(sandbox.exec, "busctl", "status")
    await bus.call(*STATE, timeout_seconds=5)
    assert len(heard) == count
    assert rules[0]["MatchRules"] <= rules[0]["PeakMatchRules"]
    await own.close()
    await bus.close()


def test_every_user_may_read(boot: Callable[..., SystemdSandbox]) -> None:
    """In a child of this process, since another user may not be able to enter the folders that Python lies in."""
    sandbox = boot({"web.service": SLEEPS})

    async def ask() -> str:
        bus = SystemBus()
        state: str = (await bus.call(*STATE, timeout_seconds=5))[0]
        eyes = Eyes("/", bus, {"services": ["web"]})
        await eyes.look()
        await bus.close()
        return f"{state} {eyes.checks['web.service'].reason} {os.geteuid()}"

    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork where there are threads
        child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = sandbox.address
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            said = asyncio.run(ask())
        except BaseException as err:  # noqa: BLE001 - the child has nobody to raise it to
            said = repr(err)
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as told:
        assert told.read() == "running inactive 65534"


async def test_no_bus_is_told_at_once() -> None:
    bus = SystemBus("unix:path=/nowhere/at/all")
    with pytest.raises(BusUnavailable) as refused:
        await bus.call(*STATE, timeout_seconds=5)
    assert refused.value.name == NO_SERVER
    with pytest.raises(BusUnavailable):
        async with bus.listen("type='signal'", print):
            pass
