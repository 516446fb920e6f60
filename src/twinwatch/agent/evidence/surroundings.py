"""How the host stands at this moment, as lines for people. What cannot be read is left out.

Programs are named by the name that the kernel has of them and by their unit, never by their arguments: those may hold
passwords.
Source: proc(5), Documentation/accounting/psi.rst.
"""

from __future__ import annotations

import asyncio

from twinwatch.agent.tables import size, span
from twinwatch.monitors.processes import Process, table, units_of
from twinwatch.monitors.system.mounts import MOUNTINFO, watched
from twinwatch.world.clock import Clock
from twinwatch.world.host import Host, Missing, Refused

MEASURED_SECONDS = 0.25
PROCESSES = 6
FILESYSTEMS = 8
SURVEY_SECONDS = 0.4
BUSY_SHARE = 0.005
"""Of a core: who uses less is not listed."""
_ENDLESS = 1 << 62

Lines = dict[str, list[str]]
"""By title."""


async def load_and_memory(host: Host) -> Lines:
    """Load, memory, swap, and for how long the host has run."""
    lines = []
    load = _read(host, "/proc/loadavg").split()
    if len(load) > 3:
        tasks = load[3].partition("/")
        lines.append(
            f"load {load[0]}, {load[1]}, {load[2]} (1, 5, 15 min); {tasks[0]} of {tasks[2]} tasks ready to run"
        )
    memory = {name: int(value.split()[0]) << 10 for name, value in _fields(_read(host, "/proc/meminfo"))}
    total, available = memory.get("MemTotal", 0), memory.get("MemAvailable", 0)
    if total:
        lines.append(
            f"memory: {size(total - available)} of {size(total)} used, {size(available)} available, "
            f"{size(memory.get('Dirty', 0))} waiting to be written"
        )
    if swap := memory.get("SwapTotal", 0):
        lines.append(f"swap: {size(swap - memory.get('SwapFree', 0))} of {size(swap)} used")
    uptime = _read(host, "/proc/uptime").split()
    if uptime:
        lines.append(f"running for {span(float(uptime[0]))}")
    return {"Load and memory": lines}


async def pressure(host: Host) -> Lines:
    """For want of what tasks waited."""
    lines = []
    for resource in ("cpu", "memory", "io"):
        for line in _read(host, f"/proc/pressure/{resource}").splitlines():
            kind, *words = line.split()
            shares = dict(word.partition("=")[::2] for word in words)
            if kind == "full" and resource == "cpu":
                continue  # it has no meaning for the whole system
            if {"avg10", "avg60", "avg300"} <= shares.keys():
                who = "some" if kind == "some" else "all"
                lines.append(
                    f"{resource}: {who} waited {shares['avg10']} % of the last 10 s, {shares['avg60']} % of 60 s, "
                    f"{shares['avg300']} % of 5 min"
                )
    return {"Pressure": lines}


async def filesystems(host: Host) -> Lines:
    """The fullest file systems."""
    points = [mount.point for mount in watched(_read(host, MOUNTINFO))]
    spaces = await host.statvfs(points, timeout_seconds=SURVEY_SECONDS)
    found = []
    for point, space in spaces.items():
        used = space.blocks - min(space.blocks_free, space.blocks)
        available = min(space.blocks_available, space.blocks - used)
        if not used + available or space.blocks * space.block_bytes >= _ENDLESS:
            continue
        share = used / (used + available)
        line = f"{point}: {share:.1%} used, {size(available * space.block_bytes)} left"
        if 0 < space.files < _ENDLESS:
            line += f"; inodes {(space.files - min(space.files_free, space.files)) / space.files:.1%} used"
        found.append((share, line))
    lines = [line for _, line in sorted(found, reverse=True)[:FILESYSTEMS]]
    lines += [f"{point}: does not answer" for point in sorted(host.stuck_mounts)[:FILESYSTEMS]]
    return {"File systems": lines}


async def processes(host: Host, clock: Clock) -> Lines:
    """Who uses most of the processors in this moment, and of the memory."""
    kernel = host.kernel()
    began = clock.monotonic()
    before = {one.key: one.ticks for one in (await table(host)).processes}
    await asyncio.sleep(MEASURED_SECONDS)
    now = (await table(host)).processes
    passed = max(clock.monotonic() - began, 0.001) * kernel.ticks_per_second
    shares = {one: (one.ticks - before.get(one.key, one.ticks)) / passed for one in now}
    busy = sorted((one for one in now if shares[one] > BUSY_SHARE), key=lambda one: shares[one], reverse=True)
    large = sorted(now, key=lambda one: one.pages, reverse=True)
    return {
        "Processes by CPU": [f"{shares[one]:.0%} of a core: {_named(host, one)}" for one in busy[:PROCESSES]],
        "Processes by memory": [
            f"{size(one.pages * kernel.page_bytes)}: {_named(host, one)}" for one in large[:PROCESSES] if one.pages
        ],
    }


def _named(host: Host, process: Process) -> str:
    units = [unit for unit in units_of(_read(host, f"/proc/{process.pid}/cgroup")) if not unit.endswith(".slice")]
    unit = f", {min(units)}" if units else ""
    waits = ", waits for a disk" if process.state == "D" else ""
    return f"{process.comm} (pid {process.pid}{unit}), {process.threads} threads{waits}"


def _fields(text: str) -> list[tuple[str, str]]:
    pairs = (line.partition(":") for line in text.splitlines())
    return [(name, value) for name, _, value in pairs if value.split() and value.split()[0].isdigit()]


def _read(host: Host, path: str) -> str:
    try:
        return host.read_text(path)
    except (Missing, Refused):
        return ""
