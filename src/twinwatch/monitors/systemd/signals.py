"""What a signal of systemd means for what is known. Pure.

systemd repeats all properties of a unit whenever one changes, and loads and drops units all the time (reading one that
is not loaded loads it), so most signals say nothing new.
Source: systemd's D-Bus API, "Signals".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from twinwatch.monitors.systemd.facts import Unit
from twinwatch.monitors.systemd.names import UNITS, name_of
from twinwatch.monitors.systemd.source import MANAGER, MANAGER_PATH, PROPERTIES, SYSTEMD
from twinwatch.world.bus import DAEMON, Heard

RULES = (
    f"type='signal',sender='{SYSTEMD}',interface='{PROPERTIES}',member='PropertiesChanged',path_namespace='{UNITS}'",
    f"type='signal',sender='{SYSTEMD}',interface='{MANAGER}',path='{MANAGER_PATH}'",
    f"type='signal',sender='{DAEMON[0]}',interface='{DAEMON[2]}',member='NameOwnerChanged',path='{DAEMON[1]}',"
    f"arg0='{SYSTEMD}'",
)

Meaning = Literal["nothing", "unit", "came", "went", "reloaded", "replaced"]


class News(NamedTuple):
    """``unit``: something of ``name`` changed; ``came``, ``went``: it is loaded, or no longer; ``reloaded``: anything
    may have changed; ``replaced``: systemd has a new connection and no longer knows who listens."""

    meaning: Meaning
    name: str = ""
    failed: bool = False
    oom_kill: bool = False


NOTHING = News("nothing")


def news(signal: Heard, known: Mapping[str, Unit]) -> News:
    """What ``signal`` says beyond what is ``known``."""
    body = signal.body
    if signal.member == "PropertiesChanged":
        changed = body[1] if len(body) > 1 and isinstance(body[1], dict) else {}
        name = name_of(signal.path)
        unit = known.get(name)
        if not name or (unit is not None and not _differs(unit, changed)):
            return NOTHING
        return News("unit", name, changed.get("ActiveState") == "failed", changed.get("Result") == "oom-kill")
    if signal.interface == MANAGER:
        if signal.member in {"UnitNew", "UnitRemoved"} and body and isinstance(body[0], str):
            return News("came" if signal.member == "UnitNew" else "went", body[0])
        if signal.member == "Reloading":
            return News("reloaded") if body[:1] == [False] else NOTHING
        if signal.member == "UnitFilesChanged":
            return News("reloaded")
        if signal.member == "JobRemoved" and len(body) > 3 and isinstance(body[2], str):
            # A job that did not do what it was for: a dependency failed, it took too long.
            return News("unit", body[2]) if body[3] not in ("done", "skipped", "canceled") else NOTHING
        return NOTHING
    if signal.member == "NameOwnerChanged" and len(body) > 2 and body[2]:
        return News("replaced")
    return NOTHING


def _differs(unit: Unit, changed: Mapping[str, Any]) -> bool:
    service = unit.service
    for name, value in (
        ("ActiveState", unit.active),
        ("SubState", unit.sub),
        ("LoadState", unit.load),
        ("Result", service.result if service is not None else unit.result),
        ("NRestarts", service.restarts if service is not None else None),
    ):
        if name in changed and changed[name] != value:
            return True
    # A timer tells when it will elapse next; that is read when it is polled.
    return False
