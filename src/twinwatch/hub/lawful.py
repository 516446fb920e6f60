"""Is what an agent sent within the law? Pure checks; the answer is nothing, or a ``Refused`` that names the bound.

What passes here can be stored and read back whatever it says: no text that PostgreSQL cannot hold, no more series
than a server may have, no sample from the future.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import inf, isfinite
from typing import Any
from unicodedata import category

import msgspec

from twinwatch.alerts.conditions import problems_of
from twinwatch.hub.refusals import Refused, invalid, over_limit
from twinwatch.protocol import limits
from twinwatch.protocol.checks import Report
from twinwatch.protocol.heartbeat import Heartbeat
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.samples import Batch, Frame, Shape, shape_of

CATALOGUE_MONITORS = 200
CATALOGUE_METRICS = 5_000
CATALOGUE_KINDS = 200
KINDS_BYTES = 512 << 10
JSON_DEPTH = 32
TEXT_CHARACTERS = 10_000
LAST_INSTANT = 253_402_300_799_999
"""The end of the year 9999, ms UTC: Python's calendar knows none after it."""
HOST_FACTS = 100
PROBLEMS = 100
SHAPE_ID = re.compile(r"[0-9a-f]{16}")


def check_batch(batch: Batch, now: int) -> None:
    """Numbers, sizes and times of a batch.

    Raises: Refused 422 ``invalid``, ``limit`` or ``clock-skew``.
    """
    if not batch.frames:
        raise invalid("frames: a batch without samples")
    if len(batch.frames) > limits.BATCH_FRAMES:
        raise over_limit(f"{len(batch.frames)} frames; at most {limits.BATCH_FRAMES} in a batch", limits.BATCH_FRAMES)
    if len(batch.shapes) > limits.BATCH_SHAPES:
        raise over_limit(f"{len(batch.shapes)} shapes; at most {limits.BATCH_SHAPES} in a batch", limits.BATCH_SHAPES)
    values = sum(len(frame.times) * len(frame.columns) for frame in batch.frames)
    if values > limits.BATCH_SAMPLES:
        raise over_limit(f"{values} samples; at most {limits.BATCH_SAMPLES} in a batch", limits.BATCH_SAMPLES)
    for shape in batch.shapes:
        check_shape(shape)
    for frame in batch.frames:
        _check_frame(frame, now)


def check_columns(frame: Frame, width: int) -> None:
    """A frame has one column for each of its shape's series."""
    if len(frame.columns) != width:
        raise invalid(f"frame of shape {frame.shape}: {len(frame.columns)} columns, its shape has {width} series")


def _check_frame(frame: Frame, now: int) -> None:
    if not SHAPE_ID.fullmatch(frame.shape):
        raise invalid(f"frame of shape {frame.shape[:32]!r}: expected 16 hex digits")
    times = frame.times
    if not times:
        raise invalid(f"frame of shape {frame.shape}: no times")
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise invalid(f"frame of shape {frame.shape}: times must ascend strictly")
    for length in {*map(len, frame.columns)}:
        if length != len(times):
            raise invalid(f"frame of shape {frame.shape}: {length} values in a column, {len(times)} times")
    ahead = times[-1] - now
    if ahead > limits.FUTURE_MILLISECONDS:
        raise _skewed(f"a sample is {ahead / 1000:.0f} s ahead of the hub's clock", limits.FUTURE_MILLISECONDS)
    behind = now - times[0]
    if behind > limits.PAST_MILLISECONDS:
        raise _skewed(f"a sample is {behind / 3_600_000:.1f} h old", limits.PAST_MILLISECONDS)


def _skewed(what: str, limit: int) -> Refused:
    detail = f"{what}; at most {limit // 1000} s are accepted. Set the server's clock (timedatectl set-ntp true)."
    return Refused(422, "clock-skew", "Clock out of bounds", detail, limit=limit)


def check_shape(shape: Shape) -> None:
    """Names, labels and the id that must follow from them."""
    if len(shape.series) > limits.SERIES_PER_SHAPE:
        raise over_limit(f"{len(shape.series)} series in a shape", limits.SERIES_PER_SHAPE)
    if not shape.series:
        raise invalid("shape without series")
    check_text("monitor", shape.monitor, limits.METRIC_NAME_CHARACTERS)
    for series in shape.series:
        check_text("metric", series.metric, limits.METRIC_NAME_CHARACTERS)
        check_labels(series.metric, series.labels)
    if shape_of(shape.monitor, shape.series).id != shape.id:
        raise invalid(f"shape {shape.id[:32]!r}: the id does not follow from its content")
    if len({(series.metric, *sorted(series.labels.items())) for series in shape.series}) != len(shape.series):
        raise invalid(f"shape {shape.id}: a series stands in it twice")


