"""What is known of a device over a restart: who it was, what it lacks, what was judged of it. Pure.

Invariant: what was kept and is damaged costs the memory only.
"""

from __future__ import annotations

import msgspec

from twinwatch.monitors import Check

LACKS_SECONDS = 24 * 3600
REPLACED_SECONDS = 24 * 3600
UPDATED_SECONDS = 3600
PATHS = 50
CHECKS = 1_000


class Memory(msgspec.Struct):
    """Instants are ms UTC."""

    serial: str = ""
    model: str = ""
    firmware: str = ""
    notice: str = ""
    """What changed, for people, until ``notice_until``."""
    notice_reason: str = ""
    notice_until: int = 0
    lacks: dict[str, int] = {}
    """Paths that the device does not have, and until when that is believed."""
    checks: list[str] = []
    """The names of what was judged last."""

    def met(self, serial: str, model: str, firmware: str, now: int) -> Check:
        """The check ``identity`` for a device that says to be this."""
        if serial and self.serial and serial != self.serial:
            self.notice = f"Another device answers here: serial {serial} ({model}) instead of {self.serial}"
            self.notice_reason, self.notice_until = "device-replaced", now + REPLACED_SECONDS * 1000
            self.lacks = {}
        elif firmware and self.firmware and firmware != self.firmware:
            self.notice = f"The firmware changed from {self.firmware} to {firmware}"
            self.notice_reason, self.notice_until = "firmware-changed", now + UPDATED_SECONDS * 1000
            self.lacks = {}
        self.serial, self.model, self.firmware = serial or self.serial, model or self.model, firmware or self.firmware
        if now < self.notice_until:
            return Check("identity", "degraded", self.notice, self.notice_reason)
        return Check("identity", "up")

    def has(self, path: str, now: int) -> bool:
        """Whether it is worth while to ask for the path."""
        return self.lacks.get(path, 0) <= now

    def lacking(self, path: str, now: int) -> None:
        """It has no such path."""
        self.lacks[path] = now + LACKS_SECONDS * 1000
        while len(self.lacks) > PATHS:
            del self.lacks[next(iter(self.lacks))]


def memory_of(content: bytes) -> Memory:
    """What was kept."""
    try:
        return msgspec.json.decode(content, type=Memory) if content else Memory()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Memory()
