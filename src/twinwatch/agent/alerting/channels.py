"""The channels that this agent speaks on, ready to send: made of the bundle's and the file's settings when first used.

A kind's module, and the library that it needs, is imported when something is sent on it: an agent carries what it uses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from twinwatch.agent.alerting.addressing import Addressing
from twinwatch.agent.alerting.alert import FILE
from twinwatch.agent.alerting.standing import ChannelStatus
from twinwatch.notify import Channel, Note, Outcome, Refused, Retry
from twinwatch.notify.discover import kind_named
from twinwatch.notify.settings import settings_of
from twinwatch.world.doors import Outside
from twinwatch.world.plugins import Flaw

KindNamed = Callable[[str], "type[Channel] | Flaw"]
UNKNOWN_GAP_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Telling:
    """How the agent speaks to people: the doors that messages leave through, and what finds a kind of channel."""

    outside: Outside
    kind_named: KindNamed = kind_named


class _Given(NamedTuple):
    kind: str
    name: str
    settings: dict[str, Any]


class Directory:
    """Finds a channel by its id: the hub's, or ``file:<name>``. ``kind_named`` finds kinds."""

    def __init__(self, addressing: Addressing, kind_named: KindNamed, outside: Outside) -> None:
        self._addressing = addressing
        self._kind_named = kind_named
        self._outside = outside
        self._made: dict[str, tuple[_Given, Channel]] = {}
        self._states: dict[str, tuple[int, str]] = {}

    def gap_seconds(self, name: str) -> float:
        """Between two messages on this channel."""
        made = self._made.get(name)
        return made[1].gap_seconds if made else UNKNOWN_GAP_SECONDS

    def name_of(self, name: str) -> str:
        """What people call it."""
        given = self._given(name)
        return given.name if given else name

    async def send(self, name: str, note: Note, now: int) -> Outcome:
        """Send it once. Raises nothing."""
        outcome = await self._send(name, note)
        before = self._states.get(name, (0, ""))
        if isinstance(outcome, Retry | Refused):
            self._states[name] = (before[0], outcome.reason)
            if not before[1]:
                what = "refuses a message" if isinstance(outcome, Refused) else "did not take a message"
                _log.warning("channel %s %s: %s", self.name_of(name), what, outcome.reason)
        else:
            self._states[name] = (now, "")
            if before[1]:
                _log.info("channel %s takes messages again", self.name_of(name))
        return outcome

    def status(self) -> tuple[ChannelStatus, ...]:
        """All channels, those of the bundle first."""
        ids = [one.id for one in self._addressing.bundle.channels]
        ids += [f"{FILE}{one.name}" for one in self._addressing.file.channels]
        found = []
        for name in ids:
            given, (at, trouble) = self._given(name), self._states.get(name, (0, ""))
            if given is not None:
                found.append(ChannelStatus(name, given.name, given.kind, at, trouble))
        return tuple(found)

    async def _send(self, name: str, note: Note) -> Outcome:
        channel = self._found(name)
        if isinstance(channel, str):
            return Refused(channel)
        try:
            async with asyncio.timeout(channel.deadline_seconds):
                return await channel.send(note, self._outside)
        except TimeoutError:
            return Retry(f"no answer within {channel.deadline_seconds:g} s")
        except Exception as err:  # noqa: BLE001 - the supervisor of one delivery: a plug-in's defect is not the agent's
            return Retry(f"the channel fails: {type(err).__name__}")

    def _found(self, name: str) -> Channel | str:
        """The channel, or why there is none."""
        given = self._given(name)
        if given is None:
            return "the channel is gone"
        made = self._made.get(name)
        if made is not None and made[0] == given:
            return made[1]
        kind = self._kind_named(given.kind)
        if isinstance(kind, Flaw):
            return f"channel {given.kind}: {kind.reason}"
        try:
            channel = kind(settings_of(kind, given.settings))
        except (msgspec.ValidationError, ValueError, TypeError) as err:
            return f"its settings are not what {given.kind} of this agent's version expects: {type(err).__name__}"
        self._made[name] = (given, channel)
        return channel

    def _given(self, name: str) -> _Given | None:
        if name.startswith(FILE):
            for one in self._addressing.file.channels:
                if one.name == name.removeprefix(FILE):
                    return _Given(one.kind, one.name, one.settings)
        for direct in self._addressing.bundle.channels:
            if direct.id == name:
                return _Given(direct.kind, direct.name, direct.settings)
        return None
