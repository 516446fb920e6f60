"""Hours that come again, by the wall clock of a time zone, on days that have 23, 24 or 25 hours.

A time that the clocks skip is the instant that it would have been; of one that comes twice, the start is the first and
the end the second: rather silent an hour too long than a message within what somebody has set aside.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from twinwatch.protocol.policies import Recurring

Zones = Callable[[str], tzinfo]
"""The time zone of a name, such as ``zoneinfo.ZoneInfo``: its files are not for this room to read."""

CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def end_of(hours: Recurring, now: int, zones: Zones) -> int | None:
    """When the hours that are now end, ms UTC; None if it is none of them now."""
    zone = zones(hours.zone)
    today = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone).date()
    ends = [
        end
        for day in (today - timedelta(days=1), today)
        if day.weekday() in hours.days
        for start, end in [_occurrence(hours, day, zone)]
        if start <= now < end
    ]
    return max(ends, default=None)


def problems_of(hours: Recurring, zones: Zones) -> list[str]:
    """What is wrong with them, for people."""
    found = []
    try:
        zones(hours.zone)
    except (KeyError, ValueError, OSError):
        found.append(f"zone: {hours.zone[:60]!r}: expected a time zone such as Europe/Zurich or UTC")
    found += [
        f"{name}: {text[:20]!r}: expected a time such as 22:00"
        for name, text in (("start", hours.start), ("end", hours.end))
        if not CLOCK.fullmatch(text)
    ]
    if not hours.days or len(set(hours.days)) != len(hours.days):
        found.append("days: expected at least one day, each once, 0 for Monday to 6 for Sunday")
    return found


def _occurrence(hours: Recurring, day: date, zone: tzinfo) -> tuple[int, int]:
    start, end = _clock(hours.start), _clock(hours.end)
    last = day if end > start else day + timedelta(days=1)
    return _instant(day, start, zone), max(_instant(last, end.replace(fold=fold), zone) for fold in (0, 1))


def _clock(text: str) -> time:
    hour, _, minute = text.partition(":")
    return time(int(hour), int(minute))


def _instant(day: date, at: time, zone: tzinfo) -> int:
    return round(datetime.combine(day, at, zone).timestamp() * 1000)
