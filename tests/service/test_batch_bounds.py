"""Each bound on what an agent may send: refused by name beyond it, taken at it."""

from __future__ import annotations

import msgspec
import pytest

from twinwatch.protocol import limits
from twinwatch.protocol.samples import Batch, Frame, SeriesKey, Shape, shape_of
from twinwatch.testing.hub_stage import Cast, HubStage

from .kept import logged, values_of

NaN, INF = float("nan"), float("inf")


def series(**labels: str) -> Shape:
    return shape_of("m", (SeriesKey("m", labels),))


def frames(shape: Shape, *times: int, count: int = 1) -> list[Frame]:
    return [Frame(shape.id, list(times), [[1.0] * len(times)] * len(shape.series))] * count


class TestBounds:
    @pytest.mark.parametrize(
        ("name", "slug", "limit"),
        [
            ("no frames", "invalid", None),
            ("no times", "invalid", None),
            ("too many frames", "limit", limits.BATCH_FRAMES),
            ("too many shapes", "limit", limits.BATCH_SHAPES),
            ("too many samples", "limit", limits.BATCH_SAMPLES),
            ("too many series in a shape", "limit", limits.SERIES_PER_SHAPE),
            ("too many labels", "limit", limits.LABELS_PER_SERIES),
            ("a label's name too long", "limit", limits.LABEL_NAME_CHARACTERS),
            ("a label's value too long", "limit", limits.LABEL_VALUE_CHARACTERS),
            ("a metric's name too long", "limit", limits.METRIC_NAME_CHARACTERS),
            ("a monitor's name too long", "limit", limits.METRIC_NAME_CHARACTERS),
            ("a metric without a name", "invalid", None),
            ("a label without a name", "invalid", None),
            ("a control character in a value", "invalid", None),
            ("a zero in a metric", "invalid", None),
            ("a zero in a monitor", "invalid", None),
            ("a shape without series", "invalid", None),
            ("a series twice in a shape", "invalid", None),
            ("a shape's id of another form", "invalid", None),
            ("times that stand still", "invalid", None),
            ("times that fall", "invalid", None),
            ("a column too short", "invalid", None),
            ("a column too few", "invalid", None),
            ("a column too many", "invalid", None),
            ("from the future", "clock-skew", limits.FUTURE_MILLISECONDS),
            ("from long ago", "clock-skew", limits.PAST_MILLISECONDS),
            ("from the beginning of time", "clock-skew", limits.PAST_MILLISECONDS),
            ("from the end of time", "clock-skew", limits.FUTURE_MILLISECONDS),
        ],
    )
    async def test_each_bound_is_refused_by_name_and_nothing_is_kept(
        self, stage: HubStage, cast: Cast, name: str, slug: str, limit: int | None
    ) -> None:
        now = stage.clock.now()
        a, b = series(a="1"), shape_of("m", (SeriesKey("m", {"a": "1"}), SeriesKey("n")))
        many = {str(n): "" for n in range(limits.LABELS_PER_SERIES + 1)}
        wide = shape_of("m", tuple(SeriesKey("m", {"n": str(n)}) for n in range(limits.SERIES_PER_SHAPE + 1)))
        full = list(range(now - limits.BATCH_SAMPLES, now + 1))

        def told(shape: Shape) -> Batch:
            return Batch(1, now, frames(shape, now), [shape])

        def framed(times: list[int], columns: list[list[float | None]], shape: Shape = b) -> Batch:
            return Batch(1, now, [Frame(shape.id, times, columns)], [shape])

        unlawful = {
            "no frames": Batch(1, now, [], [a]),
            "no times": framed([], [[], []]),
            "too many frames": Batch(1, now, frames(a, now, count=limits.BATCH_FRAMES + 1), [a]),
            "too many shapes": Batch(1, now, frames(a, now), [a] * (limits.BATCH_SHAPES + 1)),
            "too many samples": framed(full, [[1.0] * len(full)], a),
            "too many series in a shape": told(wide),
            "too many labels": told(series(**many)),
            "a label's name too long": told(series(**{"n" * (limits.LABEL_NAME_CHARACTERS + 1): ""})),
            "a label's value too long": told(series(a="x" * (limits.LABEL_VALUE_CHARACTERS + 1))),
            "a metric's name too long": told(shape_of("m", (SeriesKey("m" * (limits.METRIC_NAME_CHARACTERS + 1)),))),
            "a monitor's name too long": told(shape_of("m" * (limits.METRIC_NAME_CHARACTERS + 1), (SeriesKey("m"),))),
            "a metric without a name": told(shape_of("m", (SeriesKey(""),))),
            "a label without a name": told(shape_of("m", (SeriesKey("m", {"": "x"}),))),
            "a control character in a value": told(series(a="\x1b[31m")),
            "a zero in a metric": told(shape_of("m", (SeriesKey("\0"),))),
            "a zero in a monitor": told(shape_of("\0", (SeriesKey("m"),))),
            "a shape without series": Batch(1, now, frames(a, now), [a, shape_of("m", ())]),
            "a series twice in a shape": told(shape_of("m", (SeriesKey("m"), SeriesKey("m")))),
            "a shape's id of another form": Batch(1, now, [Frame("\0" * 16, [now], [[1.0]])]),
            "times that stand still": framed([now, now], [[1.0, 2.0]] * 2),
            "times that fall": framed([now, now - 1], [[1.0, 2.0]] * 2),
            "a column too short": framed([now, now + 1], [[1.0, 2.0], [1.0]]),
            "a column too few": framed([now], [[1.0]]),
            "a column too many": framed([now], [[1.0]] * 3),
            "from the future": Batch(1, now, frames(a, now, now + limits.FUTURE_MILLISECONDS + 1), [a]),
            "from long ago": Batch(1, now, frames(a, now - limits.PAST_MILLISECONDS - 1, now), [a]),
            "from the beginning of time": Batch(1, now, frames(a, 0), [a]),
            "from the end of time": Batch(1, now, frames(a, 1 << 53), [a]),
        }
        problem = (await cast.agent.send(unlawful[name])).problem
        assert (problem.status, problem.slug, problem.limit) == (422, slug, limit), problem
        assert await logged(stage) == []
        assert (await cast.agent.push((now, (1.0, 2.0)), sequence=1)).json()["duplicate"] is False

    async def test_everything_at_its_bound_is_taken(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        labels = {
            str(n).rjust(limits.LABEL_NAME_CHARACTERS, "n"): "🦊" * limits.LABEL_VALUE_CHARACTERS
            for n in range(limits.LABELS_PER_SERIES)
        }
        widest = shape_of(
            "m" * limits.METRIC_NAME_CHARACTERS, (SeriesKey("m" * limits.METRIC_NAME_CHARACTERS, labels),)
        )
        assert (
            await cast.agent.send(
                Batch(
                    1, now, frames(widest, now - limits.PAST_MILLISECONDS, now + limits.FUTURE_MILLISECONDS), [widest]
                )
            )
        ).status == 200
        small = series()
        batch = Batch(2, now, frames(small, now, count=limits.BATCH_FRAMES), [small] * limits.BATCH_SHAPES)
        assert (await cast.agent.send(batch)).status == 200
        full = list(range(now - limits.BATCH_SAMPLES + 1, now + 1))
        batch = Batch(3, now, [Frame(small.id, full, [[1.0] * len(full)])])
        assert (await cast.agent.send(batch)).status == 200

    @pytest.mark.parametrize("raw", ["0", "-1", str((1 << 62) + 1), str(1 << 64), "1.5", '"1"', "null", "true"])
    async def test_a_number_that_is_none_is_refused(self, stage: HubStage, cast: Cast, raw: str) -> None:
        lawful = msgspec.json.encode(cast.agent.batch((stage.clock.now(), (1.0, 2.0)), sequence=77))
        body = lawful.replace(b'"sequence":77', b'"sequence":' + raw.encode())
        problem = (await cast.agent.client.post("/api/v1/agent/samples", body)).problem
        assert problem.slug in ("undecodable", "invalid")
        assert await logged(stage) == []

    async def test_what_is_not_a_finite_number_becomes_a_gap(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        await cast.agent.push(*((now + n, (value, 1.0)) for n, value in enumerate((1.0, NaN, INF, -INF, None, -0.0))))
        assert await values_of(stage, cast) == {now: 1.0, now + 5: 0.0}
        ((samples,),) = await stage.execute("select samples from samples.sample_log")
        assert samples == 8
        assert list((await values_of(stage, cast, "test.b")).values()) == [1.0] * 6

    async def test_a_batch_of_gaps_only_is_taken_and_shows_nothing(self, stage: HubStage, cast: Cast) -> None:
        assert (await cast.agent.push((stage.clock.now(), (None, NaN)))).status == 200
        assert await values_of(stage, cast) == {}
        latest = (await cast.viewer.client.get(f"/api/v1/servers/{cast.agent.server_id}/latest")).json()
        assert latest["series"] == []

    async def test_numbers_keep_every_bit(self, stage: HubStage, cast: Cast) -> None:
        now = stage.clock.now()
        numbers = [0.1, 1e308, 5e-324, -1.7976931348623157e308, 9007199254740993.0, 1 / 3]
        await cast.agent.push(*((now + n, (number, None)) for n, number in enumerate(numbers)))
        assert list((await values_of(stage, cast)).values()) == numbers
