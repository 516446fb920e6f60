"""Faults that a device tells of by itself, on a connection that it keeps talking on.

Invariants: what is held is bounded; an event that is neither ended nor repeated ends by itself; only events of faults
count, never motion or the like: nobody's movements are collected.
Source: ISAPI ``Event/notification/alertStream`` (multipart, ``EventNotificationAlert``); its heartbeat is ``videoloss``
that is inactive, or ``heartBeat``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twinwatch.monitors import Check
from twinwatch.monitors.hikvision.markup import Element, NoMarkup, element_of

PATH = "/ISAPI/Event/notification/alertStream"
HEARTBEAT_SECONDS = 90.0
"""Without a byte for so long the connection is dead."""
HELD_SECONDS = 60.0
"""An event that goes on is repeated every few seconds."""
SHOWN_SECONDS = 3600.0
"""So long after its end it is still told to be well."""
BUFFER_BYTES = 256 << 10
EVENTS = 100
FAULTS = {
    "diskfull": "its disk is full and nothing is written over: see the storage page",
    "diskerror": "a disk fails: see the storage page",
    "hddfull": "its disk is full and nothing is written over: see the storage page",
    "hderror": "a disk fails: see the storage page",
    "nicbroken": "its network connection is broken: see the cable",
    "ipconflict": "another device has its address: give one of them another",
    "macconflict": "another device has its hardware address",
    "illaccess": "somebody has signed in wrongly: see its log for who",
    "videoloss": "there is no video: see the camera's power and cable",
    "videomismatch": "the video's format does not fit: see its settings",
    "badvideo": "the video is disturbed: see the camera and its cable",
    "recordingfailure": "it cannot record: see the storage page",
    "recordexception": "it cannot record: see the storage page",
    "tamperdetection": "the camera is covered: look at it",
    "shelteralarm": "the camera is covered: look at it",
    "scenechangedetection": "the camera looks elsewhere than before: look at it",
    "defocus": "the camera is out of focus: look at it",
}
_OPENED, _CLOSED = b"<EventNotificationAlert", b"</EventNotificationAlert>"


@dataclass(slots=True)
class _Event:
    kind: str
    channel: str
    heard: float
    active: bool


@dataclass
class Events:
    """What was told. ``feed`` it what comes, in pieces of any size. Times are monotonic seconds."""

    heard: float | None = None
    """When anything came last; None: nothing has yet."""
    reason: str = ""
    """Why there is no connection; empty while there is one."""
    _buffer: bytes = b""
    _known: dict[tuple[str, str], _Event] = field(default_factory=dict)

    def begin(self) -> None:
        """A new connection."""
        self._buffer, self.reason = b"", ""

    def feed(self, content: bytes, now: float) -> bool:
        """Take what came; whether a fault has begun or ended."""
        self.heard = now
        self._buffer += content
        news = False
        while (end := self._buffer.find(_CLOSED)) >= 0:
            whole, self._buffer = self._buffer[: end + len(_CLOSED)], self._buffer[end + len(_CLOSED) :]
            begin = whole.rfind(_OPENED)
            if begin >= 0:
                news = self._take(whole[begin:], now) or news
        if len(self._buffer) > BUFFER_BYTES:  # pictures, or noise
            self._buffer = self._buffer[-BUFFER_BYTES // 2 :]
        return news

    def checks(self, now: float) -> list[Check]:
        """A check for each fault that is or was of late, and ``events`` for the connection itself."""
        found = []
        for key, event in list(self._known.items()):
            age = now - event.heard
            if age > SHOWN_SECONDS:
                del self._known[key]
                continue
            name = f"event:{event.kind}:{event.channel}" if event.channel else f"event:{event.kind}"
            if not event.active or age > HELD_SECONDS:
                found.append(Check(name, "up"))
                continue
            where = f"Channel {event.channel}" if event.channel else "The device"
            found.append(Check(name, "degraded", f"{where} says: {FAULTS[event.kind]}", event.kind))
        return [*found, self._connection(now)]

    def _connection(self, now: float) -> Check:
        if self.reason:
            return Check("events", "unknown", f"no events are heard: {self.reason}"[:500], "not-heard")
        if self.heard is None or now - self.heard > HEARTBEAT_SECONDS:
            return Check("events", "unknown", "no events are heard: no sign of life came yet", "no-heartbeat")
        return Check("events", "up")

    def _take(self, content: bytes, now: float) -> bool:
        try:
            root = element_of(content)
        except NoMarkup:
            return False
        kind = root.said("eventType").lower()
        if kind not in FAULTS:
            return False
        active = root.said("eventState").lower() == "active"
        if kind == "videoloss" and not active and root.number("activePostCount") in (None, 0):
            return False  # the heartbeat
        key = kind, _channel(root)
        before = self._known.get(key)
        was = before is not None and before.active and now - before.heard <= HELD_SECONDS
        if before is None and (not active or len(self._known) >= EVENTS):
            return False
        self._known[key] = _Event(*key, now, active)
        return was != active


def _channel(root: Element) -> str:
    """The channel's number; a recorder's own events have none or 0."""
    said = root.said("dynChannelID") or root.said("channelID")
    return said if said.isascii() and said.isdecimal() and len(said) < 6 and int(said) else ""
