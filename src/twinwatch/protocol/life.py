"""What an agent knows of its own life and the one before, and what it says when it leaves: the facts that tell a crash
from a reboot and a dead host from a dead line."""

from __future__ import annotations

from typing import Literal

import msgspec

from twinwatch.protocol.samples import Milliseconds

Leaving = Literal["stop", "reboot", "shutdown"]
"""``stop``: the agent alone was told to end; else the whole server goes down, and comes back or not."""


class PreviousLife(msgspec.Struct, frozen=True, omit_defaults=True):
    """The agent's life before this one, as it wrote it down itself."""

    boot_id: str = ""
    started_at: Milliseconds = 0
    last_at: Milliseconds = 0
    """The last moment that is known of it: of its last tick, or its end."""
    clean: bool = False
    """Whether it ended as it was told to."""
    leaving: Leaving | Literal[""] = ""


class Life(msgspec.Struct, frozen=True, omit_defaults=True):
    """The life that speaks."""

    boot_id: str = ""
    booted_at: Milliseconds = 0
    started_at: Milliseconds = 0
    longest_gap_seconds: float = 0.0
    """The longest time in which nothing ran since the last answered heartbeat: a host that was frozen or asleep."""
    previous: PreviousLife | None = None


class Goodbye(msgspec.Struct, frozen=True, omit_defaults=True):
    """Said before a planned end."""

    leaving: Leaving
    at: Milliseconds
    back_within_seconds: float = 0.0
    """When it expects to be back; 0: it does not."""
