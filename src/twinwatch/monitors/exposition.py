"""The text that Prometheus clients expose and push: its classic format (0.0.4, 1.0.0) and OpenMetrics. Pure.

``read`` is the door: text in, scalars, histograms and summaries out. Invariants: time and memory grow with the text's
length only (Prometheus's own Python parser takes 5 s for a megabyte of labels on one line, and names no line in its
errors); whatever the text holds, the outcome is findings or ``Unlawful``.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf, isfinite, isnan
from typing import NamedTuple

from twinwatch.monitors.distributions import BUCKETS, Distribution

LINE_CHARACTERS = 16_384

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:.]*")
_QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
_LABEL = re.compile(rf"[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_.]*)|{_QUOTED})[ \t]*(?:=[ \t]*{_QUOTED}[ \t]*)?(,|(?=\}}))")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}
_SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "summary": ("_sum", "_count", "_created"),
    "info": ("_info",),
}
_KINDS = {*_SUFFIXES, "gauge", "stateset", "unknown", "untyped"}


class Unlawful(ValueError):
    """A line that cannot be: the message names it by number and says what was expected."""


@dataclass(slots=True)
class Family:
    """What ``# TYPE``, ``# UNIT`` and ``# HELP`` say of a metric."""

    name: str
    kind: str = "untyped"
    unit: str = ""
    help: str = ""


class Scalar(NamedTuple):
    """One value. ``rising`` marks a counter; ``time`` is ms UTC, None where the text gives none."""

    name: str
    labels: dict[str, str]
    value: float
    time: int | None
    family: Family
    rising: bool


class Histogram(NamedTuple):
    """All buckets of one series of a histogram; since the start of the process that exposes it."""

    labels: dict[str, str]
    time: int | None
    family: Family
    distribution: Distribution


class Summary(NamedTuple):
    """One series of a summary; ``quantiles`` by their share (0.95).

    ``recorded``, how many values there were, and ``sum`` are since the process's start.
    """

    labels: dict[str, str]
    time: int | None
    family: Family
    recorded: float | None
    sum: float | None
    quantiles: dict[float, float]


Exposed = Scalar | Histogram | Summary


class _Line(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float
    time: int | None


@dataclass(slots=True)
class _Gathered:
    """Lines of one series of a histogram or summary, until all of them were seen."""

    family: Family
    labels: dict[str, str]
    time: int | None = None
    steps: dict[float, float] = field(default_factory=dict)
    sum: float | None = None
    count: float | None = None


def read(
    text: str, *, openmetrics: bool = False, wanted: Callable[[str], bool] | None = None, lines: int = 100_000
) -> Iterator[Exposed]:
    """What the text exposes, in its order; histograms and summaries at the end.

    ``wanted`` is asked for each family's name (``http_requests`` or ``http_requests_total``, as ``# TYPE`` has it, or
    the sample's own name where there is none) before its labels are looked at. Bounds: at most ``lines`` lines with
    samples. ``NaN`` scalars are left out: they are *no sample*.

    Raises: Unlawful, at the line in question; what came before was yielded already.
    """
    families: dict[str, Family] = {}
    gathered: dict[tuple[str, tuple[tuple[str, str], ...]], _Gathered] = {}
    number = samples = 0
    try:
        for number, row in enumerate(text.split("\n"), 1):  # noqa: B007 - named in the error
            line = row.strip(" \t\r")
            if not line:
                continue
            if line[0] == "#":
                if line == "# EOF":
                    break
                _comment(line, families)
                continue
            samples += 1
            if samples > lines:
                raise Unlawful(f"more than {lines} samples")
            name, rest = _name(line)
            family, suffix = _family(name, families)
            if wanted is not None and not wanted(family.name):
                continue
            found = _sample(name, rest, openmetrics=openmetrics)
            if suffix == "_created" or _is_birth(name, families):
                continue
            if family.kind in ("histogram", "gaugehistogram", "summary"):
                _gather(found, family, suffix, gathered)
            elif not isnan(found.value):
                rising = family.kind == "counter"
                yield Scalar(found.name, found.labels, found.value, found.time, family, rising)
    except Unlawful as err:
        raise Unlawful(f"line {number}: {err}") from None
    for each in gathered.values():
        yield from _whole(each)


def _comment(line: str, families: dict[str, Family]) -> None:
    words = line[1:].strip(" \t").split(None, 2)
    if len(words) < 2 or words[0] not in ("TYPE", "HELP", "UNIT"):
        return
    name, text = words[1], words[2] if len(words) > 2 else ""
    if name.startswith('"'):
        quoted = re.match(_QUOTED, line[line.index('"') :])
        if quoted is None:
            return
        name, text = _plain(quoted[1]), line[line.index('"') + quoted.end() :].strip(" \t")
    family = families.setdefault(name, Family(name))
    if words[0] == "TYPE":
        kind = text.strip().lower()
        if kind not in _KINDS:
            raise Unlawful(f"type {kind[:40]!r} of {name[:80]}: expected one of {', '.join(sorted(_KINDS))}")
        family.kind = kind
    elif words[0] == "UNIT":
        family.unit = text[:64]
    else:
        family.help = _plain(text[:1000])


def _name(line: str) -> tuple[str, str]:
    if len(line) > LINE_CHARACTERS:
        raise Unlawful(f"{len(line)} characters, at most {LINE_CHARACTERS}")
    match = _NAME.match(line)
    if match is not None:
        return match[0], line[match.end() :]
    if line[0] == "{":
        quoted = re.match(r"\{[ \t]*" + _QUOTED + r"[ \t]*(,|(?=\}))", line)
        if quoted is not None and quoted[1]:
            return _plain(quoted[1]), "{" + line[quoted.end() :]
    raise Unlawful(f"{line[:60]!r}: expected a metric's name, then labels in braces, a value and maybe a time")


def _family(name: str, families: dict[str, Family]) -> tuple[Family, str]:
    family = families.get(name)
    if family is not None:
        return family, ""
    base, mark, ending = name.rpartition("_")
    if mark:
        family = families.get(base)
        if family is not None and mark + ending in _SUFFIXES.get(family.kind, ()):
            return family, mark + ending
    # Not remembered: a text of nothing but new names would fill the memory twice.
    return Family(name), ""


def _is_birth(name: str, families: dict[str, Family]) -> bool:
    """Whether this only says when another metric was made, as clients that write the classic format have it."""
    base = name.removesuffix("_created")
    born = families.get(base) or families.get(f"{base}_total")
    return base != name and born is not None and born.kind in ("counter", "histogram", "summary")


def _sample(name: str, rest: str, *, openmetrics: bool) -> _Line:
    labels: dict[str, str] = {}
    rest = rest.lstrip(" \t")
    if rest.startswith("{"):
        rest = _labels(rest, labels)
    words = rest.split(" # ", 1)[0].split() if openmetrics else rest.split()
    if not 1 <= len(words) <= 2:
        raise Unlawful(f"{name[:80]}: expected a value and maybe a time, found {rest[:60]!r}")
    return _Line(name, labels, _number(words[0]), _time(words[1], openmetrics=openmetrics) if words[1:] else None)


def _labels(rest: str, labels: dict[str, str]) -> str:
    place = 1
    while True:
        if rest[place:].lstrip(" \t").startswith("}"):
            return rest[rest.index("}", place) + 1 :]
        match = _LABEL.match(rest, place)
        if match is None or match[3] is None:
            raise Unlawful(f'expected name="value", … and a closing brace, found {rest[place : place + 60]!r}')
        key = match[1] or _plain(match[2] or "")
        if not key or key in labels:
            raise Unlawful(f"label {key[:64]!r} has no name" if not key else f"label {key[:64]!r} stands there twice")
        labels[key] = _plain(match[3])
        place = match.end()


def _plain(text: str) -> str:
    return text if "\\" not in text else _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), text)


