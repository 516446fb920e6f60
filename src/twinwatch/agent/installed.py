"""Which monitors are installed, without importing them all: another process looks, the agent imports what it runs.

Looking means importing every monitor, built in or of a plug-in, which is megabytes that an agent would carry for good.
Invariant: whatever happens to that process, the outcome is the one that looking here has, only that costs more.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import msgspec

from twinwatch.agent.catalogue import kinds_of
from twinwatch.monitors import Monitor
from twinwatch.monitors.discover import Found, discover
from twinwatch.protocol.metrics import MonitorKind
from twinwatch.world.plugins import Flaw

LOOK_SECONDS = 20.0

_log = logging.getLogger(__name__)


class Listing(msgspec.Struct, frozen=True):
    """What the process says: where the class of each monitor is, what was wrong with others, and all kinds."""

    places: dict[str, tuple[str, str]]
    """By name of the monitor: module and qualified name."""
    flaws: list[tuple[str, str]]
    kinds: tuple[MonitorKind, ...]
    aliases: dict[str, str] = {}


class Installed(NamedTuple):
    """The monitors, imported when they are first asked for, and what they say of themselves."""

    found: Found
    kinds: tuple[MonitorKind, ...]


class LazyMonitors(Mapping[str, type[Monitor]]):
    """Monitors by name. Names cost nothing; asking for one imports it."""

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> type[Monitor]:
        module, path = self._places[name]
        found: Any = import_module(module)
        for step in path.split("."):
            found = getattr(found, step)
        kind: type[Monitor] = found
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def installed() -> Installed:
    """All monitors of this installation.

    Cost: half a second of another process; where that fails, as much here, and the memory.
    """
    command = [sys.executable, "-P", "-m", "twinwatch.agent.installed"]
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LOOK_SECONDS, check=True
        )
        listing = msgspec.json.decode(done.stdout, type=Listing)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as err:
        _log.warning("the installed monitors are looked for here, which costs memory: %s", type(err).__name__)
        listing = look()
    flaws = tuple(Flaw(source, reason) for source, reason in listing.flaws)
    return Installed(Found(LazyMonitors(listing.places), flaws, listing.aliases), listing.kinds)


def look() -> Listing:
    """Imports every monitor and says what there is."""
    found = discover()
    places = {name: (kind.__module__, kind.__qualname__) for name, kind in found.monitors.items()}
    flaws = [(flaw.source, flaw.reason) for flaw in found.flaws]
    return Listing(places, flaws, kinds_of(found.monitors.values()), dict(found.aliases))


if __name__ == "__main__":
    # What a plug-in prints while it is imported must not get in between.
    answer, sys.stdout = sys.stdout, sys.stderr
    answer.write(msgspec.json.encode(look()).decode())
