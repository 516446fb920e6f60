"""Ticks on their way from a monitor to a batch: as values, packed as they are held, framed as they travel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import msgspec

from twinwatch.protocol import limits
from twinwatch.protocol.samples import Frame, Shape

BATCH_TICKS = limits.BATCH_FRAMES
"""A tick may need a frame of its own, so as many ticks as frames are always lawful."""
BATCH_SAMPLES = limits.BATCH_SAMPLES // 4
"""A quarter of what the hub takes: it bounds the agent's memory while a day's backlog leaves."""
BATCH_BYTES = limits.DECODED_BYTES // 4


@dataclass(frozen=True, slots=True)
class Tick:
    """One run's values, in the order of its shape's series. ``time`` is ms UTC; None is *no sample*."""

    shape: Shape
    time: int
    values: Sequence[float | None]


class Packed(NamedTuple):
    """A tick as it is held: ``samples`` is msgpack of its values."""

    shape: Shape
    time: int
    samples: bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """The ticks of one batch. ``more`` says that others wait behind it; ``ticks`` is how many it holds."""

    sequence: int
    frames: list[Frame]
    shapes: list[Shape]
    ticks: int
    more: bool
    inherited: bool = False
    """It was under way when this process began: whether the hub has it, only the hub knows."""


def pack_ticks(ticks: Sequence[Tick]) -> list[Packed]:
    """The ticks as they are held.

    Raises: TypeError if a value is no number.
    """
    pack = _packer().encode
    return [Packed(tick.shape, tick.time, pack(tick.values)) for tick in ticks]


def unpack_values(samples: bytes) -> list[Any]:
    """The values of a held tick."""
    values: list[Any] = _unpacker().decode(samples)
    return values


def frames_of(ticks: Iterable[tuple[str, int, bytes]]) -> list[Frame]:
    """Held ticks (shape's id, time, samples) as frames. Times that do not ascend begin a new frame of their shape."""
    frames: list[Frame] = []
    latest: dict[str, Frame] = {}
    for digest, time, samples in ticks:
        values = unpack_values(samples)
        frame = latest.get(digest)
        if frame is None or time <= frame.times[-1]:
            frame = latest[digest] = Frame(digest, [time], [[value] for value in values])
            frames.append(frame)
        else:
            frame.times.append(time)
            for column, value in zip(frame.columns, values, strict=True):
                column.append(value)
    return frames


class Load:
    """How much a batch holds so far. A single tick always fits."""

    def __init__(self, ticks: int) -> None:
        self._most = ticks
        self._ticks = self._samples = self._bytes = 0
        self._defined: set[str] = set()

    def takes(self, digest: str, series: int, size: int, definition_bytes: int) -> bool:
        """Whether one more tick fits; if so it is counted in. ``definition_bytes`` is 0 for a shape the hub knows."""
        samples, total, defined = self._samples + series, self._bytes + size, len(self._defined)
        if definition_bytes and digest not in self._defined:
            total += definition_bytes
            defined += 1
        full = samples > BATCH_SAMPLES or total > BATCH_BYTES or defined > limits.BATCH_SHAPES
        if self._ticks >= self._most or (full and self._ticks):
            return False
        self._ticks, self._samples, self._bytes = self._ticks + 1, samples, total
        if definition_bytes:
            self._defined.add(digest)
        return True


@cache
def _packer() -> msgspec.msgpack.Encoder:
    return msgspec.msgpack.Encoder()


@cache
def _unpacker() -> msgspec.msgpack.Decoder[list[Any]]:
    return msgspec.msgpack.Decoder(list[Any])
