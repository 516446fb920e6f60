"""Finds the channels: the classes in this folder and those of the entry point group ``twinwatch.channels``.

Nothing registers itself. A plug-in that cannot be had becomes a ``Flaw`` that says why, and the others are found all
the same. A plug-in cannot take a name that a built-in channel has.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from twinwatch import notify
from twinwatch.notify import Channel, Settings
from twinwatch.world.plugins import Flaw, gather, is_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "twinwatch.channels"
OWED = (
    "name",
    "title",
    "Settings",
    "gap_seconds",
    "deadline_seconds",
    "extra",
    "hears_acknowledgements",
    "render",
    "send",
    "reaches",
)


@dataclass(frozen=True, slots=True)
class Found:
    """The usable kinds of channels by name, and what was wrong with the rest."""

    channels: Mapping[str, type[Channel]]
    flaws: tuple[Flaw, ...]


def discover(plugins: Iterable[EntryPoint] | None = None) -> Found:
    """Every kind of channel of this installation; ``plugins`` stands for the installed entry points.

    Cost: imports every channel, which a built-in one makes cheap: its library is imported when it sends.
    """
    found, flaws = gather(notify, GROUP, plugins, means_to_be_one=_means_to_be_one, flaw_of=flaw_of)
    return Found(found, flaws)


def kind_named(name: str, plugins: Iterable[EntryPoint] | None = None) -> type[Channel] | Flaw:
    """The kind of this name, or why there is none. Imports no other built-in one: an agent carries what it uses."""
    from importlib.util import find_spec  # noqa: PLC0415 - for who has a channel

    if is_name(name) and find_spec(f"{notify.__name__}.{name}") is not None:
        for member in vars(import_module(f"{notify.__name__}.{name}")).values():
            if isinstance(member, type) and getattr(member, "name", "") == name and flaw_of(member) is None:
                return member
    found, flaws = gather(None, GROUP, plugins, means_to_be_one=_means_to_be_one, flaw_of=flaw_of)
    if name in found:
        kind: type[Channel] = found[name]
        return kind
    reasons = "; ".join(f"{flaw.source}: {flaw.reason}" for flaw in flaws)
    return Flaw(name, f"there is no channel of this name{f' ({reasons})' if reasons else ''}")


def flaw_of(candidate: object) -> str | None:
    """Why this is no lawful channel, or None if it is one."""
    if not isinstance(candidate, type):
        return f"{type(candidate).__name__}: expected a class"
    missing = [name for name in OWED if not hasattr(candidate, name)]
    if missing:
        return f"{candidate.__qualname__} lacks {', '.join(missing)}; see twinwatch.notify.Channel"
    channel: type[Channel] = candidate
    if not inspect.iscoroutinefunction(channel.send):
        return f"{candidate.__qualname__}.send: expected 'async def send(self, note, outside)'"
    if not is_name(channel.name):
        return f"name {channel.name!r}: expected letters, digits, '-' and '_'"
    settings: object = channel.Settings
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        return f"Settings {settings!r}: expected a subclass of twinwatch.notify.Settings"
    seconds: object = channel.deadline_seconds
    if not isinstance(seconds, int | float) or not seconds > 0:
        return f"deadline_seconds {seconds!r}: expected a number above 0"
    gap: object = channel.gap_seconds
    if not isinstance(gap, int | float) or not gap >= 0:
        return f"gap_seconds {gap!r}: expected a number of at least 0"
    return None


def _means_to_be_one(member: type) -> bool:
    return hasattr(member, "send") and hasattr(member, "gap_seconds")
