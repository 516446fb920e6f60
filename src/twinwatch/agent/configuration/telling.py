"""What the file says of telling people: its own channels, which severity goes to which, and silences."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from twinwatch.agent.alerting.addressing import FileAlerts, FileChannel, zone_named
from twinwatch.agent.configuration.judging import judged
from twinwatch.agent.configuration.problems import Misconfigured, Path, Problems, Where, instead, shown
from twinwatch.agent.configuration.sections import Section
from twinwatch.agent.configuration.shapes import Shape
from twinwatch.alerts.hours import problems_of
from twinwatch.notify import Channel
from twinwatch.notify.discover import discover, kind_named
from twinwatch.notify.settings import schema_of as channel_schema
from twinwatch.notify.settings import settings_of
from twinwatch.protocol.policies import Recurring, Selector, Silence
from twinwatch.protocol.rules import Severity
from twinwatch.world.plugins import Flaw

__all__ = ["MAIL", "channel_kind", "channel_schema", "judge_channel", "read_telling"]

MAIL = ("sender", "smtp_host", "smtp_port", "smtp_security", "smtp_username", "smtp_password")
"""What ``alerts.mail`` may say, for channels that name no server of their own."""
CHANNELS = 50
SILENCES = 100
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SEVERITIES: tuple[Severity, ...] = ("critical", "warning")
_NAME = re.compile(r"\w[\w .-]{0,62}\w\Z|\w\Z")


def channel_kind(name: str) -> type[Channel] | str:
    """The kind of channel of this name, or what to say of a name that none has."""
    kind = kind_named(name)
    if not isinstance(kind, Flaw):
        return kind
    offer = instead(name, discover().channels)
    return f"unknown type {name[:40]!r}: {offer}"


def judge_channel(
    kind: type[Channel],
    settings: Mapping[str, Any],
    shape: Shape,
    *,
    where: Where,
    problems: Problems,
    templates: Mapping[Path, str],
) -> None:
    """Tells ``problems`` what is wrong with the settings of a channel."""

    def read(kind: Any, given: Mapping[str, Any]) -> Any:
        found = settings_of(kind, given)
        kind(found)
        return found

    found = judged(
        kind, settings, shape, where=where, problems=problems, templates=templates, beside=("type", "name"), read=read
    )
    if found is not None and kind.name == "email":
        for name in ("smtp_host", "sender"):
            if not getattr(found, name, "-"):
                problems.add(where(()), f"{name} is missing: give it here or in alerts.mail")


def read_telling(section: Section, channel: Callable[[Path, Any], FileChannel | None]) -> FileAlerts:
    """The section ``alerts``, but for its rules. ``channel`` reads one of the list."""
    channels: list[FileChannel] = []
    given = section.items("channels")
    if len(given) > CHANNELS:
        section.wrong("channels", f"{len(given)} channels; expected at most {CHANNELS}")
        given = []
    for number, value in enumerate(given):
        one = channel((*section.path, "channels", number), value)
        if one is None:
            continue
        place = section.document.place((*section.path, "channels", number))
        if not _NAME.match(one.name):
            section.problems.add(place, "name: expected 1 to 64 letters, digits, blanks, '.', '-' and '_'")
        elif any(other.name == one.name for other in channels):
            section.problems.add(place, f"a second channel named {one.name}; give it a name of its own")
        else:
            channels.append(one)
    silences = [
        found
        for number, value in enumerate(section.items("silences")[:SILENCES])
        if (found := _silence(section, number, value)) is not None
    ]
    tell = _tell(section, [one.name for one in channels]) if section.any("tell") is not None else None
    section.done()
    return FileAlerts(tuple(channels), tuple(silences), tell)


def _tell(section: Section, names: list[str]) -> dict[Severity, tuple[str, ...]]:
    inner = section.section("tell")
    found: dict[Severity, tuple[str, ...]] = {}
    for severity in SEVERITIES:
        wanted = inner.items(severity)
        for number, name in enumerate(wanted):
            if name not in names:
                place = inner.document.place((*inner.path, severity, number))
                section.problems.add(
                    place, f"{shown(name)}: no channel of the file has this name: {instead(str(name), names)}"
                )
        found[severity] = tuple(str(name) for name in wanted if name in names)
    inner.done()
    return found


def _silence(section: Section, number: int, value: Any) -> Silence | None:
    inner = Section(section.document, (*section.path, "silences", number), value, section.problems)
    before = len(section.problems.found)
    rule = inner.text("rule") or ""
    since, until = inner.judged(_instant, "since"), inner.judged(_instant, "until")
    start, end, zone = inner.text("from"), inner.text("to"), inner.text("zone")
    days = _days(inner)
    inner.done()
    again = None
    if start or end or days:
        again = Recurring(zone or "UTC", start or "00:00", end or "00:00", days or (0, 1, 2, 3, 4, 5, 6))
        for problem in problems_of(again, zone_named):
            name, _, rest = problem.partition(": ")
            inner.wrong({"start": "from", "end": "to"}.get(name, name), rest)
    elif not until:
        section.problems.add(
            section.document.place(inner.path), "expected until, or the hours from and to: a silence has an end"
        )
    if len(section.problems.found) > before:
        return None
    return Silence(f"file-{number}", Selector(rule=rule), since or 0, until or 0, again)


def _days(inner: Section) -> tuple[int, ...]:
    found = []
    for name in inner.items("days"):
        matching = [
            number for number, day in enumerate(DAYS) if len(str(name)) > 1 and day.startswith(str(name).lower())
        ]
        if len(matching) != 1:
            inner.wrong("days", f"{shown(name)}: {instead(str(name), DAYS)}")
        else:
            found.append(matching[0])
    return tuple(dict.fromkeys(found))


def _instant(text: str) -> int:
    """ms UTC of ``2026-03-01T22:00:00+01:00``. Raises: Misconfigured."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Misconfigured(f"{shown(text)}: expected a time with its zone, such as 2026-03-01T22:00:00+01:00")
    return round(found.timestamp() * 1000)
