"""What every sample store must do (HOUSE.md, section 3): the fake and the real ones, in one file."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from twinwatch.hub.measuring import beside, rated
from twinwatch.hub.stores import Last, Measure, Misused, Points, Retention, Window
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.postgres import Cluster

from .grounds import GROUNDS, opened
from .store_ground import DAY, HOUR, Ground, Server

MINUTE = 60_000


@pytest.fixture(params=GROUNDS, ids=lambda kind: kind.name)
async def ground(request: pytest.FixtureRequest, cluster: Cluster) -> AsyncIterator[Ground]:
    async with opened(request, cluster) as ground:
        yield ground


def listed(points: Points) -> list[list[float | None]]:
    """Rows of values, a gap as None."""
    return [[None if np.isnan(value) else float(value) for value in row] for row in points.values]


async def test_a_batch_written_twice_counts_once(ground: Ground) -> None:
    server = await ground.server()
    arrival = server.arrival(("a" * 16, [(EPOCH, (1.0, 2.0))]))
    (first,) = await ground.store.write([arrival])
    (second,) = await ground.store.write([arrival])
    assert (first.mark, first.fresh, second.mark, second.fresh) == (1, True, 1, False)
    assert (await ground.store.stats()).samples == 2


async def test_a_lower_number_changes_nothing(ground: Ground) -> None:
    server = await ground.server()
    await ground.store.write([server.arrival(("a" * 16, [(EPOCH, (1.0, 2.0))]), sequence=10)])
    (verdict,) = await ground.store.write([server.arrival(("a" * 16, [(EPOCH + 1, (3.0, 4.0))]), sequence=9)])
    assert (verdict.mark, verdict.fresh) == (10, False)
    assert list((await server.read(EPOCH, EPOCH + 10)).times) == [EPOCH]


async def test_a_server_that_is_gone_has_no_mark_and_others_of_the_group_are_kept(ground: Ground) -> None:
    here, gone = await ground.server(), await ground.server()
    await ground.gone(gone)
    arrivals = [one.arrival(("a" * 16, [(EPOCH, (1.0, 2.0))])) for one in (gone, here)]
    verdicts = await ground.store.write(arrivals)
    assert [(one.mark, one.fresh) for one in verdicts] == [(None, False), (1, True)]


async def test_a_server_of_another_organization_is_not_written_to(ground: Ground) -> None:
    mine, other = await ground.server(), await ground.server()
    crossed = Server(ground, mine.organization_id, other.id, other.series)
    (verdict,) = await ground.store.write([crossed.arrival(("a" * 16, [(EPOCH, (1.0, 2.0))]))])
    assert (verdict.mark, verdict.fresh) == (None, False)
    assert len((await other.read(EPOCH, EPOCH + 10)).times) == 0


async def test_servers_of_like_shape_never_meet(ground: Ground) -> None:
    one, other = await ground.server(), await ground.server()
    await one.push((EPOCH, (1.0, 2.0)))
    await other.push((EPOCH, (3.0, 4.0)))
    assert listed(await one.read(EPOCH, EPOCH + 1)) == [[1.0], [2.0]]
    assert listed(await other.read(EPOCH, EPOCH + 1)) == [[3.0], [4.0]]
    foreign = await ground.store.read(one.id, other.series, Window(EPOCH, EPOCH + 1, 10))
    assert listed(foreign) == [[], []]
    latest = await ground.store.latest([one.id, other.id])
    assert {server: sorted(last.value for last in some) for server, some in latest.items()} == {
        one.id: [1.0, 2.0],
        other.id: [3.0, 4.0],
    }


async def test_an_empty_store_answers_with_nothing(ground: Ground) -> None:
    server = await ground.server()
    points = await server.read(EPOCH, EPOCH + DAY)
    assert points.times.shape == (0,)
    assert points.values.shape == (2, 0)
    assert points.step == 0
    none = await ground.store.read(server.id, [], Window(EPOCH, EPOCH + DAY, 100_000))
    assert none.values.shape == (0, 0)
    assert await ground.store.latest([server.id]) == {server.id: []}
    assert await ground.store.latest([]) == {}
    assert await ground.store.write([]) == []
    stats = await ground.store.stats()
    assert (stats.samples, stats.oldest) == (0, None)


async def test_samples_come_back_in_the_order_of_time_however_they_came(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH + 30, (3.0, 30.0)), (EPOCH + 40, (4.0, 40.0)))
    await server.push((EPOCH + 10, (1.0, 10.0)), (EPOCH + 50, (5.0, 50.0)))
    await server.push((EPOCH + 20, (2.0, 20.0)))
    points = await server.read(EPOCH, EPOCH + 100)
    assert list(points.times - EPOCH) == [10, 20, 30, 40, 50]
    assert listed(points) == [[1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0, 30.0, 40.0, 50.0]]


async def test_series_are_answered_in_the_order_in_which_they_were_asked(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH, (1.0, 2.0)))
    points = await ground.store.read(server.id, server.series[::-1], Window(EPOCH, EPOCH + 1, 10))
    assert listed(points) == [[2.0], [1.0]]


async def test_shapes_that_share_a_series_are_one_line(ground: Ground) -> None:
    server = await ground.server()
    frames = [("a" * 16, [(EPOCH, (1.0, 10.0))]), ("b" * 16, [(EPOCH + 1, (20.0, 2.0))])]
    await ground.store.write([server.arrival(*frames)])
    assert listed(await server.read(EPOCH, EPOCH + 2)) == [[1.0, 2.0], [10.0, 20.0]]


async def test_gaps_stay_gaps(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH, (1.0, None)), (EPOCH + 1, (None, None)), (EPOCH + 2, (None, 2.0)))
    points = await server.read(EPOCH, EPOCH + 10)
    assert list(points.times) == [EPOCH, EPOCH + 2], "where there is no sample at all there is no point"
    assert listed(points) == [[1.0, None], [None, 2.0]]


async def test_a_window_holds_its_start_and_not_its_end(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push(*((EPOCH + n, (float(n),)) for n in range(5)))
    assert listed(await server.read(EPOCH + 1, EPOCH + 4)) == [[1.0, 2.0, 3.0]]
    assert listed(await server.read(EPOCH + 1, EPOCH + 2)) == [[1.0]]
    assert listed(await server.read(EPOCH - 1, EPOCH)) == [[]]


@pytest.mark.parametrize("window", [(1, 1, 1), (2, 1, 1), (0, 1, 0), (0, 1, -1)])
def test_a_window_without_meaning_is_refused(window: tuple[int, int, int]) -> None:
    with pytest.raises(Misused):
        Window(*window)


async def test_late_samples_are_read_at_their_own_time(ground: Ground) -> None:
    server = await ground.server(1)
    arrived = EPOCH + 40 * HOUR
    await server.push((arrived, (2.0,)), received_at=arrived)
    await server.push((EPOCH, (1.0,)), received_at=arrived + 1)
    assert listed(await server.read(EPOCH, EPOCH + HOUR)) == [[1.0]]
    assert listed(await server.read(EPOCH, arrived + 1)) == [[1.0, 2.0]]


async def test_a_sample_from_a_clock_ahead_is_found_too(ground: Ground) -> None:
    server = await ground.server(1)
    ahead = EPOCH + 300_000
    await server.push((ahead, (1.0,)), received_at=EPOCH)
    assert listed(await server.read(ahead, ahead + 1)) == [[1.0]]


async def test_of_two_samples_at_one_time_one_stays_and_is_always_the_same(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)), received_at=EPOCH)
    await server.push((EPOCH, (2.0,)), received_at=EPOCH + 1)
    found = listed(await server.read(EPOCH, EPOCH + 1))
    assert found in ([[1.0]], [[2.0]])
    assert listed(await server.read(EPOCH, EPOCH + HOUR, 1)) == found


async def test_the_latest_is_the_newest_sample_of_each_series(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH, (1.0, 10.0)), received_at=EPOCH)
    await server.push((EPOCH + 2, (3.0, None)), received_at=EPOCH + 1)
    await server.push((EPOCH + 1, (2.0, None)), (EPOCH + 3, (None, None)), received_at=EPOCH + 2)
    a, b = server.series
    found = (await ground.store.latest([server.id]))[server.id]
    assert sorted(found, key=lambda one: one.series_id) == [Last(a, EPOCH + 2, 3.0), Last(b, EPOCH, 10.0)]


async def test_the_latest_of_one_server_has_what_is_sent_seldom(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH, (1.0, 10.0)), received_at=EPOCH)
    for step in range(1, 40):
        await server.push((EPOCH + step * 15_000, (float(step), None)), received_at=EPOCH + step * 15_000)
    a, b = server.series
    found = (await ground.store.latest([server.id]))[server.id]
    assert sorted(found, key=lambda one: one.series_id) == [Last(a, EPOCH + 39 * 15_000, 39.0), Last(b, EPOCH, 10.0)]


async def test_a_gap_at_the_end_of_a_frame_does_not_hide_what_came_before_it(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)), (EPOCH + 1, (None,)))
    assert await ground.store.latest([server.id]) == {server.id: [Last(server.series[0], EPOCH, 1.0)]}


async def test_the_latest_of_some_series_is_of_no_other(ground: Ground) -> None:
    one, other = await ground.server(), await ground.server()
    await one.push((EPOCH, (1.0, 10.0)))
    await other.push((EPOCH, (2.0, 20.0)))
    asked = [one.series[1], other.series[0]]
    assert await ground.store.latest([one.id, other.id], asked) == {
        one.id: [Last(one.series[1], EPOCH, 10.0)],
        other.id: [Last(other.series[0], EPOCH, 2.0)],
    }
    assert await ground.store.latest([one.id], []) == {one.id: []}


async def test_what_is_forgotten_is_gone_and_others_are_kept(ground: Ground) -> None:
    one, other = await ground.server(1), await ground.server(1)
    await one.push((EPOCH, (1.0,)))
    await other.push((EPOCH, (2.0,)))
    await ground.store.forget(one.id)
    assert listed(await one.read(EPOCH, EPOCH + 1)) == [[]]
    assert await ground.store.latest([one.id]) == {one.id: []}
    assert listed(await other.read(EPOCH, EPOCH + 1)) == [[2.0]]


async def test_stats_tell_how_much_is_kept_and_since_when(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH - 50, (1.0, None)), (EPOCH, (2.0, 3.0)))
    stats = await ground.store.stats()
    assert (stats.samples, stats.oldest) == (3, EPOCH - 50)
    assert (stats.size_bytes > 0) == ground.tells_size


async def test_tending_ends_what_is_past_keeping_and_nothing_else(ground: Ground) -> None:
    server = await ground.server(1)
    for day in range(5):
        now = EPOCH + day * DAY
        await ground.store.tend(now, Retention(400))
        await server.push((now, (float(day),)), received_at=now)
    await ground.store.tend(EPOCH + 4 * DAY, Retention(2))
    kept = listed(await server.read(EPOCH, EPOCH + 5 * DAY))[0]
    assert kept[-2:] == [3.0, 4.0]
    assert 0.0 not in kept
    assert 1.0 not in kept
    await ground.store.tend(EPOCH + 4 * DAY, Retention(2))
    assert listed(await server.read(EPOCH, EPOCH + 5 * DAY))[0] == kept


async def test_each_organization_keeps_its_samples_as_long_as_it_may(ground: Ground) -> None:
    short, long = await ground.server(1), await ground.server(1)
    retention = Retention(2, {long.organization_id: 90})
    now = EPOCH + 20 * DAY
    for day in range(0, 21, 2):
        for server in (short, long):
            time = EPOCH + day * DAY
            await server.push((time, (float(day),)), received_at=time)
    await ground.store.tend(now, retention)
    assert listed(await long.read(EPOCH, now + 1))[0] == [float(day) for day in range(0, 21, 2)]
    kept = listed(await short.read(EPOCH, now + 1))[0]
    assert kept[-2:] == [18.0, 20.0]
    assert len(kept) <= 3, "what is past keeping may stay a day longer"


async def test_a_clock_that_is_ahead_ends_nothing(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)))
    await ground.store.tend(EPOCH + 800 * DAY, Retention(7, {server.organization_id: 90}, latest=EPOCH + DAY))
    assert listed(await server.read(EPOCH, EPOCH + 1)) == [[1.0]]


async def test_a_longer_plan_keeps_what_is_still_there_and_a_shorter_one_ends_it(ground: Ground) -> None:
    server = await ground.server(1)
    for day in range(0, 10, 3):
        await server.push((EPOCH + day * DAY, (float(day),)), received_at=EPOCH + day * DAY)
    now = EPOCH + 9 * DAY
    await ground.store.tend(now, Retention(7, {server.organization_id: 90}))
    await ground.store.tend(now, Retention(90, {server.organization_id: 30}))
    assert len((await server.read(EPOCH, now + 1)).times) == 4
    await ground.store.tend(now, Retention(90, {server.organization_id: 3}))
    assert len((await server.read(EPOCH, now + 1)).times) <= 2


async def test_stats_of_one_organization_are_of_no_other(ground: Ground) -> None:
    one, other = await ground.server(), await ground.server(1)
    await one.push((EPOCH, (1.0, 2.0)))
    await other.push((EPOCH - 5, (3.0,)))
    mine = await ground.store.stats(one.organization_id)
    assert (mine.samples, mine.oldest) == (2, EPOCH)
    assert (await ground.store.stats()).samples == 3


async def test_servers_of_one_organization_are_kept_apart(ground: Ground) -> None:
    one = await ground.server(1)
    other = await ground.server(1, one.organization_id)
    await one.push((EPOCH, (1.0,)))
    await other.push((EPOCH, (2.0,)))
    assert listed(await one.read(EPOCH, EPOCH + 1)) == [[1.0]]
    assert listed(await other.read(EPOCH, EPOCH + 1)) == [[2.0]]


MEASURED: dict[Measure, list[float]] = {
    "mean": [2.0, 10.0],
    "min": [1.0, 10.0],
    "max": [3.0, 10.0],
    "sum": [6.0, 10.0],
    "count": [3.0, 1.0],
}


async def test_a_bucket_is_measured_as_asked(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)), (EPOCH + 1, (3.0,)), (EPOCH + 2, (2.0,)), (EPOCH + DAY, (10.0,)))
    for measure, expected in MEASURED.items():
        points = await server.read(EPOCH, EPOCH + 2 * DAY, 2, measure)
        assert (points.step, list(points.times)) == (DAY, [EPOCH, EPOCH + DAY])
        assert listed(points) == [expected], measure


async def test_a_sample_as_it_came_is_its_own_measure(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (5.0,)))
    for measure in MEASURED:
        found = listed(await server.read(EPOCH, EPOCH + 1, 10, measure))
        assert found == [[1.0 if measure == "count" else 5.0]], measure


async def test_a_counter_that_rises_steadily_has_one_rate_up_to_its_last_whole_bucket(ground: Ground) -> None:
    server = await ground.server(1)
    last = EPOCH + 2 * HOUR + 5 * MINUTE
    ticks = [(time, ((time - EPOCH) / 1000,)) for time in range(EPOCH - HOUR, last, 20_000)]
    await server.push(*ticks, received_at=last)
    for points, step in ((12, 10 * MINUTE), (6, 30 * MINUTE), (3, HOUR)):
        for to in (EPOCH + 2 * HOUR, last, last + HOUR // 2):
            window = Window(EPOCH, to, points + (to > EPOCH + 2 * HOUR), "max")
            found = await ground.store.read(server.id, server.series, window)
            around = [
                await ground.store.read(server.id, server.series, one) for one in beside(found, window, last + HOUR)
            ]
            rates = rated(found, around, last + HOUR)
            whole = rates.times + rates.step <= last
            assert rates.step >= step // 2
            assert_same(ground, Points(rates.times, rates.values[:, whole], 0), [[1.0] * int(whole.sum())])
            assert np.isnan(rates.values[:, ~whole]).all()


async def test_buckets_are_whole_at_either_end_of_the_window(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push(*((EPOCH + minute * 60_000, (float(minute),)) for minute in range(60)))
    points = await ground.store.read(server.id, server.series, Window(EPOCH + 1_000, EPOCH + HOUR - 1_000, 10))
    assert points.step == 600_000
    assert listed(points) == [[4.5 + 10 * n for n in range(6)]]


async def test_an_axis_can_be_asked_for(ground: Ground) -> None:
    server = await ground.server(1)
    await server.push((EPOCH, (1.0,)), (EPOCH + 30_000, (3.0,)))
    points = await ground.store.read(server.id, server.series, Window(EPOCH, EPOCH + 180_000, 100, least_step=60_000))
    assert (points.step, list(points.times - EPOCH)) == (60_000, [0, 60_000, 120_000])
    assert listed(points) == [[2.0, None, None]]


EXACT = [0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53, -(2.0**53), 123456.789, 1e-9, 7.0, -7.0, 0.0003]


BEYOND: dict[Measure, float] = {"sum": math.inf, "mean": math.inf, "max": 1.7e308, "count": 2.0}
USUAL = [0.1, 1 / 3, 0.0, 123456.789, 1e-6, 7.0, -7.0, 0.0003, 98304.0 * 4096]


def assert_same(ground: Ground, points: Points, expected: list[list[Any]]) -> None:
    """To the last bit, where the engine keeps it."""
    np.testing.assert_allclose(points.values, expected, rtol=0.0 if ground.is_exact else 1e-9)


async def test_values_come_back_to_the_last_bit(ground: Ground) -> None:
    server = await ground.server(1)
    values = EXACT if ground.is_exact else USUAL
    await server.push(*((EPOCH + n, (value,)) for n, value in enumerate(values)))
    assert_same(ground, await server.read(EPOCH, EPOCH + HOUR), [values])


async def test_whole_numbers_and_broken_ones_are_both_kept(ground: Ground) -> None:
    server = await ground.server()
    await server.push(*((EPOCH + n, (float(n * 4096), n / 7)) for n in range(200)))
    expected = [[float(n * 4096) for n in range(200)], [n / 7 for n in range(200)]]
    assert_same(ground, await server.read(EPOCH, EPOCH + HOUR), expected)


async def test_what_is_no_number_is_no_sample(ground: Ground) -> None:
    server = await ground.server()
    await server.push((EPOCH, (math.nan, 2.0)), (EPOCH + 1, (1.0, math.nan)), (EPOCH + 2, (math.nan, math.nan)))
    points = await server.read(EPOCH, EPOCH + HOUR)
    assert list(points.times) == [EPOCH, EPOCH + 1]
    assert listed(points) == [[None, 1.0], [2.0, None]]
    counted = await server.read(EPOCH, EPOCH + DAY, 1, "count")
    assert listed(counted) == [[1.0], [1.0]]
    filled = np.array([[math.nan, 7.0], [math.nan, math.nan]])
    await ground.store.fill(
        server.organization_id, server.id, server.series, Points(np.array([EPOCH + 3, EPOCH + 4]), filled, 0)
    )
    assert listed(await server.read(EPOCH + 3, EPOCH + HOUR)) == [[7.0], [None]]


async def test_a_sum_beyond_all_numbers_is_infinite(ground: Ground) -> None:
    if not ground.is_exact:
        pytest.skip("values so great are not kept")
    server = await ground.server(1)
    await server.push((EPOCH, (1.7e308,)), (EPOCH + 1, (1.7e308,)))
    await ground.settle(EPOCH + 4 * DAY)
    for measure, expected in BEYOND.items():
        assert listed(await server.read(EPOCH, EPOCH + DAY, 1, measure)) == [[expected]]


async def test_what_another_store_held_is_filled_in_once_however_often_it_comes(ground: Ground) -> None:
    server = await ground.server(2)
    await server.push((EPOCH, (1.0, None)), (EPOCH + 1, (2.0, 20.0)))
    values = np.array([[1.0, 2.0, 3.0, np.nan], [10.0, 20.0, np.nan, 40.0]])
    points = Points(np.array([EPOCH, EPOCH + 1, EPOCH + 2, EPOCH + DAY]), values, 0)
    for _ in range(3):
        await ground.store.fill(server.organization_id, server.id, server.series, points)
        await ground.settle(EPOCH + 4 * DAY)
    for _ in range(2):
        found = await server.read(EPOCH, EPOCH + DAY + 1)
        assert listed(found) == [[1.0, 2.0, 3.0, None], [10.0, 20.0, None, 40.0]]
    counted = await server.read(EPOCH, EPOCH + 2 * DAY, 2, "count")
    assert listed(counted) == [[3.0, None], [2.0, 1.0]]


async def test_what_one_store_has_can_be_filled_into_another(ground: Ground) -> None:
    one, other = await ground.server(1), await ground.server(1)
    await one.push(*((EPOCH + n * 1_000, (n / 3,)) for n in range(100)))
    points = await one.read(EPOCH, EPOCH + HOUR)
    await ground.store.fill(other.organization_id, other.id, other.series, points)
    assert_same(ground, await other.read(EPOCH, EPOCH + HOUR), listed(points))
