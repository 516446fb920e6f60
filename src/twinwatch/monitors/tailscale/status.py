"""What tailscaled says of itself, read as one reads what may change: a field that is not what it was is not there.

Source: ipnstate.Status and PeerStatus of tailscale.com/ipn/ipnstate, tailcfg.ClientVersion; ``tailscale status --json``
says that its format is subject to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from twinwatch.monitors.patience import printable

NEVER = "0001-01-01"
"""Go's zero time: not set."""
NAME_CHARACTERS = 200

Fields = dict[str, Any]


def fields_in(of: Fields, name: str) -> Fields:
    """An object within an object; an empty one where there is none."""
    value = of.get(name)
    return value if isinstance(value, dict) else {}


def text(of: Fields, name: str) -> str:
    """A text, as it can be shown; empty where there is none."""
    value = of.get(name)
    return printable(value) if isinstance(value, str) else ""


def texts(of: Fields, name: str) -> list[str]:
    """A list of texts."""
    value = of.get(name)
    return [printable(one) for one in value if isinstance(one, str)] if isinstance(value, list) else []


def instant(of: Fields, name: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time; None if there is none."""
    value = of.get(name)
    if not isinstance(value, str) or value.startswith(NEVER):
        return None
    try:
        seconds = msgspec.convert(value, datetime).timestamp()
    except (msgspec.MsgspecError, OverflowError, ValueError, OSError):
        return None
    return seconds if 0 < seconds < 1 << 40 else None


def count(of: Fields, name: str) -> int | None:
    """A whole number that is not negative."""
    value = of.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else None


def peers_of(status: Fields) -> Iterator[Fields]:
    """Every peer of the tailnet."""
    for peer in fields_in(status, "Peer").values():
        if isinstance(peer, dict):
            yield peer


def name_of(peer: Fields) -> str:
    """The first part of its name in the tailnet, which is unique there; else its own host name."""
    name = text(peer, "DNSName").partition(".")[0] or text(peer, "HostName")
    return name if 0 < len(name) <= NAME_CHARACTERS else ""


def is_meant(peer: Fields, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns, of names or tags, is this peer's."""
    full = text(peer, "DNSName").rstrip(".")
    names = {name_of(peer), full}
    tags = texts(peer, "Tags")
    return any(
        pattern in tags if pattern.startswith("tag:") else any(fnmatchcase(name, pattern) for name in names)
        for pattern in patterns
    )