def _number(word: str) -> float:
    if word.isascii() and "_" not in word:
        try:
            return float(word)
        except ValueError:
            pass
    raise Unlawful(f"{word[:40]!r}: expected a number")


def _time(word: str, *, openmetrics: bool) -> int:
    value = _number(word) * (1000 if openmetrics else 1)
    if not isfinite(value) or not 0 <= value <= 1 << 53:
        raise Unlawful(f"time {word[:40]!r}: expected {'seconds' if openmetrics else 'milliseconds'} since 1970")
    return round(value)


def _gather(
    line: _Line, family: Family, suffix: str, into: dict[tuple[str, tuple[tuple[str, str], ...]], _Gathered]
) -> None:
    labels = line.labels
    step = {"_bucket": "le", "": "quantile"}.get(suffix)
    border = labels.pop(step, None) if step else None
    if (step == "le" and border is None) or (suffix == "" and (border is None or family.kind != "summary")):
        raise Unlawful(f"{line.name[:80]} of a {family.kind}: expected the label le, quantile, or another ending")
    key = family.name, tuple(sorted(labels.items()))
    series = into.get(key)
    if series is None:
        series = into[key] = _Gathered(family, labels)
    series.time = line.time if series.time is None else series.time
    if border is not None:
        if len(series.steps) >= BUCKETS:
            raise Unlawful(f"{family.name[:80]}: more than {BUCKETS} buckets")
        series.steps[_number(border)] = line.value
    elif suffix in ("_sum", "_gsum"):
        series.sum = line.value if isfinite(line.value) else None
    else:
        series.count = line.value if isfinite(line.value) else None


def _whole(series: _Gathered) -> Iterator[Exposed]:
    family = series.family
    if family.kind == "summary":
        quantiles = {share: value for share, value in series.steps.items() if isfinite(value)}
        yield Summary(series.labels, series.time, family, series.count, series.sum, quantiles)
        return
    borders = sorted(border for border in series.steps if not isnan(border))
    rising = [series.steps[border] for border in borders]
    if not borders or borders[-1] != inf:
        if series.count is None:
            return
        borders, rising = [*borders, inf], [*rising, series.count]
    counts = [now - before for now, before in zip(rising, [0.0, *rising[:-1]], strict=True)]
    # Buckets that fall, or count NaN, were read while they were written: there is nothing to be said of them.
    if all(count >= 0 and isfinite(count) for count in counts) and borders[0] != -inf:
        distribution = Distribution(tuple(borders[:-1]), tuple(counts), series.sum)
        yield Histogram(series.labels, series.time, family, distribution)