def check_labels(metric: str, labels: Mapping[str, str]) -> None:
    """Count, names and values of one series' labels."""
    if len(labels) > limits.LABELS_PER_SERIES:
        raise over_limit(
            f"{metric}: {len(labels)} labels; at most {limits.LABELS_PER_SERIES}", limits.LABELS_PER_SERIES
        )
    for name, value in labels.items():
        check_text(f"label of {metric}", name, limits.LABEL_NAME_CHARACTERS)
        check_text(f"{metric}, label {name}", value, limits.LABEL_VALUE_CHARACTERS, empty=True)


def check_catalogue(catalogue: Catalogue) -> None:
    """Sizes, texts and numbers of a catalogue."""
    if len(catalogue.monitors) > CATALOGUE_MONITORS:
        raise over_limit(f"{len(catalogue.monitors)} monitors", CATALOGUE_MONITORS)
    if sum(len(monitor.metrics) for monitor in catalogue.monitors) > CATALOGUE_METRICS:
        raise over_limit("metrics in the catalogue", CATALOGUE_METRICS)
    if sum(len(monitor.rules) for monitor in catalogue.monitors) > limits.RULES_PER_SERVER:
        raise over_limit("rules in the catalogue", limits.RULES_PER_SERVER)
    if len(catalogue.host) > HOST_FACTS:
        raise over_limit(f"{len(catalogue.host)} host facts", HOST_FACTS)
    check_text("digest", catalogue.digest, 64, empty=True)
    for text in _texts(catalogue):
        check_text("catalogue", text, 1_000, empty=True)
    for monitor in catalogue.monitors:
        # JSON, in which a catalogue is kept, has no word for what is not finite.
        if not 0 < monitor.interval_seconds < inf:
            raise invalid(f"monitor {monitor.name}: an interval of {monitor.interval_seconds} s")
        for chart in monitor.charts:
            if chart.top is not None and not isfinite(chart.top):
                raise invalid(f"chart {chart.title}: an axis that ends at {chart.top}")
        for rule in monitor.rules:
            check_json(f"rule {rule.name}", msgspec.to_builtins(rule))
            if problems := problems_of(rule):
                raise invalid(f"rule {rule.name}: {problems[0]}")
    _check_kinds(catalogue)


def _check_kinds(catalogue: Catalogue) -> None:
    if len(catalogue.kinds) > CATALOGUE_KINDS:
        raise over_limit(f"{len(catalogue.kinds)} kinds of monitors", CATALOGUE_KINDS)
    for kind in catalogue.kinds:
        check_text("kind", kind.type, limits.METRIC_NAME_CHARACTERS)
        if not 0 < kind.interval_seconds < inf:
            raise invalid(f"kind {kind.type}: an interval of {kind.interval_seconds} s")
        check_json(f"kind {kind.type}", {"title": kind.title, "help": kind.help, "options": kind.options})
    if len({kind.type for kind in catalogue.kinds}) != len(catalogue.kinds):
        raise invalid("kinds: a type stands there twice")
    size = len(msgspec.json.encode(catalogue.kinds))
    if size > KINDS_BYTES:
        raise over_limit(f"{size} bytes of kinds; at most {KINDS_BYTES}", KINDS_BYTES)


def check_heartbeat(beat: Heartbeat) -> None:
    """Texts, numbers and times of a sign of life; its own time may be any: how wrong the clock is is told to people."""
    check_text("agent_version", beat.agent_version, 64)
    check_text("alerts", beat.alerts, 64, empty=True)
    if beat.delivery is not None and beat.delivery.oldest_pending is not None:
        _check_instant("delivery, oldest_pending", beat.delivery.oldest_pending)
    if beat.life is not None:
        check_json("life", msgspec.to_builtins(beat.life))
        previous = beat.life.previous
        lived = (previous.started_at, previous.last_at) if previous else ()
        _check_instant("life", max(beat.life.booted_at, beat.life.started_at, *lived))


