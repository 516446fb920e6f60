"""What the agent must not forget of its alerts, whatever becomes of it and of its disk; and the sealed bundle."""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.agent.alerting_things import BUNDLE, FULL, START
from twinwatch.agent.alerting.alert import Alert, Telling, event_of
from twinwatch.agent.alerting.bundles import FILE as BUNDLE_FILE
from twinwatch.agent.alerting.bundles import KEY_FILE, BundleFile, closed, opened
from twinwatch.agent.alerting.judge import Remembered
from twinwatch.agent.alerting.memory import FILE, KEPT_MILLISECONDS, Memory, Writing
from twinwatch.alerts.step import State
from twinwatch.protocol.bundle import sealed
from twinwatch.testing.faulty_disk import Fault, FaultyDisk

THING = Remembered(FULL, "disk.used{mount=/}", State(START, "firing", START, START, START), "system", "disk.used")


def alert(episode: int = START) -> Alert:
    return Alert(FULL, THING.thing, episode, START, START, "disk full: /", "…", tellings=[Telling("c1")])


def writing(*numbers: int, at: int = START) -> Writing:
    found = Writing()
    found.thing(("disk full", THING.thing), THING)
    found.alert(alert())
    for number in numbers:
        found.event(_event(number, at))
    return found


def _event(number: int, at: int) -> Any:
    return msgspec.structs.replace(event_of(alert(), "fired", at), number=number)


def test_what_was_kept_is_there_after_a_crash_and_what_is_over_is_not(tmp_path: Path) -> None:
    memory = Memory(tmp_path / FILE, START)
    memory.write(writing(START + 1, START + 2))
    again = Memory(tmp_path / FILE, START + 99)  # the first was never closed
    known = again.known()
    assert (list(known.things), known.number) == ([THING], START + 2)
    assert [one.tellings[0].channel for one in known.alerts] == ["c1"]
    assert [event.number for event in again.events(10)[0]] == [START + 1, START + 2]
    again.acknowledged(START + 1)
    over = alert()
    over.resolved_at, over.tellings[0].state = START + 1, "delivered"
    forgetting = Writing()
    forgetting.thing(("disk full", THING.thing), None)
    forgetting.alert(over)
    again.write(forgetting)
    assert (list(again.known().things), list(again.known().alerts)) == ([], [])
    assert ([event.number for event in again.events(10)[0]], again.waiting()) == ([START + 2], 1)
    again.close()


def test_numbers_begin_at_the_present_and_go_on_above_what_a_hub_has_counted(tmp_path: Path) -> None:
    memory = Memory(tmp_path / FILE, START)
    assert memory.known().number == START
    memory.write(writing(START + 1, START + 2))
    assert memory.lift(START + 500) == START + 502
    assert [event.number for event in memory.events(10)[0]] == [START + 501, START + 502]
    assert memory.known().number == START + 502
    memory.close()


def test_events_leave_in_bounded_portions_and_after_a_day(tmp_path: Path) -> None:
    memory = Memory(tmp_path / FILE, START)
    memory.write(writing(*range(1, 6)))
    events, more = memory.events(3)
    assert ([event.number for event in events], more) == ([1, 2, 3], True)
    memory.drop(2)
    assert memory.trim(START + KEPT_MILLISECONDS) == 0
    assert memory.trim(START + KEPT_MILLISECONDS + 1) == 4
    memory.close()


def test_a_disk_that_fails_keeps_nobody_from_being_told_and_is_written_when_it_works(tmp_path: Path) -> None:
    disk = FaultyDisk()
    memory = Memory(tmp_path / FILE, START, connect=disk.connect)
    memory.write(writing(START + 1))
    faults: tuple[Fault, ...] = ("full", "full at commit", "read-only", "broken")
    for number, fault in enumerate(faults, 2):
        disk.fault = fault
        memory.write(writing(START + number))
        assert memory.trouble
        disk.fault = ""
        memory.mend()
        assert memory.trouble == ""
    memory.close()
    again = Memory(tmp_path / FILE, START)
    kept = [event.number - START for event in again.events(10)[0]]
    assert kept in ([1, 2, 3, 4, 5], [5]), "of a disk that cannot even be read, what came after"
    again.close()


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, " * 100)
    memory = Memory(tmp_path / FILE, START)
    memory.write(writing(START + 1))
    assert memory.known().number == START + 1
    assert (tmp_path / f"{FILE}.damaged").exists()
    memory.close()


def test_a_write_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    memory = Memory(tmp_path / FILE, START)
    memory.write(writing(START + 1))
    twice = writing(START + 1)  # a number that is there already
    twice.thing(("other", "thing"), THING)
    with pytest.raises(sqlite3.IntegrityError):
        memory.write(twice)
    assert len(memory.known().things) == 1
    memory.close()


def test_a_sealed_bundle_opens_with_its_key_alone_and_shows_no_bit_that_was_bent(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3
    for size in (0, 1, 63, 64, 65, 768):
        kept = closed(content[:size], b"k" * 32)
        assert opened(kept, b"k" * 32) == content[:size]
        assert content[:size] not in kept or size < 2
        for place in range(0, len(kept), 7):
            bent = kept[:place] + bytes([kept[place] ^ 1]) + kept[place + 1 :]
            with pytest.raises(ValueError):
                opened(bent, b"k" * 32)
        with pytest.raises(ValueError):
            opened(kept, b"K" * 32)
    assert closed(content, b"k" * 32) != closed(content, b"k" * 32), "no nonce twice"


def test_a_bundle_is_kept_for_its_server_and_no_other(tmp_path: Path) -> None:
    mine = sealed(BUNDLE, sha256(b"tws_mine").digest())
    file = BundleFile(tmp_path, "tws_mine")
    assert file.load() is None
    file.keep(mine)
    assert file.load() == BUNDLE
    for name in (BUNDLE_FILE, KEY_FILE):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert b"ops" not in (tmp_path / BUNDLE_FILE).read_bytes()
    assert BundleFile(tmp_path, "tws_other").load() is None
    with pytest.raises(ValueError, match="signature"):
        file.lawful(sealed(BUNDLE, sha256(b"tws_other").digest()))
    (tmp_path / KEY_FILE).write_bytes(b"x" * 32)
    assert file.load() is None
