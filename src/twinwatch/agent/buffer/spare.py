"""The newest ticks in memory, while the file cannot be written: bounded, sent from here, written once that works again.

Invariants: at most one batch is under way, and its ticks stay until its fate is known; what is pushed out is first
what the hub already has, then the oldest that waits, and that is counted by who adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twinwatch.agent.buffer.ticks import Load, Packed, Parcel, frames_of
from twinwatch.protocol.samples import Shape

SPARE_BYTES = 4 << 20
SPARE_TICKS = 2_000
OVERHEAD_BYTES = 256
"""What a tick costs beside its samples."""


@dataclass(slots=True)
class Spared:
    """``sequence`` as in the file: None waits, 0 is set aside, else the number it was, or is being, sent under."""

    tick: Packed
    sequence: int | None = None

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return len(self.tick.samples) + OVERHEAD_BYTES


class Spare:
    """The ticks, oldest first. ``sending`` is the number under way; 0: none."""

    def __init__(self, most_bytes: int = SPARE_BYTES, most_ticks: int = SPARE_TICKS) -> None:
        self.sending = 0
        self._most_bytes = most_bytes
        self._most_ticks = most_ticks
        self._held: list[Spared] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Spared]:
        return iter(self._held)

    @property
    def size_bytes(self) -> int:
        """About how much memory they take."""
        return self._bytes

    @property
    def waiting(self) -> int:
        """Ticks that the hub has yet to get, but for those under way."""
        return sum(one.sequence is None for one in self._held)

    @property
    def in_flight(self) -> int:
        """Ticks under way."""
        return sum(one.sequence == self.sending for one in self._held) if self.sending else 0

    @property
    def oldest_waiting(self) -> int | None:
        """ms UTC."""
        return min((one.tick.time for one in self._held if one.sequence is None), default=None)

    def add(self, ticks: Sequence[Packed]) -> int:
        """Hold these too. The result is how many waiting ones were pushed out for them, or were too many at once."""
        self._extend([Spared(tick) for tick in ticks])
        if self._bytes <= self._most_bytes and len(self._held) <= self._most_ticks:
            return 0
        return self._push_out()

    def recall(self, sequence: int, ticks: Sequence[Packed]) -> None:
        """Hold a batch that is under way and that the file has lost."""
        self.sending = sequence
        self._held[:0] = [Spared(tick, sequence) for tick in ticks]
        self._count()

    def next_batch(self, sequence: int, *, ticks: int, since: int, until: int) -> Parcel | None:
        """The batch under way, else the oldest waiting ticks under this number. It carries all its shapes."""
        more = False
        if not self.sending:
            load = Load(ticks)
            chosen = []
            for one in self._held:
                shape, time, samples = one.tick
                if one.sequence is not None or not since <= time <= until:
                    continue
                series = len(shape.series)
                if not load.takes(shape.id, series, len(samples), 64 * series):
                    more = True
                    break
                chosen.append(one)
            if not chosen:
                return None
            self.sending = sequence
            for one in chosen:
                one.sequence = sequence
        return self._parcel(more=more)

    def land(self, becomes: int | None) -> int:
        """The batch under way is under way no more; the result is how many ticks that were."""
        if not self.sending:
            return 0
        landed = [one for one in self._held if one.sequence == self.sending]
        for one in landed:
            one.sequence = becomes
        self.sending = 0
        return len(landed)

    def trim(self, before: int) -> int:
        """Let go of what is older than ``before``, but for what is under way. The result is how many waited."""
        past = [one for one in self._held if one.tick.time < before and not self._is_under_way(one)]
        if past:
            self._held = [one for one in self._held if one.tick.time >= before or self._is_under_way(one)]
            self._count()
        return sum(one.sequence is None for one in past)

    def clear(self) -> None:
        """Hold nothing any more: it is in the file."""
        self._held = []
        self._bytes = self.sending = 0

    def _push_out(self) -> int:
        # To a bit below the bounds, so that not every tick looks through all of them.
        most_bytes, most_ticks = self._most_bytes * 15 // 16, self._most_ticks * 15 // 16
        lost, size, count = 0, self._bytes, len(self._held)
        gone: set[int] = set()
        for waiting in (False, True):
            for place, one in enumerate(self._held):
                if size <= most_bytes and count <= most_ticks:
                    break
                if (one.sequence is None) is waiting and not self._is_under_way(one):
                    gone.add(place)
                    size, count, lost = size - one.size_bytes, count - 1, lost + waiting
        self._held = [one for place, one in enumerate(self._held) if place not in gone]
        self._bytes = size
        return lost

    def _parcel(self, *, more: bool) -> Parcel:
        chosen = [one.tick for one in self._held if one.sequence == self.sending]
        shapes: dict[str, Shape] = {tick.shape.id: tick.shape for tick in chosen}
        frames = frames_of((tick.shape.id, tick.time, tick.samples) for tick in chosen)
        return Parcel(self.sending, frames, list(shapes.values()), len(chosen), more)

    def _is_under_way(self, one: Spared) -> bool:
        return self.sending != 0 and one.sequence == self.sending

    def _extend(self, fresh: Sequence[Spared]) -> None:
        self._held += fresh
        self._bytes += sum(one.size_bytes for one in fresh)

    def _count(self) -> None:
        self._bytes = sum(one.size_bytes for one in self._held)
