"""How a value came to be what it is: its course in the time before, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from twinwatch.agent.buffer import Tick
from twinwatch.agent.tables import span
from twinwatch.protocol.rules import Rule

SHOWN = 12
"""So many of the last samples."""


def course_of(
    ticks: Iterable[Tick], metric: str, labels: Mapping[str, str], rule: Rule, value: float | None, now: int
) -> list[str]:
    """The value that fired, the last good one, and the samples before; nothing if there are none."""
    samples = sorted(_samples(ticks, metric, labels))
    lines = []
    if value is not None:
        lines.append(f"fired at {value:.6g}")
    judges_samples = rule.aggregate in ("last", "mean", "min", "max") and (rule.above, rule.below) != (None, None)
    if judges_samples and samples:
        good = [(time, seen) for time, seen in samples if _is_good(rule, seen)]
        if good:
            time, seen = good[-1]
            lines.append(f"last good: {seen:.6g} at {_clock(time)}, {span((now - time) / 1000)} before")
        else:
            lines.append(f"not once good in the {span((now - samples[0][0]) / 1000)} before")
    if samples:
        values = [seen for _, seen in samples]
        over = span((now - samples[0][0]) / 1000)
        mean = sum(values) / len(values)
        lines.append(
            f"in the {over} before: {min(values):.6g} to {max(values):.6g}, {mean:.6g} on average, "
            f"{len(values)} samples"
        )
        lines += [f"{_clock(time)}  {seen:.6g}" for time, seen in samples[-SHOWN:]]
    return lines


def _samples(ticks: Iterable[Tick], metric: str, labels: Mapping[str, str]) -> Iterable[tuple[int, float]]:
    for tick in ticks:
        for series, value in zip(tick.shape.series, tick.values, strict=False):
            if value is not None and series.metric == metric and series.labels == labels:
                yield tick.time, value


def _is_good(rule: Rule, value: float) -> bool:
    return not ((rule.above is not None and value > rule.above) or (rule.below is not None and value < rule.below))


def _clock(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%H:%M:%S} UTC"