def check_report(report: Report) -> None:
    """Sizes, names, texts and times of a report."""
    if len(report.checks) > limits.CHECKS_PER_SERVER:
        raise over_limit(
            f"{len(report.checks)} checks; at most {limits.CHECKS_PER_SERVER} on a server", limits.CHECKS_PER_SERVER
        )
    if len(report.monitors) > limits.MONITORS_PER_SERVER:
        raise over_limit(
            f"{len(report.monitors)} monitors; at most {limits.MONITORS_PER_SERVER} on a server",
            limits.MONITORS_PER_SERVER,
        )
    check_text("digest", report.digest, 64, empty=True)
    for check in report.checks:
        check_text("check", check.name, limits.CHECK_NAME_CHARACTERS)
        check_text(f"check {check.name}, monitor", check.monitor, limits.METRIC_NAME_CHARACTERS)
        check_text(f"check {check.name}, reason", check.reason, 128, empty=True)
        check_text(f"check {check.name}, message", check.message, limits.MESSAGE_CHARACTERS, empty=True)
        _check_instant(f"check {check.name}, since", check.since)
    if len({check.name for check in report.checks}) != len(report.checks):
        raise invalid("checks: a name stands there twice")
    for monitor in report.monitors:
        check_text("monitor", monitor.name, limits.METRIC_NAME_CHARACTERS)
        check_text(f"monitor {monitor.name}, type", monitor.type, limits.METRIC_NAME_CHARACTERS)
        check_text(f"monitor {monitor.name}, reason", monitor.reason, limits.MESSAGE_CHARACTERS, empty=True)
        if not 0 <= monitor.interval_seconds < inf:
            raise invalid(f"monitor {monitor.name}: an interval of {monitor.interval_seconds} s")
        _check_instant(f"monitor {monitor.name}, since", monitor.since)
    if len({monitor.name for monitor in report.monitors}) != len(report.monitors):
        raise invalid("monitors: a name stands there twice")
    standing = report.configuration
    if not (0 <= standing.version <= 1 << 53 and 0 <= standing.refused <= 1 << 53):
        raise invalid("configuration: expected versions from 0 to 2^53")
    if len(standing.problems) > PROBLEMS:
        raise over_limit(f"{len(standing.problems)} problems of the configuration", PROBLEMS)
    for problem in standing.problems:
        check_text("problem of the configuration", problem, limits.MESSAGE_CHARACTERS)


def _check_instant(what: str, at: int) -> None:
    if at > LAST_INSTANT:
        raise invalid(f"{what}: {at} is beyond the year 9999")


def check_json(what: str, value: Any, depth: int = JSON_DEPTH) -> None:
    """A value that JSON, and PostgreSQL's idea of it, can hold: bounded in depth, without NUL, finite."""
    if depth == 0:
        raise over_limit(f"{what}: nested deeper than {JSON_DEPTH}", JSON_DEPTH)
    if isinstance(value, dict):
        for key, below in value.items():
            if not isinstance(key, str):
                raise invalid(f"{what}: keys must be texts")
            _check_loose(what, key)
            check_json(what, below, depth - 1)
    elif isinstance(value, list | tuple):
        for below in value:
            check_json(what, below, depth - 1)
    elif isinstance(value, str):
        _check_loose(what, value)
    elif isinstance(value, float) and not isfinite(value):
        raise invalid(f"{what}: {value} is no number in JSON")
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise invalid(f"{what}: a whole number beyond 64 bits")
    elif value is not None and not isinstance(value, int | float):
        raise invalid(f"{what}: {type(value).__name__} is no value of JSON")


def _check_loose(what: str, text: str) -> None:
    # Not quoted: among options it may be a password.
    if len(text) > TEXT_CHARACTERS:
        raise over_limit(f"{what}: a text of {len(text)} characters, at most {TEXT_CHARACTERS}", TEXT_CHARACTERS)
    if "\0" in text or any(0xD800 <= ord(letter) < 0xE000 for letter in text):
        raise invalid(f"{what}: NUL and lone surrogates are not allowed in a text")


def _texts(catalogue: Catalogue) -> Iterable[str]:
    yield catalogue.agent_version
    for name, value in catalogue.host.items():
        yield name
        yield value
    for monitor in catalogue.monitors:
        yield from (monitor.name, monitor.title)
        for metric in monitor.metrics:
            yield from (metric.name, metric.unit, metric.help)
        for chart in monitor.charts:
            yield from (chart.title, *chart.metrics, *chart.by, *chart.mirror)
        for headline in monitor.headlines:
            yield from (headline.title, headline.metric)


def check_lines(what: str, text: str) -> None:
    """A text of several lines that a database can hold."""
    if any(category(letter) in ("Cc", "Cs") for letter in text if letter not in "\n\r\t"):
        raise invalid(f"{what}: control characters are not allowed")


def check_text(what: str, text: str, most: int, *, empty: bool = False) -> None:
    """A text that a database can hold and a person can read: bounded, no control characters, no lone surrogates."""
    if not text and not empty:
        raise invalid(f"{what}: empty")
    if len(text) > most:
        raise over_limit(f"{what}: {len(text)} characters, at most {most}", most)
    # isprintable() is false for controls, surrogates and unassigned code points, and for spaces other than " ".
    if not text.isprintable() and any(category(letter) in ("Cc", "Cs") for letter in text):
        raise invalid(f"{what}: control characters are not allowed in {text[:40]!r}")
