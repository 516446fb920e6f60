"""Batches at rest: what was put in comes out, whichever version wrote it."""

from __future__ import annotations

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from twinwatch.hub.stores.batches import pack_frames, plain_batch, raw_frames, whole_frames
from twinwatch.protocol import codec
from twinwatch.protocol.samples import Batch, Frame

FORMER = bytes.fromhex(
    "28b52ffd20487d010054029293b06192cd03e8cd07d09292cb3ff800c092020393b06291059191cb401c0000000000000310006db4bf2302"
)
"""As the first version wrote them: lists."""

FLOATS = msgspec.msgpack.Decoder(list[float | None])
VALUES = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(1 << 53), 1 << 53))


@given(st.lists(st.tuples(st.sampled_from(["a" * 16, "b" * 16]), st.lists(VALUES, min_size=1, max_size=9)), max_size=4))
def test_frames_come_back_whole_and_raw(made: list[tuple[str, list[float | None]]]) -> None:
    frames = [Frame(shape, [7], [[value] for value in values]) for shape, values in made]
    body = pack_frames(frames)
    assert list(whole_frames(body)) == frames
    assert [(one.shape, one.times) for one in raw_frames(body)] == [(one.shape, one.times) for one in frames]
    decoded = [[FLOATS.decode(column) for column in one.columns] for one in raw_frames(body)]
    assert decoded == [one.columns for one in frames]


FRAME: dict[str, object] = {"shape": "a" * 16, "times": [3, 4], "columns": [[1.5, None], [2, -3]]}
LAWFUL: dict[str, object] = {"sequence": 1, "sent_at": 2, "frames": [FRAME]}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _map(pairs: list[tuple[object, object]]) -> bytes:
    """A map of msgpack that may hold a key several times, as no dict can."""
    return bytes([0x80 | len(pairs)]) + b"".join(msgspec.msgpack.encode(one) for pair in pairs for one in pair)


def _assert_read_alike(content: bytes) -> None:
    body = zstandard.ZstdCompressor().compress(content)
    batch = plain_batch(body)
    if batch is None:
        return  # the hub refuses it or packs it anew
    encoded = msgspec.msgpack.encode(batch.frames)  # compares NaN as well
    assert codec.pack(batch) == codec.pack(codec.decode(body, Batch, codec.MSGPACK, codec.ZSTD))
    assert msgspec.msgpack.encode(whole_frames(body)) == encoded
    raw = [Frame(one.shape, one.times, [FLOATS.decode(column) for column in one.columns]) for one in raw_frames(body)]
    assert msgspec.msgpack.encode(raw) == encoded


@given(st.data())
@settings(max_examples=500)
def test_what_a_hub_takes_is_read_as_it_was_judged_however_it_is_bent(data: st.DataObject) -> None:
    """What cannot be read would stay in the log, acknowledged and seen by nobody."""
    content = bytearray(msgspec.msgpack.encode(LAWFUL))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _assert_read_alike(bytes(content))


@given(st.lists(st.tuples(st.sampled_from([*LAWFUL, "more"]), st.just(LAWFUL) | ANYTHING), max_size=5))
def test_what_says_a_thing_twice_is_read_as_it_was_judged(extra: list[tuple[str, object]]) -> None:
    pairs = [(name, value.get(name, 7) if value is LAWFUL else value) for name, value in extra]
    _assert_read_alike(_map([*LAWFUL.items(), *pairs]))
    _assert_read_alike(_map([*pairs, *LAWFUL.items()]))


@pytest.mark.parametrize("place", ["batch", "frame"])
def test_what_is_nested_deep_is_not_kept_as_it_came(place: str) -> None:
    """What is passed over can be too deep for whoever reads it from further down the stack than it was judged at."""
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    body = codec.pack(LAWFUL | ({"more": deep} if place == "batch" else {"frames": [FRAME | {"more": deep}]}))
    assert codec.decode(body, Batch, codec.MSGPACK, codec.ZSTD).sequence == 1
    assert plain_batch(body) is None


def test_former_bodies_are_read() -> None:
    first, second = whole_frames(FORMER)
    assert (first.shape, first.times, first.columns) == ("a" * 16, [1000, 2000], [[1.5, None], [2.0, 3.0]])
    assert (second.shape, second.times, second.columns) == ("b" * 16, [5], [[7.0]])
    assert [one.times for one in raw_frames(FORMER)] == [[1000, 2000], [5]]
    assert FLOATS.decode(raw_frames(FORMER)[0].columns[1]) == [2.0, 3.0]
