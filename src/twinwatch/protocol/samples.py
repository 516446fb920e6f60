"""Samples on the wire: columns rather than rows.

A monitor's run yields one value for each of its series at one time. Which series those are hardly ever changes, so
the list is a **shape**: sent once, known afterwards by a digest of its content. A **frame** is a stretch of runs of
one shape: the times, and a column of values for each series in the shape's order. A **batch** is what one push
carries. Since a shape's id is derived from its content, both sides agree on it without a conversation, and sending
it again changes nothing.

Invariants: times ascend strictly within a frame; a frame has as many columns as its shape has series and as many
values in a column as it has times; ``None`` is *no sample*, never zero.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated

import msgspec

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"""An instant, ms UTC. Bounded, so that arithmetic on what others send cannot overflow."""
Sequence = Annotated[int, msgspec.Meta(ge=1, le=1 << 62)]


class SeriesKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """One series of a server: metric name and labels."""

    metric: str
    labels: dict[str, str] = {}


class Shape(msgspec.Struct, frozen=True):
    """The series that one kind of run yields, in the order of a frame's columns."""

    id: str
    monitor: str
    series: tuple[SeriesKey, ...]


class Frame(msgspec.Struct, frozen=True):
    """Runs of one shape.

    Shape: times int[n] ascending, ms UTC; columns k lists of n values, one per series of the shape.
    """

    shape: str
    times: list[Milliseconds]
    columns: list[list[float | None]]


class Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """One push. ``sequence`` increases strictly per server; the hub counts each number once."""

    sequence: Sequence
    sent_at: Milliseconds
    frames: list[Frame]
    shapes: list[Shape] = []


class BatchAccepted(msgspec.Struct, frozen=True):
    """The batch is durable. ``sequence_mark`` is the highest number the hub has committed for this server."""

    sequence_mark: int
    duplicate: bool = False


def shape_of(monitor: str, series: tuple[SeriesKey, ...]) -> Shape:
    """The shape of these series, its id derived from monitor, names, labels and order."""
    content = msgspec.msgpack.encode((monitor, series), order="deterministic")
    return Shape(id=blake2b(content, digest_size=8).hexdigest(), monitor=monitor, series=series)
