"""A batch at rest: zstd of msgpack, a map with its ``frames``; mostly the very bytes that the agent sent. Pure.

Columns that nobody asked for are skipped, not decoded. Bodies were once lists of frames, and those lists of shape,
times and columns: they are read too.

Invariant: a body that is kept as it was sent holds nothing but what is known here. What has to be passed over may be
nested so deep that it can be when the batch is judged and cannot when it is read; and a body that cannot be read stays
in the log, where nobody sees what is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from twinwatch.protocol.codec import Undecodable, pack, unpack
from twinwatch.protocol.samples import Batch, Frame, Milliseconds
from twinwatch.protocol.samples import Sequence as SequenceNumber


class RawFrame(msgspec.Struct):
    """A frame whose columns stay raw until one is asked for."""

    shape: str
    times: list[int]
    columns: list[msgspec.Raw]


class _PlainFrame(Frame, frozen=True, forbid_unknown_fields=True):
    pass


class _PlainBatch(msgspec.Struct, forbid_unknown_fields=True):
    sequence: SequenceNumber
    sent_at: Milliseconds
    frames: list[_PlainFrame]


class _Whole(msgspec.Struct):
    frames: list[Frame]


class _Raw(msgspec.Struct):
    frames: list[RawFrame]


class _FormerFrame(Frame, frozen=True, array_like=True):
    pass


class _FormerRawFrame(RawFrame, array_like=True):
    pass


WHOLE: Any = _Whole | list[_FormerFrame]
RAW: Any = _Raw | list[_FormerRawFrame]


def plain_batch(body: bytes) -> Batch | None:
    """The batch of a body, msgpack in zstd, that may be kept as it is; None of any other, lawful or not."""
    try:
        found = unpack(body, _PlainBatch)
    except Undecodable:
        return None
    return Batch(found.sequence, found.sent_at, [*found.frames])


def pack_frames(frames: Sequence[Frame]) -> bytes:
    """A body that holds these frames and nothing else."""
    return pack({"frames": frames})


def whole_frames(body: bytes) -> Sequence[Frame]:
    """Its frames, decoded.

    Raises: Undecodable.
    """
    found = unpack(body, WHOLE)
    return found.frames if isinstance(found, _Whole) else found


def raw_frames(body: bytes) -> Sequence[RawFrame]:
    """Its frames, columns still raw.

    Raises: Undecodable.
    """
    found = unpack(body, RAW)
    return found.frames if isinstance(found, _Raw) else found
