"""Cameras and what is recorded of them.

Invariants: a channel that is offline says why where the device does; what an offline camera does not record is not
judged; what no firmware tells is ``unknown``, never *not recording*.
Source: ISAPI ``ContentMgmt/InputProxy/channels`` with ``/status``, ``System/Video/inputs/channels`` for analog inputs,
``System/workingstatus`` (``JSON_ChanStatus``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from twinwatch.monitors import Check, Finding, Reading
from twinwatch.monitors.hikvision.asking import Asking
from twinwatch.monitors.hikvision.markup import Element, printable
from twinwatch.monitors.hikvision.options import HikvisionOptions
from twinwatch.monitors.hikvision.session import Unsupported

CHANNELS = 256
NAMES_SECONDS = 600
"""Names and addresses change seldom: they are asked for so often."""
FIRST_DIGITAL = 33
"""Some firmwares number network cameras from here in what they say of recording."""
DEPTH = 12

CHANNEL = "hikvision.channel"
WHY = {
    "offline": "it does not answer the recorder; see its power and network",
    "networkabnormal": "the recorder cannot reach it; see its power, cable, switch and address",
    "notexist": "nobody is at its address; see its power and address",
    "notactivated": "it was never activated: give it a password",
    "userorpassworderror": "the recorder's password for it is wrong: correct it in the recorder's camera list",
    "errorusernameorpasswd": "the recorder's password for it is wrong: correct it in the recorder's camera list",
    "novideo": "there is no video signal; see its power and cable",
}
_WELL = ("connect", "online", "")


@dataclass(slots=True)
class Channel:
    """One camera. ``online`` None: nobody knows."""

    id: str
    name: str = ""
    address: str = ""
    online: bool | None = None
    why: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return {f"{CHANNEL}.id": self.id, f"{CHANNEL}.name": self.name or self.id}

    @property
    def shown(self) -> str:
        """What people call it."""
        where = f" at {self.address}" if self.address else ""
        return f"{self.name or 'Camera'} (channel {self.id}{where})"

    def is_one_of(self, patterns: tuple[str, ...]) -> bool:
        """Whether its number or its name is meant."""
        return any(fnmatchcase(self.id, one) or fnmatchcase(self.name, one) for one in patterns)


class Channels:
    """The channels of one device."""

    def __init__(self, options: HikvisionOptions) -> None:
        self._options = options
        self._names: dict[str, tuple[str, str]] = {}
        self._named_at: int | None = None
        self.known: dict[str, Channel] = {}
        """As they were in this run; empty if they could not be read."""

    async def read(self, ask: Asking, kind: str) -> list[Finding]:
        """A check and a reading for each channel."""
        self.known = {}
        found = await self._digital(ask)
        if kind.upper() in ("", "DVR", "HVR", "HDVR", "XVR", "HYBRID DVR", "HYBIRD DVR"):
            found = [*found, *await self._analog(ask)]
        if not found:
            raise Unsupported
        for one in found:
            if len(self.known) < CHANNELS and not one.is_one_of(self._options.ignore_channels):
                self.known.setdefault(one.id, one)
        channels = list(self.known.values())
        online = sum(one.online is True for one in channels)
        offline = sum(one.online is False for one in channels)
        return [
            Reading(f"{CHANNEL}.count", online, {f"{CHANNEL}.state": "online"}),
            Reading(f"{CHANNEL}.count", offline, {f"{CHANNEL}.state": "offline"}),
            *(Reading(f"{CHANNEL}.online", int(one.online), one.labels) for one in channels if one.online is not None),
            *(_online(one) for one in channels),
        ]

    async def recording(self, ask: Asking) -> list[Finding]:
        """Whether each channel records, and how many watch it."""
        told = dict(_states(await self._working(ask)))
        if told and self.known and not told.keys() & self.known.keys():
            told = {str(int(number) - FIRST_DIGITAL + 1): state for number, state in told.items()}
        channels = self.known or {
            number: one
            for number in list(told)[:CHANNELS]
            if not (one := Channel(number)).is_one_of(self._options.ignore_channels)
        }
        found: list[Finding] = []
        for number, channel in channels.items():
            state = told.get(number, {})
            if (record := _whole(state.get("record"))) in (0, 1):
                found.append(Reading(f"{CHANNEL}.recording", int(record or 0), channel.labels))
            viewers = _whole(state.get("linkNum"))
            if viewers is not None and 0 <= viewers < 10_000:
                found.append(Reading(f"{CHANNEL}.viewers", viewers, channel.labels))
            found.append(_recording(channel, state, must=channel.is_one_of(self._options.must_record)))
        return found

    async def _digital(self, ask: Asking) -> list[Channel]:
        path = "/ISAPI/ContentMgmt/InputProxy/channels"
        try:
            root = await ask.xml(f"{path}/status")
        except Unsupported:
            return []
        if self._named_at is None or not 0 <= ask.now - self._named_at < NAMES_SECONDS * 1000:
            try:
                self._names = _names(await ask.xml(path))
            except Unsupported:
                self._names = {}
            self._named_at = ask.now
        found = []
        for one in root.all("InputProxyChannelStatus"):
            number = _number(one.said("id"))
            if number:
                name, address = self._names.get(number, ("", ""))
                online = {"true": True, "false": False}.get(one.said("online").lower())
                result = one.said("chanDetectResult")
                if online is None and result:
                    online = result.lower() in _WELL
                found.append(Channel(number, name, address, online, "" if result.lower() in _WELL else result))
        return found

    async def _analog(self, ask: Asking) -> list[Channel]:
        try:
            root = await ask.xml("/ISAPI/System/Video/inputs/channels")
        except Unsupported:
            return []
        found = []
        for one in root.all("VideoInputChannel"):
            number, signal = _number(one.said("id")), one.said("resDesc")
            if number and one.said("videoInputEnabled").lower() != "false":
                lost = signal.upper().replace(" ", "") == "NOVIDEO"
                online = None if not signal else not lost
                found.append(Channel(number, one.said("name")[:100], "", online, "noVideo" if lost else ""))
        return found

    async def _working(self, ask: Asking) -> Any:
        try:
            return await ask.json("/ISAPI/System/workingstatus/chanStatus?format=json")
        except Unsupported:
            return await ask.json("/ISAPI/System/workingstatus?format=json")


def _online(channel: Channel) -> Check:
    name = f"channel:{channel.id}"
    if channel.online is None:
        return Check(name, "unknown", f"{channel.shown}: the device does not say whether it is online", "not-told")
    if channel.online:
        return Check(name, "up")
    slug = channel.why.lower()
    why = WHY.get(slug, f"the recorder says {channel.why}" if channel.why else "see its power and network")
    reason = "".join(letter for letter in slug if letter.isascii() and letter.isalnum())[:40] or "offline"
    return Check(name, "down", f"{channel.shown} is offline: {why}"[:500], reason)


def _recording(channel: Channel, state: dict[str, Any], *, must: bool) -> Check:
    name = f"recording:{channel.id}"
    record, status = _whole(state.get("record")), _whole(state.get("recordStatus"))
    if channel.online is False or status == 2:
        return Check(name, "unknown", f"{channel.shown}: not judged while the camera is offline", "camera-offline")
    if status == 1:
        message = f"{channel.shown} cannot be recorded: the recorder says that its storage fails; see the disks"
        return Check(name, "down", message, "storage-failed")
    if record is None and status is None:
        return Check(name, "unknown", f"{channel.shown}: the device does not say whether it records", "not-told")
    if record == 1 or (record is None and status == 0):
        return Check(name, "up")
    if must:
        message = f"{channel.shown} is not recorded: see its recording schedule and the disks"
        return Check(name, "down", message, "not-recording")
    return Check(name, "up", f"{channel.shown} is not recorded at this moment, as a schedule may have it", "paused")


def _names(root: Element) -> dict[str, tuple[str, str]]:
    found = {}
    for one in root.all("InputProxyChannel"):
        source = one.child("sourceInputPortDescriptor")
        if number := _number(one.said("id")):
            found[number] = one.said("name")[:100], source.said("ipAddress")[:50] if source is not None else ""
    return found


def _states(content: Any, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Whatever it is wrapped in: each object that has a ``chanNo``."""
    if depth > DEPTH:
        return
    if isinstance(content, dict):
        number = _whole(content.get("chanNo"))
        if number is not None and 0 < number < 10_000:
            yield str(number), content
        for value in content.values():
            yield from _states(value, depth + 1)
    elif isinstance(content, list):
        for value in content[: 4 * CHANNELS]:
            yield from _states(value, depth + 1)


def _number(text: str) -> str:
    """The number of a channel as people write it; empty if it is none."""
    return str(int(text)) if text.isascii() and text.isdecimal() and len(text) < 6 else ""


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    text = printable(value) if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
