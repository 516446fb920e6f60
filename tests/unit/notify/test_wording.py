from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.notify import Occasion, wording
from twinwatch.testing.channels import notes

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (499, "0 s"),
        (1_000, "1 s"),
        (59_400, "59 s"),
        (59_600, "1 min"),
        (200_000, "3 min 20 s"),
        (60 * MINUTE, "1 h"),
        (HOUR + 5_000, "1 h"),
        (2 * HOUR + 5 * MINUTE + 9_000, "2 h 5 min"),
        (DAY, "1 d"),
        (4 * DAY + 3 * HOUR + MINUTE, "4 d 3 h"),
        (4 * DAY + MINUTE, "4 d"),
    ],
)
def test_durations_have_the_two_units_that_say_something(milliseconds: int, told: str) -> None:
    assert wording.lasted(milliseconds) == told


def test_instants_bear_their_offset_and_how_long_ago_they_were() -> None:
    assert wording.ago(notes.SINCE, notes.NOW) == "2026-01-02 14:00:00 UTC+00:00 (3 min 20 s ago)"
    assert wording.ago(notes.NOW, notes.NOW) == "2026-01-02 14:03:20 UTC+00:00 (just now)"
    assert wording.ago(notes.NOW + 60_000, notes.NOW).endswith("(just now)"), "a clock that is wrong"
    assert wording.moment(-1) == "1970-01-01 00:00:00 UTC+00:00"
    assert wording.moment(1 << 62) == "9999-12-31 23:59:59 UTC+00:00"


@pytest.mark.parametrize(
    ("occasion", "state", "opening"),
    [
        ("firing", "Critical", ""),
        ("worse", "Now critical", "This has become worse."),
        ("resolved", "Resolved", "This is over."),
        ("repeat", "Still critical", "This is still open, and nobody has acknowledged it."),
        ("escalation", "Escalated, critical", "Nobody has acknowledged this for 3 min 20 s: you are next in line."),
        ("flapping", "Flapping", "This keeps coming and going. You hear of it again when it has come to rest."),
        ("settled", "Still critical", "This has stopped coming and going, and is not well."),
        ("acknowledged", "Acknowledged", "Ann has taken this on."),
        ("test", "Test", "This is a test of this channel. Nothing is wrong."),
        ("drill", "Drill", "This is a drill. Nothing is wrong, and nothing is to be done."),
    ],
)
def test_each_occasion_has_its_words(occasion: Occasion, state: str, opening: str) -> None:
    note = notes.note(occasion)
    assert wording.state(note, note.subjects[0]) == state
    assert wording.opening(note) == opening
    assert wording.title(note).startswith(f"{state}: web-1: ")


def test_who_tells_and_from_where() -> None:
    by_agent = notes.note("firing", teller="agent")
    assert wording.teller(by_agent) == "Told by the agent on web-1, on the server itself."
    assert wording.teller(replace(by_agent, sender="web-1")) == wording.teller(by_agent)
    about_the_hub = notes.note("firing", notes.subject(server="the hub"), teller="agent", sender="web-2")
    assert wording.teller(about_the_hub) == "Told by the agent on web-2."
    assert wording.teller(notes.note("firing")) == "Told by the hub."
    lost = notes.note("firing", notes.subject(severity="down"))
    assert wording.teller(lost) == "Told by the hub, which watches from outside and has no sign of life from web-1."
    back = notes.note("resolved", notes.subject(severity="down", occasion="resolved", resolved_at=notes.NOW))
    assert wording.teller(back) == "Told by the hub."


def test_the_end_says_until_when_how_long_and_why() -> None:
    note = notes.note("resolved", notes.subject(resolved_at=notes.NOW, cause="planned reboot", by="Ann"))
    rows = dict(wording.rows(note, replace(note.subjects[0], occasion="resolved")))
    assert rows["Until"] == "2026-01-02 14:03:20 UTC+00:00 (just now)"
    assert rows["Lasted"] == "3 min 20 s"
    assert rows["Cause"] == "planned reboot"
    assert rows["Closed by"] == "Ann"
    assert rows["Value"] == "97.5 %"
    assert wording.opening(note) == "This is over. Ann closed it by hand."
    assert "Acknowledge" not in wording.text(note)


def test_a_rehearsal_is_one_whatever_its_subject_says() -> None:
    drill = notes.note("drill", notes.subject(occasion="firing", severity="down"))
    assert wording.title(drill).startswith("Drill: ")
    assert "Severity" not in dict(wording.rows(drill, drill.subjects[0]))


def test_a_crowd_is_named_up_to_a_hundred_and_counted_beyond() -> None:
    text = wording.text(notes.crowd(137))
    assert wording.title(notes.crowd(137)) == "Critical: web-1: nginx.service failed (and 136 more)"
    assert "- Critical: web-100: nginx.service failed, since 3 min 20 s\nand 37 more" in text
    assert "web-101" not in text
    assert "more" not in wording.text(notes.crowd(100)).replace("and 99 more", "")


@given(st.text(alphabet=st.characters(), max_size=300), st.integers(1, 100))
def test_a_line_is_one_and_keeps_its_bound(text: str, most: int) -> None:
    line = wording.line(text, most)
    assert len(line) <= most
    assert line.splitlines() in ([], [line])
    assert line.encode().decode() == line, "no lone surrogate"
    assert not any(ord(sign) < 0x20 or sign in "\x7f\u202e\u2066" for sign in line)


@given(st.text(alphabet=st.characters(), max_size=300), st.integers(1, 100))
def test_lines_keep_their_breaks_and_nothing_else(text: str, most: int) -> None:
    found = wording.lines(text, most)
    assert len(found) <= most
    assert all(ord(sign) >= 0x20 or sign == "\n" for sign in found)


def test_what_is_cut_says_so() -> None:
    assert wording.cut("abcdef", 6) == "abcdef"
    assert wording.cut("abcdefg", 6) == "abcde…"
    assert wording.line("x " * 1_000_000, 10) == "x x x x x…"
    assert wording.line(" " * 1_000_000 + "x", 10) == "…"
    assert wording.evidence(["a", "b", "c"], 2) == ["a", "b", "(1 more lines)"]
    assert wording.evidence(["aaaa", "bbbb"], 9, 6) == ["aaaa", "(1 more lines)"]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "ftp://x.example/", "https://x.example/ y", "https://x\n", ""]
)
def test_only_addresses_of_the_web_become_links(url: str) -> None:
    assert wording.url(url) == ""
    note = notes.note("firing", notes.subject(url=url, acknowledge_url=url), link=url)
    assert wording.links(note, note.subjects[0]) == ""
