"""Whom an alert is for: the channels that this agent may speak on by the hub's bundle and the file, and what holds a
message back. Pure, but for the time zones, whose files are read by ``zones``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

import msgspec

from twinwatch.agent.alerting.alert import FILE
from twinwatch.alerts.policy import About, policy_for, quiet_until, silenced_until
from twinwatch.protocol.bundle import Bundle
from twinwatch.protocol.policies import Silence
from twinwatch.protocol.rules import Rule, Severity

ENDLESS = 1 << 53
"""The end of a silence that has none."""


def zone_named(name: str) -> tzinfo:
    """The time zone of this machine's files.

    Raises: KeyError, ValueError, OSError if it has none of this name.
    """
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - half a megabyte, for who has quiet hours

    return ZoneInfo(name)


class FileChannel(msgspec.Struct, frozen=True):
    """A channel of the agent's file, its settings judged."""

    name: str
    kind: str
    settings: dict[str, Any] = {}
    """Plain values, secrets in the clear: never shown."""

    def __repr__(self) -> str:
        return f"FileChannel(name={self.name!r}, kind={self.kind!r}, settings=***)"


@dataclass(frozen=True, slots=True)
class FileAlerts:
    """What the file says of telling people. ``tell``: the names of channels by severity; None: all, whatever it is."""

    channels: tuple[FileChannel, ...] = ()
    silences: tuple[Silence, ...] = ()
    tell: Mapping[Severity, tuple[str, ...]] | None = None


@dataclass(slots=True)
class Addressing:
    """Whom this agent tells, by what it knows now."""

    server_uuid: str = ""
    file: FileAlerts = field(default_factory=FileAlerts)
    bundle: Bundle = field(default_factory=Bundle)
    zones: Callable[[str], tzinfo] = zone_named
    routes: dict[str, Callable[[], Sequence[str]]] = field(default_factory=dict)
    """Rules whose alerts go to channels of their own, whatever policies say: such as the hub's being away."""

    def channels_of(self, rule: Rule) -> list[str]:
        """The channels to tell first, each once: the bundle's by its policy, then the file's."""
        route = self.routes.get(rule.name)
        there = {channel.id for channel in self.bundle.channels}
        if route is not None:
            named = route()
        else:
            policy = policy_for(self.bundle.policies, self._about(rule))
            named = policy.steps[0].channels if policy and policy.steps else ()
        found = [name for name in named if name in there]
        return list(dict.fromkeys([*found, *self.files_of(rule)]))

    def files_of(self, rule: Rule) -> list[str]:
        """The file's channels for it: nobody but this agent can tell them."""
        tell = self.file.tell
        names = [one.name for one in self.file.channels] if tell is None else tell.get(rule.severity, ())
        return [f"{FILE}{name}" for name in names]

    def is_routed(self, rule: Rule) -> bool:
        """Whether its alerts have channels of their own, and are the agent's alone to tell."""
        return rule.name in self.routes

    def held_until(self, rule: Rule, now: int) -> tuple[int, bool]:
        """Until when messages about it wait, ms UTC, and whether for a silence; 0: they do not."""
        about = self._about(rule)
        silences = (*self.bundle.silences, *self.file.silences)
        end = silenced_until(silences, about, now, self._zone)
        if end is not None:
            return end or ENDLESS, True
        policy = policy_for(self.bundle.policies, about)
        quiet = quiet_until(policy, rule.severity, now, self._zone) if policy else None
        return quiet or 0, False

    def _about(self, rule: Rule) -> About:
        return About(self.server_uuid, frozenset(self.bundle.tags), rule.name, rule.severity)

    def _zone(self, name: str) -> tzinfo:
        try:
            return self.zones(name)
        except (KeyError, ValueError, OSError):
            # A hub knows zones that this machine does not: better an hour off than an alert lost.
            return self.zones("UTC")
