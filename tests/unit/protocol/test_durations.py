from __future__ import annotations

import pytest

from twinwatch.protocol.durations import duration, spelled


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("1.5s", 1.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 m", "-5s", "5s!", "1h nonsense"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 15s"):
        duration(text)


@pytest.mark.parametrize("seconds", [0.25, 15, 90, 3600, 86_461.5])
def test_a_spelled_duration_reads_back(seconds: float) -> None:
    assert duration(spelled(seconds)) == seconds
