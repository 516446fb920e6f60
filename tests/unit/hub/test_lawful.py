"""Whatever bytes an agent sends, they are lawful or refused: nothing else may come of them."""

from __future__ import annotations

from typing import Any

import msgspec
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from twinwatch.hub.lawful import check_batch, check_catalogue
from twinwatch.hub.refusals import Refused
from twinwatch.protocol import codec, limits
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.problem import Problem
from twinwatch.protocol.samples import Batch, Frame, SeriesKey, shape_of

NOW = 1_767_225_600_000
TEXT = st.text(max_size=8) | st.sampled_from(["", "\0", "a" * 300, "0123456789abcdef"])
TIME = st.integers(NOW - 2 * limits.PAST_MILLISECONDS, NOW + 2 * limits.FUTURE_MILLISECONDS) | st.integers(-1, 1 << 60)
VALUE = st.none() | st.floats() | st.integers(-(1 << 63), (1 << 64) - 1)
SERIES = st.fixed_dictionaries({"metric": TEXT}, optional={"labels": st.dictionaries(TEXT, TEXT, max_size=3)})
SHAPE = st.fixed_dictionaries({"id": TEXT, "monitor": TEXT, "series": st.lists(SERIES, max_size=3)})
FRAME = st.fixed_dictionaries(
    {
        "shape": TEXT,
        "times": st.lists(TIME, max_size=3, unique=True).map(sorted) | st.lists(TIME, max_size=3),
        "columns": st.lists(st.lists(VALUE, max_size=3), max_size=3),
    }
)
BATCH = st.fixed_dictionaries(
    {"sequence": st.integers(-1, 1 << 63), "sent_at": TIME, "frames": st.lists(FRAME, max_size=3)},
    optional={"shapes": st.lists(SHAPE, max_size=2)},
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


def judged(body: bytes, kind: type[Any], content: str, encoding: str) -> Any:
    """The message, or None if it was refused; an answer to it can be written either way."""
    try:
        message = codec.decode(body, kind, content, encoding)
        if isinstance(message, Batch):
            check_batch(message, NOW)
        else:
            check_catalogue(message)
    except codec.Undecodable as err:
        msgspec.json.encode(Problem("x", "x", 400, str(err)))
        return None
    except Refused as refused:
        msgspec.json.encode(refused.problem("id"))
        return None
    return message


@given(st.binary(max_size=200), st.sampled_from([codec.MSGPACK, codec.JSON, "x"]), st.sampled_from(["", "zstd", "x"]))
@example(b"\x28\xb5\x2f\xfd", codec.MSGPACK, "zstd")
@settings(max_examples=500, deadline=None)
def test_noise_is_refused(body: bytes, content: str, encoding: str) -> None:
    for kind in (Batch, Catalogue):
        judged(body, kind, content, encoding)


@given(st.binary(max_size=60), st.integers(0, 200))
@settings(max_examples=300, deadline=None)
def test_a_frame_that_was_cut_or_changed_is_refused(noise: bytes, at: int) -> None:
    shape = shape_of("m", (SeriesKey("m"),))
    body = codec.pack(Batch(1, NOW, [Frame(shape.id, [NOW], [[1.0]])], [shape]))
    place = at % len(body)
    judged(body[:place] + noise, Batch, codec.MSGPACK, codec.ZSTD)
    judged(body[:place] + noise + body[place + len(noise) :], Batch, codec.MSGPACK, codec.ZSTD)


@given(ANYTHING)
@settings(max_examples=300, deadline=None)
def test_anything_well_formed_is_lawful_or_refused(value: Any) -> None:
    body = msgspec.msgpack.encode(value)
    for kind in (Batch, Catalogue):
        judged(body, kind, codec.MSGPACK, "")
        judged(zstandard.ZstdCompressor().compress(body), kind, codec.MSGPACK, codec.ZSTD)


@given(BATCH)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_passes_as_a_batch_keeps_every_promise(value: Any) -> None:
    try:
        body = msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return
    batch = judged(body, Batch, codec.MSGPACK, "")
    if batch is None:
        return
    assert 1 <= batch.sequence <= 1 << 62
    assert 1 <= len(batch.frames) <= limits.BATCH_FRAMES
    for frame in batch.frames:
        assert frame.times == sorted(set(frame.times))
        assert frame.times[0] >= NOW - limits.PAST_MILLISECONDS
        assert frame.times[-1] <= NOW + limits.FUTURE_MILLISECONDS
        assert {len(column) for column in frame.columns} <= {len(frame.times)}
    for shape in batch.shapes:
        assert shape == shape_of(shape.monitor, shape.series)
        for series in shape.series:
            for text in (series.metric, *series.labels, *series.labels.values()):
                assert "\0" not in text


def test_a_lawful_batch_passes() -> None:
    """The tests above would pass as well if nothing did."""
    shape = shape_of("m", (SeriesKey("m"), SeriesKey("n", {"a": "ü"})))
    batch = Batch(1, NOW, [Frame(shape.id, [NOW - 1, NOW], [[1.0, None], [None, 2.0]])], [shape])
    assert judged(codec.pack(batch), Batch, codec.MSGPACK, codec.ZSTD) == batch
    assert judged(msgspec.json.encode(batch), Batch, codec.JSON, "") == batch
