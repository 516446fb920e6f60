"""What the buffer promises, on the real SQLite: every tick is brought exactly once, and none is lost but by age."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from twinwatch.agent.buffer import (
    BATCH_BYTES,
    BATCH_SAMPLES,
    KEPT_MILLISECONDS,
    Buffer,
    BufferUnusable,
    Parcel,
    Tick,
)
from twinwatch.protocol.samples import SeriesKey, Shape, shape_of

NOW = 1_767_225_600_000


def shape(name: str, width: int = 2) -> Shape:
    return shape_of(name, tuple(SeriesKey(f"{name}.value", {"n": str(n)}) for n in range(width)))


CPU, DISK = shape("cpu"), shape("disk", 3)


def tick(time: int, of: Shape = CPU, value: float | None = None) -> Tick:
    return Tick(of, time, [time if value is None else value] * len(of.series))


def times(parcel: Parcel | None) -> list[int]:
    return sorted(time for frame in parcel.frames for time in frame.times) if parcel else []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "buffer.sqlite3"


@pytest.fixture
def buffer(path: Path) -> Iterator[Buffer]:
    opened = Buffer(path, NOW)
    yield opened
    opened.close()


def test_a_fresh_buffer_numbers_from_the_present(buffer: Buffer) -> None:
    buffer.keep([tick(NOW)])
    parcel = buffer.next_batch()
    assert parcel is not None
    assert parcel.sequence == NOW


def test_an_unacknowledged_batch_is_repeated_as_it_was(buffer: Buffer, path: Path) -> None:
    buffer.keep([tick(NOW), tick(NOW, DISK)])
    first = buffer.next_batch()
    buffer.keep([tick(NOW + 1)])
    assert buffer.next_batch() is not first
    again = Buffer(path, NOW + 5)
    assert first is not None
    repeated = again.next_batch()
    assert repeated is not None
    assert (repeated.sequence, repeated.frames, repeated.shapes) == (first.sequence, first.frames, first.shapes)
    again.close()


def test_a_shape_travels_until_it_was_acknowledged_and_again_when_asked_for(buffer: Buffer) -> None:
    buffer.keep([tick(NOW)])
    first = buffer.next_batch()
    assert first is not None
    assert first.shapes == [CPU]
    buffer.acknowledged(first.sequence)
    buffer.keep([tick(NOW + 1)])
    second = buffer.next_batch()
    assert second is not None
    assert second.shapes == []
    buffer.forget_announced([CPU.id])
    repeated = buffer.next_batch()
    assert repeated is not None
    assert (repeated.sequence, repeated.shapes) == (second.sequence, [CPU])


def test_an_acknowledgement_of_another_number_changes_nothing(buffer: Buffer) -> None:
    buffer.keep([tick(NOW)])
    parcel = buffer.next_batch()
    assert parcel is not None
    assert not buffer.acknowledged(parcel.sequence + 1)
    assert not buffer.acknowledged(0)
    assert buffer.acknowledged(parcel.sequence)
    assert not buffer.acknowledged(parcel.sequence)
    assert buffer.figures().delivered == 1


def test_a_released_batch_comes_back_under_a_higher_number(buffer: Buffer) -> None:
    buffer.keep([tick(NOW + n) for n in range(4)])
    first = buffer.next_batch()
    assert first is not None
    buffer.release()
    half = buffer.next_batch(ticks=2)
    assert half is not None
    assert half.sequence > first.sequence
    assert half.more
    assert times(half) == [NOW, NOW + 1]


def test_ticks_set_aside_are_read_and_counted_but_never_sent(buffer: Buffer) -> None:
    buffer.keep([tick(NOW), tick(NOW + 1)])
    buffer.next_batch(ticks=1)
    buffer.set_aside()
    assert times(buffer.next_batch()) == [NOW + 1]
    assert buffer.figures().set_aside == 1
    assert [one.time for one in buffer.window(NOW, NOW + 2)] == [NOW, NOW + 1]


def test_ticks_outside_the_bounds_of_time_wait(buffer: Buffer) -> None:
    buffer.keep([tick(NOW + 10), tick(NOW), tick(NOW - 10)])
    assert times(buffer.next_batch(since=NOW - 5, until=NOW + 5)) == [NOW]
    assert buffer.figures().waiting == 2


def test_times_that_go_back_begin_a_new_frame(buffer: Buffer) -> None:
    buffer.keep([tick(NOW), tick(NOW + 5), tick(NOW + 2), tick(NOW + 2)])
    parcel = buffer.next_batch()
    assert parcel is not None
    assert [frame.times for frame in parcel.frames] == [[NOW, NOW + 5], [NOW + 2], [NOW + 2]]


def test_ints_stay_ints_and_no_sample_stays_none(buffer: Buffer) -> None:
    buffer.keep([Tick(DISK, NOW, [7, 2.5, None])])
    parcel = buffer.next_batch()
    assert parcel is not None
    assert parcel.frames[0].columns == [[7], [2.5], [None]]
    assert type(parcel.frames[0].columns[0][0]) is int


def test_a_batch_is_bounded_in_samples_and_bytes(buffer: Buffer) -> None:
    wide = shape("wide", 4_000)
    for n in range(20):
        buffer.keep([tick(NOW + n, wide, 0.1)])
    parcel = buffer.next_batch()
    assert parcel is not None
    assert parcel.more
    assert 4_000 < parcel.ticks * 4_000 <= BATCH_SAMPLES
    assert len(msgspec.msgpack.encode((parcel.frames, parcel.shapes))) < 2 * BATCH_BYTES


def test_a_tick_wider_than_any_bound_still_travels_alone(buffer: Buffer) -> None:
    huge = shape("huge", BATCH_SAMPLES + 1)
    buffer.keep([tick(NOW, huge), tick(NOW + 1)])
    assert times(buffer.next_batch()) == [NOW]


def test_age_takes_delivered_and_undelivered_ticks_and_counts_the_difference(buffer: Buffer) -> None:
    buffer.keep([tick(NOW), tick(NOW + 1)])
    parcel = buffer.next_batch(ticks=1)
    assert parcel is not None
    buffer.acknowledged(parcel.sequence)
    buffer.next_batch(ticks=1)
    buffer.set_aside()
    buffer.keep([tick(NOW + 2), tick(NOW + KEPT_MILLISECONDS)])
    trimmed = buffer.trim(NOW + KEPT_MILLISECONDS + 3)
    assert (trimmed.delivered, trimmed.dropped) == (2, 1)
    assert buffer.figures().dropped == 1
    assert [one.time for one in buffer.window(0, 2**60)] == [NOW + KEPT_MILLISECONDS]


def test_age_does_not_touch_the_batch_in_flight(buffer: Buffer) -> None:
    buffer.keep([tick(NOW)])
    first = buffer.next_batch()
    assert buffer.trim(NOW + 10 * KEPT_MILLISECONDS).dropped == 0
    assert times(buffer.next_batch()) == times(first) == [NOW]


def test_a_shape_that_was_trimmed_away_can_return(buffer: Buffer) -> None:
    buffer.keep([tick(NOW)])
    buffer.trim(NOW + 2 * KEPT_MILLISECONDS)
    buffer.keep([tick(NOW + 2 * KEPT_MILLISECONDS)])
    parcel = buffer.next_batch()
    assert parcel is not None
    assert parcel.shapes == [CPU]


def test_the_file_does_not_grow_once_it_holds_a_day(buffer: Buffer, path: Path) -> None:
    wide = shape("wide", 200)
    step = KEPT_MILLISECONDS // 200
    sizes = []
    for n in range(1_000):
        buffer.keep([tick(NOW + n * step, wide, 0.5)])
        parcel = buffer.next_batch()
        assert parcel is not None
        buffer.acknowledged(parcel.sequence)
        if n % 50 == 0:
            buffer.trim(NOW + n * step)
            sizes.append(path.stat().st_size)
    assert max(sizes[10:]) <= 1.3 * sizes[8]


def test_numbers_can_be_raised_and_never_fall(buffer: Buffer) -> None:
    buffer.raise_sequence(NOW + 1_000)
    buffer.raise_sequence(3)
    buffer.keep([tick(NOW)])
    parcel = buffer.next_batch()
    assert parcel is not None
    assert parcel.sequence == NOW + 1_001


@pytest.mark.parametrize("spoil", ["noise", "header", "middle"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(
    path: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = Buffer(path, NOW)
    first.keep([tick(NOW + n, shape("wide", 300)) for n in range(200)])
    first.close()
    content = bytearray(path.read_bytes())
    if spoil == "noise":
        content = bytearray(os.urandom(8_192))
    elif spoil == "header":
        content[:16] = b"not a database!!"
    else:
        content[4_096:40_960] = os.urandom(36_864)
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        second = Buffer(path, NOW + 7)
    assert f"set aside as {path}.damaged-{NOW + 7}" in caplog.text
    assert path.with_name(f"{path.name}.damaged-{NOW + 7}").read_bytes() == content
    second.keep([tick(NOW)])
    assert times(second.next_batch()) == [NOW]
    second.close()


def test_a_newer_schema_is_refused_with_the_remedy(path: Path) -> None:
    Buffer(path, NOW).close()
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()
    with pytest.raises(BufferUnusable, match="written by a newer twinwatch"):
        Buffer(path, NOW)


def test_a_path_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    buffer = Buffer(tmp_path / "missing" / "buffer.sqlite3", NOW)
    assert "unable to open" in buffer.trouble


def test_a_tick_that_fails_to_be_kept_leaves_nothing_of_its_run(buffer: Buffer) -> None:
    with pytest.raises(TypeError):
        buffer.keep([tick(NOW, DISK), Tick(CPU, NOW, [object()])])  # type: ignore[list-item]
    assert buffer.figures().collected == 0
    buffer.keep([tick(NOW, DISK)])
    assert times(buffer.next_batch()) == [NOW]


class Deliveries(RuleBasedStateMachine):
    """An agent's buffer and a hub's books, with everything that may go wrong between them.

    The hub counts a number once and ignores it afterwards. After every step the books and the accounts agree; at the
    end, once all is calm, the hub holds every tick that was kept and was not dropped by age, once.
    """

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "buffer.sqlite3"
        self.buffer = Buffer(self.path, NOW)
        self.now = NOW
        self.kept: list[int] = []
        self.hub: list[int] = []
        self.mark = 0
        self.dropped = 0
        self.aside: list[int] = []
        self.sent: Parcel | None = None

    def teardown(self) -> None:
        if not hasattr(self, "buffer"):
            return
        self.settle()
        lost = len(self.kept) - len(self.hub) - len(self.aside)
        assert lost == self.dropped
        assert sorted(self.hub) == sorted(set(self.hub))
        assert set(self.hub) | set(self.aside) <= set(self.kept)
        self.buffer.close()
        shutil.rmtree(self.folder)

    def settle(self) -> None:
        while (parcel := self.buffer.next_batch(ticks=3)) is not None:
            self.deliver(parcel)
            self.buffer.acknowledged(parcel.sequence)

    def deliver(self, parcel: Parcel) -> None:
        if parcel.sequence > self.mark:
            self.mark = parcel.sequence
            self.hub += times(parcel)

    @rule(count=st.integers(1, 4), minutes=st.integers(0, 300), other=st.booleans())
    def keep(self, count: int, minutes: int, other: bool) -> None:
        self.now += minutes * 60_000
        ticks = [tick(self.now + n, DISK if other else CPU) for n in range(count)]
        self.now += count
        self.buffer.keep(ticks)
        self.kept += [one.time for one in ticks]

    @rule(count=st.integers(1, 5))
    def batch(self, count: int) -> None:
        parcel = self.buffer.next_batch(ticks=count)
        if self.sent is not None:
            assert parcel is not None
            assert (parcel.sequence, parcel.frames) == (self.sent.sequence, self.sent.frames)
        self.sent = parcel

    @rule()
    def answer(self) -> None:
        if self.sent is not None:
            self.deliver(self.sent)
            assert self.buffer.acknowledged(self.sent.sequence)
            self.sent = None

    @rule()
    def lose_the_answer(self) -> None:
        if self.sent is not None:
            self.deliver(self.sent)

    @rule(aside=st.booleans())
    def refuse(self, aside: bool) -> None:
        if self.sent is not None and self.sent.sequence > self.mark:
            if aside:
                self.aside += times(self.sent)
                self.buffer.set_aside()
            else:
                self.buffer.release()
            self.sent = None

    @rule()
    def reopen(self) -> None:
        self.buffer.close()
        self.buffer = Buffer(self.path, self.now)

    @rule()
    def crash(self) -> None:
        """What is on the disk at this moment goes on; the process does not."""
        fresh = Path(tempfile.mkdtemp())
        for part in self.folder.iterdir():
            if not part.name.endswith("-shm"):
                shutil.copy(part, fresh)
        self.buffer.close()
        shutil.rmtree(self.folder)
        self.folder, self.path = fresh, fresh / self.path.name
        self.buffer = Buffer(self.path, self.now)

    @rule()
    def trim(self) -> None:
        self.dropped += self.buffer.trim(self.now).dropped

    @invariant()
    def the_accounts_agree(self) -> None:
        if not hasattr(self, "buffer"):
            return
        figures = self.buffer.figures()
        fates = figures.delivered + figures.waiting + figures.in_flight + figures.dropped + figures.set_aside
        assert figures.collected == len(self.kept) == fates
        assert figures.dropped == self.dropped
        assert figures.set_aside == len(self.aside)
        assert len(self.hub) >= figures.delivered


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
