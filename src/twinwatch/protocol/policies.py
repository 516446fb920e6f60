"""Who is told, when, and when not: policies with their steps, silences, and times that come again.

Channels, servers and tags are named by their ids. An empty selector admits everything.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from twinwatch.protocol.rules import Severity
from twinwatch.protocol.samples import Milliseconds

Weekday = Annotated[int, msgspec.Meta(ge=0, le=6)]
"""0 is Monday."""


class Recurring(msgspec.Struct, frozen=True, omit_defaults=True):
    """The same hours on some days, by the clock on the wall of a time zone, summer time included."""

    zone: str
    """A name of the tz database, such as ``Europe/Zurich``."""
    start: str
    """``22:00``"""
    end: str
    """``06:00``: of the next day, if that is not after the start."""
    days: tuple[Weekday, ...] = (0, 1, 2, 3, 4, 5, 6)
    """The days on which it starts."""


class Selector(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which alerts are meant: of these servers or of servers with one of these tags, by rules of this name."""

    servers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    rule: str = ""
    """A rule's name or a pattern with ``*``; empty: of every rule."""


class Silence(msgspec.Struct, frozen=True, omit_defaults=True):
    """A time in which alerts are recorded and nobody is told. One that is still open at its end is told then."""

    id: str
    what: Selector = Selector()
    since: Milliseconds = 0
    until: Milliseconds = 0
    """0: until somebody ends it."""
    again: Recurring | None = None
    """Within ``since`` and ``until`` only at these hours; None: all the time."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """The next in line, if nobody has acknowledged ``after_seconds`` after the alert."""

    after_seconds: int = 0
    channels: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of several the first that admits an alert has it."""

    id: str
    name: str = ""
    severities: tuple[Severity, ...] = ()
    what: Selector = Selector()
    steps: tuple[Step, ...] = ()
    repeat_seconds: int = 0
    """Tell those who have been told again after so long, until somebody acknowledges; 0: never."""
    quiet: Recurring | None = None
    """Hours in which messages wait for the end of them …"""
    quiet_holds_down: bool = False
    """… those of severity ``down`` only if this says so."""
