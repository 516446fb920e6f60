from __future__ import annotations

import pytest

from twinwatch.monitors import Unreadable
from twinwatch.monitors.system import procfs


def test_a_line_without_its_newline_was_cut() -> None:
    assert procfs.lines("a 1\nb 2\nc 1") == ["a 1", "b 2"]
    assert procfs.lines("") == []


@pytest.mark.parametrize("word", ["", "x", "-1", "1.5", str(2**64), "9" * 5000])
def test_what_is_no_counter_is_unreadable(word: str) -> None:
    with pytest.raises(Unreadable, match=r"^/proc/x: "):
        procfs.counters("/proc/x", ["1", word])


@pytest.mark.parametrize("word", ["", "x", "-1", "nan", "inf", "1e300"])
def test_what_is_no_decimal_is_unreadable(word: str) -> None:
    with pytest.raises(Unreadable, match=r"^/proc/x: "):
        procfs.decimal("/proc/x", word)


def test_a_field_is_found_by_its_whole_name() -> None:
    text = "pgfault 1\npgfault_extra 2\nxpswpin 3\npswpin 4\n"
    assert procfs.field("/proc/vmstat", text, "pgfault") == 1
    assert procfs.field("/proc/vmstat", text, "pswpin") == 4
    assert procfs.field("/proc/vmstat", text, "pswpout") is None


def test_a_field_that_was_cut_is_not_there() -> None:
    assert procfs.field("/proc/vmstat", "pgfault 12", "pgfault") is None


@pytest.mark.parametrize("word", ["", "a\x00b", "x" * 65, "a\tb"])
def test_what_is_no_device_name_is_unreadable(word: str) -> None:
    with pytest.raises(Unreadable):
        procfs.device_name("/proc/net/dev", word)
