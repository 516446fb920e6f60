"""A disk that is full, read-only, broken or corrupt: the buffer goes on, counts what is lost, repeats nothing."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_buffer import CPU, DISK, NOW, shape, tick, times
from twinwatch.agent.buffer import Buffer
from twinwatch.protocol.checks import CheckStanding
from twinwatch.testing.faulty_disk import Fault, FaultyDisk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "buffer.sqlite3"


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


FAULTS: list[Fault] = ["full", "full at commit", "read-only", "broken"]


def fates(buffer: Buffer) -> int:
    figures = buffer.figures()
    return figures.delivered + figures.waiting + figures.in_flight + figures.dropped + figures.set_aside


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_disk_keeps_the_newest_in_memory_and_writes_them_when_it_heals(
    path: Path, disk: FaultyDisk, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    buffer.keep([tick(NOW)])
    disk.fault = fault
    for n in range(1, 30):
        buffer.keep([tick(NOW + n)])
    assert buffer.trouble
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert buffer.figures().collected == fates(buffer) == 30
    assert [one.time for one in buffer.window(NOW + 1, NOW + 99)] == list(range(NOW + 1, NOW + 30))
    disk.fault = ""
    for n in range(30, 40):
        buffer.keep([tick(NOW + n)])
    assert not buffer.trouble
    buffer.close()
    again = Buffer(path, NOW + 50)
    assert times(again.next_batch()) == list(range(NOW, NOW + 40))
    assert again.figures().collected == 40
    again.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_disk_does_not_keep_ticks_from_the_hub(path: Path, disk: FaultyDisk, fault: Fault) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    buffer.keep([tick(NOW)])
    first = buffer.next_batch()
    assert first is not None
    buffer.acknowledged(first.sequence)
    disk.fault = fault
    buffer.keep([tick(NOW + 1)])
    second = buffer.next_batch()
    assert second is not None
    assert second.sequence > first.sequence
    assert (times(second), second.shapes) == ([NOW + 1], [CPU])
    assert buffer.next_batch() == second
    assert buffer.acknowledged(second.sequence)
    assert buffer.next_batch() is None
    disk.fault = ""
    buffer.keep([tick(NOW + 2)])
    third = buffer.next_batch()
    assert third is not None
    assert third.sequence > second.sequence
    assert times(third) == [NOW + 2]
    assert (buffer.figures().delivered, fates(buffer)) == (2, 3)
    assert [one.time for one in buffer.window(NOW + 1, NOW + 9)] == [NOW + 1, NOW + 2]
    buffer.close()


def test_a_batch_from_memory_stays_the_same_batch_when_the_disk_heals(path: Path, disk: FaultyDisk) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    disk.fault = "full"
    buffer.keep([tick(NOW), tick(NOW + 1, DISK)])
    sent = buffer.next_batch(ticks=1)
    disk.fault = ""
    buffer.keep([tick(NOW + 2)])
    buffer.trim(NOW)
    assert not buffer.trouble
    assert sent is not None
    repeated = buffer.next_batch()
    assert repeated is not None
    assert (repeated.sequence, repeated.frames) == (sent.sequence, sent.frames)
    buffer.close()
    inherited = Buffer(path, NOW + 10).next_batch()
    assert inherited is not None
    assert (inherited.sequence, inherited.frames, inherited.inherited) == (sent.sequence, sent.frames, True)


@pytest.mark.parametrize("becomes", ["acknowledged", "release", "set_aside"])
def test_a_fate_that_could_not_be_written_is_not_forgotten(path: Path, disk: FaultyDisk, becomes: str) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    buffer.keep([tick(NOW)])
    sent = buffer.next_batch()
    assert sent is not None
    disk.fault = "read-only"
    getattr(buffer, becomes)(*([sent.sequence] if becomes == "acknowledged" else []))
    buffer.keep([tick(NOW + 1)])
    assert fates(buffer) == 2
    figures = buffer.figures()
    assert (figures.delivered, figures.waiting, figures.set_aside) == {
        "acknowledged": (1, 1, 0),
        "release": (0, 2, 0),
        "set_aside": (0, 1, 1),
    }[becomes]
    newest = buffer.next_batch()
    assert times(newest) == [NOW + 1]
    assert newest is not None
    assert buffer.acknowledged(newest.sequence)
    disk.fault = ""
    buffer.trim(NOW)
    following = buffer.next_batch()
    assert times(following) == ([NOW] if becomes == "release" else [])
    assert following is None or following.sequence > newest.sequence
    buffer.close()


def test_memory_is_bounded_and_what_it_pushes_out_is_counted(path: Path, disk: FaultyDisk) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect, spare_ticks=100)
    disk.fault = "broken"
    for n in range(1_000):
        buffer.keep([tick(NOW + n)])
    held = buffer.window(0, 2**60)
    assert 90 <= len(held) <= 100
    assert held[-1].time == NOW + 999
    delivery = buffer.delivery()
    assert (delivery.collected, delivery.dropped) == (1_000, 1_000 - len(held))
    disk.fault = ""
    buffer.trim(NOW)
    assert buffer.delivery().dropped == 1_000 - len(held)
    assert buffer.delivery().pending == len(held)
    buffer.close()


def test_a_file_that_becomes_corrupt_in_mid_run_is_set_aside_and_the_batch_under_way_saved(
    path: Path, disk: FaultyDisk, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    buffer.keep([tick(NOW + n) for n in range(10)])
    delivered = buffer.next_batch(ticks=2)
    assert delivered is not None
    buffer.acknowledged(delivered.sequence)
    sent = buffer.next_batch(ticks=3)
    assert sent is not None
    disk.damage()
    buffer.keep([tick(NOW + 10)])
    assert f"set aside as {path}.damaged-{NOW}" in caplog.text
    assert path.with_name(f"{path.name}.damaged-{NOW}").exists()
    assert not buffer.trouble
    again = buffer.next_batch()
    assert again is not None
    assert (again.sequence, again.frames) == (sent.sequence, sent.frames)
    assert buffer.acknowledged(sent.sequence)
    assert times(buffer.next_batch()) == [NOW + 10]
    figures = buffer.figures()
    assert (figures.collected, figures.delivered, figures.dropped) == (11, 5, 5)
    assert fates(buffer) == 11
    buffer.close()


@pytest.mark.parametrize("becomes", ["acknowledged", "release", "set_aside"])
def test_an_answer_that_finds_the_file_corrupt_still_counts(path: Path, disk: FaultyDisk, becomes: str) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    buffer.keep([tick(NOW), tick(NOW + 1)])
    sent = buffer.next_batch(ticks=1)
    assert sent is not None
    disk.damage()
    getattr(buffer, becomes)(*([sent.sequence] if becomes == "acknowledged" else []))
    figures = buffer.figures()
    assert (figures.delivered, figures.waiting, figures.set_aside, figures.dropped) == {
        "acknowledged": (1, 0, 0, 1),
        "release": (0, 1, 0, 1),
        "set_aside": (0, 0, 1, 1),
    }[becomes]
    assert fates(buffer) == figures.collected == 2
    buffer.close()


def test_pages_that_are_really_spoilt_under_the_open_file_end_no_caller(path: Path) -> None:
    buffer = Buffer(path, NOW)
    wide = shape("wide", 300)
    for n in range(300):
        buffer.keep([tick(NOW + n, wide)])
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(os.urandom(max(0, path.stat().st_size - 4_096)))
    for ending in ("-wal",):
        with path.with_name(path.name + ending).open("r+b") as file:
            file.write(os.urandom(path.with_name(path.name + ending).stat().st_size))
    for n in range(300, 400):
        buffer.keep([tick(NOW + n, wide)])
        buffer.next_batch(ticks=10)
    figures = buffer.figures()
    assert figures.collected == fates(buffer) == 400
    assert list(path.parent.glob("*.damaged-*"))
    buffer.close()


def test_the_accounts_of_a_damaged_file_are_taken_over_where_they_can_be_read(path: Path) -> None:
    buffer = Buffer(path, NOW)
    wide = shape("wide", 300)
    for n in range(200):
        buffer.keep([tick(NOW + n, wide)])
    sent = buffer.next_batch(ticks=50)
    assert sent is not None
    buffer.acknowledged(sent.sequence)
    buffer.close()
    content = bytearray(path.read_bytes())
    content[-400_000:] = os.urandom(400_000)
    path.write_bytes(content)
    again = Buffer(path, NOW + 999)
    figures = again.figures()
    assert (figures.collected, figures.delivered, figures.dropped) == (200, 50, 150)
    again.close()


def test_a_disk_that_spoils_every_file_does_not_fill_up_with_them(path: Path, disk: FaultyDisk) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    for n in range(40):
        disk.damage()
        buffer.keep([tick(NOW + n)])
    assert len(list(path.parent.glob("*.damaged-*"))) <= 8 * 3
    assert buffer.figures().collected == fates(buffer) == 40
    buffer.close()


def test_a_full_disk_is_used_again_for_what_is_new(path: Path) -> None:
    """Real SQLITE_FULL: the file may not grow, so what the hub has makes room."""

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = sqlite3.connect(*args, **kwargs)
        db.execute("pragma max_page_count = 100")
        return db

    buffer = Buffer(path, NOW, connect=connect)
    wide = shape("wide", 100)
    for n in range(2_000):
        buffer.keep([tick(NOW + n, wide, 0.5)])
        parcel = buffer.next_batch()
        assert parcel is not None
        buffer.acknowledged(parcel.sequence)
    assert path.stat().st_size <= 100 * 4_096
    assert not buffer.trouble
    figures = buffer.figures()
    assert (figures.collected, figures.delivered, figures.dropped) == (2_000, 2_000, 0)
    buffer.close()


def test_the_size_is_bounded_delivered_ticks_go_first_and_what_is_lost_is_counted(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    most = 4 << 20
    buffer = Buffer(path, NOW, most_bytes=most)
    wide = shape("wide", 500)
    for n in range(500):
        buffer.keep([tick(NOW + n, wide, 0.5)])
    parcel = buffer.next_batch(ticks=10)
    assert parcel is not None
    buffer.acknowledged(parcel.sequence)
    for n in range(500, 3_000):
        buffer.keep([tick(NOW + n, wide, 0.5)])
    assert path.stat().st_size < most
    figures = buffer.figures()
    assert figures.dropped > 0
    assert fates(buffer) == figures.collected == 3_000
    left = [one.time for one in buffer.window(0, 2**60)]
    assert left == list(range(left[0], NOW + 3_000))
    assert [record.getMessage() for record in caplog.records if "reached its size" in record.getMessage()]
    assert buffer.size_bytes() < most + (4 << 20)
    buffer.close()


def test_a_lowered_bound_makes_the_file_smaller(path: Path) -> None:
    wide = shape("wide", 500)
    buffer = Buffer(path, NOW)
    for n in range(3_000):
        buffer.keep([tick(NOW + n, wide, 0.5)])
    buffer.close()
    before = path.stat().st_size
    smaller = Buffer(path, NOW, most_bytes=before // 4)
    smaller.trim(NOW)
    smaller.close()
    assert path.stat().st_size < before / 3


@pytest.mark.parametrize("fault", FAULTS)
def test_numbers_from_memory_are_never_given_again_after_a_crash(path: Path, disk: FaultyDisk, fault: Fault) -> None:
    given: list[int] = []
    for life in range(5):
        present = NOW + life * 60_000
        disk.fault = ""
        buffer = Buffer(path, present, connect=disk.connect)
        if life % 2:
            buffer.keep([tick(present)])
            parcel = buffer.next_batch()
            assert parcel is not None
            given.append(parcel.sequence)
            buffer.acknowledged(parcel.sequence)
        disk.fault = fault
        for n in range(1, 4):
            buffer.keep([tick(present + n)])
            parcel = buffer.next_batch()
            assert parcel is not None
            given.append(parcel.sequence)
            buffer.acknowledged(parcel.sequence)
        # The process ends here: nothing is closed.
    assert given == sorted(set(given))


@pytest.mark.parametrize("fault", ["full", "full at commit", "read-only"])
def test_a_file_that_cannot_be_written_from_the_start_gives_no_number_twice(
    path: Path, disk: FaultyDisk, fault: Fault
) -> None:
    Buffer(path, NOW, connect=disk.connect).close()
    disk.fault = fault
    given: list[int] = []
    for life in range(5):
        buffer = Buffer(path, NOW + 1 + life, connect=disk.connect)
        assert buffer.trouble
        buffer.keep([tick(NOW + life)])
        parcel = buffer.next_batch()
        assert parcel is not None
        given.append(parcel.sequence)
    assert given == sorted(set(given))


def test_schema_1_is_brought_up_and_keeps_what_it_holds(path: Path) -> None:
    buffer = Buffer(path, NOW)
    buffer.keep([tick(NOW), tick(NOW + 1)])
    sent = buffer.next_batch(ticks=1)
    buffer.close()
    with sqlite3.connect(path) as db:
        db.execute("drop table checks")
        db.execute("pragma user_version = 1")
    db.close()
    again = Buffer(path, NOW + 5)
    parcel = again.next_batch()
    assert sent is not None
    assert parcel is not None
    assert (parcel.sequence, parcel.frames) == (sent.sequence, sent.frames)
    again.keep_checks([CheckStanding("a:b", "a", "up")])
    assert again.figures().collected == 2
    again.close()


def test_checks_survive_a_restart_and_a_failing_disk(path: Path, disk: FaultyDisk) -> None:
    one, two = CheckStanding("a:1", "a", "up", since=NOW), CheckStanding("a:2", "a", "down", "gone", "x", NOW)
    buffer = Buffer(path, NOW, connect=disk.connect)
    assert buffer.checks() == []
    buffer.keep_checks([one, two])
    disk.fault = "full"
    buffer.keep_checks([two])
    assert buffer.checks() == [two]
    disk.fault = ""
    buffer.close()
    again = Buffer(path, NOW)
    assert again.checks() == [two]
    again.keep_checks([])
    again.close()
    last = Buffer(path, NOW)
    assert last.checks() == []
    last.close()


def test_pages_hold_a_day_of_a_few_metrics_in_order(path: Path, disk: FaultyDisk) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    for n in range(50):
        buffer.keep([tick(NOW + n // 2), tick(NOW + n // 2, DISK)])
    disk.fault = "full"
    buffer.keep([tick(NOW + 60), tick(NOW + 60, DISK)])
    read, after = [], (-1, -1)
    while True:
        page = buffer.page(NOW, NOW + 99, metrics=["cpu.value"], after=after, ticks=7)
        read += page.ticks
        if page.after is None:
            break
        after = page.after
    assert [one.time for one in read] == [*(NOW + n // 2 for n in range(50)), NOW + 60]
    assert {one.shape.id for one in read} == {CPU.id}
    assert buffer.page(NOW, NOW + 99, metrics=["no.such"]).ticks == []
    buffer.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_batch_under_way_is_repeated_and_not_overtaken_while_the_disk_fails(
    path: Path, disk: FaultyDisk, fault: Fault
) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    buffer.keep([tick(NOW)])
    sent = buffer.next_batch()
    assert sent is not None
    disk.fault = fault
    buffer.keep([tick(NOW + 1)])
    again = buffer.next_batch()
    assert again is not None
    assert (again.sequence, again.frames) == (sent.sequence, sent.frames)
    assert buffer.acknowledged(sent.sequence)
    assert times(buffer.next_batch()) == [NOW + 1]


@pytest.mark.parametrize("fault", ["full", "full at commit", "read-only"])
def test_a_batch_under_way_is_known_again_by_a_life_that_cannot_write(
    path: Path, disk: FaultyDisk, fault: Fault
) -> None:
    buffer = Buffer(path, NOW, connect=disk.connect)
    buffer.keep([tick(NOW)])
    sent = buffer.next_batch()
    assert sent is not None
    disk.fault = fault
    again = Buffer(path, NOW + 5, connect=disk.connect).next_batch()
    assert again is not None
    assert (again.sequence, again.frames, again.inherited) == (sent.sequence, sent.frames, True)
