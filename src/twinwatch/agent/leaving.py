"""Why the agent was told to end: alone, or because the whole host goes down.

Source: systemd.special(7) (``reboot.target`` …), org.freedesktop.systemd1(5) (``ListJobs``): a shutdown is the start
job of its target, which waits for every service to stop.
"""

from __future__ import annotations

import asyncio
from typing import Any

from twinwatch.protocol.life import Leaving
from twinwatch.world.bus import Bus, BusUnavailable
from twinwatch.world.host import Host

ASK_SECONDS = 1.0
BOOTED_BY_SYSTEMD = "/run/systemd/system"
"""sd_booted(3)."""
REBOOTS = ("reboot.target", "kexec.target", "soft-reboot.target", "systemd-reboot.service", "systemd-kexec.service")
SHUTDOWNS = ("poweroff.target", "halt.target", "shutdown.target", "exit.target")


async def leaving_of(host: Host, bus: Bus) -> Leaving:
    """What goes down, as the service manager has it. Where nobody can tell within ``ASK_SECONDS``, the agent alone."""
    if not host.exists(BOOTED_BY_SYSTEMD):
        return "stop"
    try:
        async with asyncio.timeout(ASK_SECONDS):
            (jobs,) = await bus.call(
                "org.freedesktop.systemd1",
                "/org/freedesktop/systemd1",
                "org.freedesktop.systemd1.Manager",
                "ListJobs",
                timeout_seconds=ASK_SECONDS,
            )
    except (BusUnavailable, TimeoutError, ValueError):
        return "stop"
    return judged(jobs)


def judged(jobs: Any) -> Leaving:
    """What the manager's jobs ``(id, unit, type, state, job path, unit path)`` amount to."""
    starting = {
        job[1] for job in jobs if isinstance(job, list | tuple) and len(job) > 2 and job[2] in ("start", "restart")
    }
    if starting.intersection(REBOOTS):
        return "reboot"
    return "shutdown" if starting.intersection(SHUTDOWNS) else "stop"
