"""What became of every tick, in numbers. ``collected = delivered + waiting + in flight + dropped + set aside``."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What age took: ticks that the hub had or had refused, and ticks that it never got."""

    delivered: int
    dropped: int


class Figures(msgspec.Struct, frozen=True):
    """The buffer's accounts since it was made, in ticks."""

    collected: int
    delivered: int
    waiting: int
    in_flight: int
    dropped: int
    set_aside: int
    oldest_waiting: int | None
    """ms UTC of the oldest waiting tick."""


@dataclass(slots=True)
class Sums:
    """Ticks by fate: of the whole time, or what has yet to be added to that."""

    collected: int = 0
    delivered: int = 0
    dropped: int = 0
    set_aside: int = 0

    def __bool__(self) -> bool:
        return bool(self.collected or self.delivered or self.dropped or self.set_aside)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The file's one row of accounts. ``sending`` is the number under way, 0: none, and the ticks that bear it."""

    next_sequence: int
    acknowledged: int
    sending: int
    sending_first: int
    sending_last: int
    collected: int
    delivered: int
    dropped: int
    set_aside: int

    @property
    def flight(self) -> dict[str, int]:
        """The batch under way, as statements ask for it."""
        return {"sequence": self.sending, "first": self.sending_first, "last": self.sending_last}

    @property
    def pending(self) -> int:
        """Waiting or in flight."""
        return self.collected - self.delivered - self.dropped - self.set_aside
