"""Is what an agent sent within the law? Pure checks; the answer is nothing, or a ``Refused`` that names the bound.

What passes here can be stored and read back whatever it says: no text that PostgreSQL cannot hold, no more series
than a server may have, no sample from the future.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import inf, isfinite
from unicodedata import category

from twinwatch.hub.refusals import Refused, invalid, over_limit
from twinwatch.protocol import limits
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.samples import Batch, Frame, Shape, shape_of

CATALOGUE_MONITORS = 200
CATALOGUE_METRICS = 5_000
HOST_FACTS = 100
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
    for column in frame.columns:
        if len(column) != len(times):
            raise invalid(f"frame of shape {frame.shape}: {len(column)} values in a column, {len(times)} times")
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


def check_text(what: str, text: str, most: int, *, empty: bool = False) -> None:
    """A text that a database can hold and a person can read: bounded, no control characters, no lone surrogates."""
    if not text and not empty:
        raise invalid(f"{what}: empty")
    if len(text) > most:
        raise over_limit(f"{what}: {len(text)} characters, at most {most}", most)
    # isprintable() is false for controls, surrogates and unassigned code points, and for spaces other than " ".
    if not text.isprintable() and any(category(letter) in ("Cc", "Cs") for letter in text):
        raise invalid(f"{what}: control characters are not allowed in {text[:40]!r}")
