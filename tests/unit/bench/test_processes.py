"""Reading /proc as it is written, odd names included."""

from __future__ import annotations

import os

import pytest

from bench.rig.processes import PAGE_BYTES, TICKS_PER_SECOND, Process, field_of, process, stat_of

STAT = (
    "4242 (a) b (c) S 4200 4242 4242 0 -1 4194304 5000 900 3 0 250 50 7 8 20 0 3 0 123456 390000000 10240 "
    "18446744073709551615 1 1 0 0 0 0 0 16781312 17642 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0"
)

ROLLUP = """\
55d1-7ffd ---p 00000000 00:00 0                          [rollup]
Rss:               42588 kB
Pss:               29486 kB
Pss_Dirty:         24000 kB
"""


def test_the_fields_of_stat_are_counted_from_behind_the_name() -> None:
    stat = stat_of(STAT)
    assert stat.parent == 4200
    assert stat.cpu_seconds == 300 / TICKS_PER_SECOND
    assert stat.started_ticks == 123456
    assert stat.rss_bytes == 10240 * PAGE_BYTES


def test_a_field_is_found_by_its_whole_name() -> None:
    assert field_of(ROLLUP, "Pss") == 29486
    assert field_of("rchar: 12\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n", "write_bytes") == 4096
    with pytest.raises(ValueError, match="no field Swap"):
        field_of(ROLLUP, "Swap")


def test_a_number_that_was_given_again_is_another_process() -> None:
    me = process(os.getpid())
    assert me.is_running()
    assert not Process(me.pid, me.started_ticks - 1).is_running()
