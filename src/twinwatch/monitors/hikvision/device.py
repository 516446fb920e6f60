"""The device itself: who it is, how busy, what time it thinks it is, its network and its viewers.

Firmwares answer differently: what is absent, or in no unit that can be told, is left out.
Source: ISAPI ``System/deviceInfo``, ``System/status``, ``System/time``, ``System/Network/interfaces``,
``Streaming/status``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from twinwatch.monitors import Check, Finding, Reading
from twinwatch.monitors.digits import ratio
from twinwatch.monitors.hikvision.asking import Asking
from twinwatch.monitors.hikvision.markup import Element
from twinwatch.monitors.hikvision.memory import Memory

LONGEST_UPTIME = 20 * 365 * 86_400
LONGEST_DRIFT = 100 * 365 * 86_400
INTERFACES = 16
PLAUSIBLE_MEGABYTES = 1_000
_ZONE = re.compile(r"[A-Za-z<>+-]*?([+-]?\d{1,2})(?::?(\d{2}))?(?::?\d{2})?(DST.*)?", re.IGNORECASE)
_DST = re.compile(r"DST([+-]?\d{1,2})(?::(\d{2}))?", re.IGNORECASE)


async def identity(ask: Asking, memory: Memory) -> tuple[list[Finding], str]:
    """The check ``identity``, and the device's type (``NVR``, ``IPCamera``, …)."""
    root = await ask.xml("/ISAPI/System/deviceInfo")
    serial, model, firmware = (root.said(name)[:100] for name in ("serialNumber", "model", "firmwareVersion"))
    return [memory.met(serial, model, firmware, ask.now)], root.said("deviceType")


async def load(ask: Asking) -> list[Finding]:
    """Processor, memory, uptime."""
    root = await ask.xml("/ISAPI/System/status")
    found: list[Finding] = []
    busy = [share for one in root.all("CPU") if (share := one.number("cpuUtilization")) is not None]
    busy = [share for share in busy if 0 <= share <= 100]
    if busy:
        found.append(Reading("hikvision.cpu.utilization", ratio(sum(busy) / len(busy) / 100)))
    used = next((share for one in root.all("Memory") if (share := _memory_share(one)) is not None), None)
    if used is not None:
        found.append(Reading("hikvision.memory.utilization", ratio(used)))
    uptime = root.number("deviceUpTime")
    if uptime is not None and 0 <= uptime < LONGEST_UPTIME:
        found.append(Reading("hikvision.uptime", round(uptime)))
    return found


async def clock(ask: Asking, most_seconds: float) -> list[Finding]:
    """How far the device's clock is off, and the check ``clock``."""
    asked_at = ask.clock()
    root = await ask.xml("/ISAPI/System/time")
    midpoint = (asked_at + ask.answered_at) / 2
    drift = drift_of(root.said("localTime"), root.said("timeZone"), midpoint)
    if drift is None:
        return [Check("clock", "unknown", "the device does not say its time in a way that is understood", "not-told")]
    reading = Reading("hikvision.clock.drift", round(drift, 1))
    if abs(drift) <= most_seconds:
        return [reading, Check("clock", "up")]
    manual = root.said("timeMode").lower() == "manual"
    remedy = "its time is set by hand; let it use NTP" if manual else "see its NTP server and time zone"
    way = "ahead" if drift > 0 else "behind"
    return [reading, Check("clock", "degraded", f"The clock is {_spelled(abs(drift))} {way}: {remedy}", "clock-off")]


async def network(ask: Asking) -> list[Finding]:
    """The speed of each link."""
    root = await ask.xml("/ISAPI/System/Network/interfaces")
    found: dict[str, Finding] = {}
    for one in list(root.all("NetworkInterface"))[:INTERFACES]:
        name = one.said("id")[:20]
        speed = next((value for link in one.all("Link") if (value := link.number("speed")) is not None), None)
        if name and speed is not None and 0 <= speed < 1_000_000:  # Mbit/s
            found[name] = Reading(
                "hikvision.network.link.speed", round(speed) * 1_000_000, {"hikvision.network.interface": name}
            )
    return list(found.values())


async def streams(ask: Asking) -> list[Finding]:
    """How many watch."""
    root = await ask.xml("/ISAPI/Streaming/status")
    sessions = root.number("totalStreamingSessions")
    if sessions is None or not 0 <= sessions < 100_000:
        return []
    return [Reading("hikvision.stream.sessions", round(sessions))]


def drift_of(local: str, zone: str, midpoint: float) -> float | None:
    """Seconds that a device's ``localTime`` is ahead of ``midpoint`` (ms UTC); None if nobody can tell.

    Where the time bears no offset, ``timeZone`` (``CST-8:00:00``, as POSIX has it: west is positive) says it; whether
    summer time is in force is not said, so the nearer of both is taken.
    """
    try:
        told = datetime.fromisoformat(local.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    offsets = _offsets(zone) if told.tzinfo is None else [told.utcoffset() or timedelta()]
    naive = told.replace(tzinfo=UTC)
    drifts = [(naive - offset).timestamp() - midpoint / 1000 for offset in offsets]
    drift = min(drifts, key=abs, default=None)
    return drift if drift is not None and abs(drift) < LONGEST_DRIFT else None


def _offsets(zone: str) -> list[timedelta]:
    match = _ZONE.fullmatch(zone.strip())
    if match is None:
        return []
    hours, minutes = int(match[1]), int(match[2] or 0)
    standard = -timedelta(hours=hours, minutes=-minutes if match[1].startswith("-") else minutes)
    if abs(standard) > timedelta(hours=15):
        return []
    if not match[3]:
        return [standard]
    shift = _DST.match(match[3])
    summer = timedelta(hours=int(shift[1]), minutes=int(shift[2] or 0)) if shift else timedelta(hours=1)
    return [standard, standard + (abs(summer) if abs(summer) <= timedelta(hours=2) else timedelta(hours=1))]


def _memory_share(memory: Element) -> float | None:
    """The share in use. Both figures are in %, MB or kB, depending on the firmware: only of one unit for both."""
    used, free = memory.number("memoryUsage"), memory.number("memoryAvailable")
    if used is None or free is None or used < 0 or free < 0 or used + free <= 0:
        return None
    if used <= 100 and free >= PLAUSIBLE_MEGABYTES:
        return None  # a percentage beside megabytes
    return used / (used + free)


def _spelled(seconds: float) -> str:
    if seconds >= 2 * 86_400:
        return f"{seconds / 86_400:.0f} days"
    if seconds >= 7_200:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"
