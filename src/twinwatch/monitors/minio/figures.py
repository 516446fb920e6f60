"""MinIO's own metrics, versions 2 and 3: from pages of text to readings. Pure, but for what rates remember.

Invariants: whatever a page holds, the outcome is readings or ``Unlawful``; of drives, sets, servers and buckets at most
so many have readings, those in the worst state first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from math import isfinite
from typing import NamedTuple

from twinwatch.monitors import Reading
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.exposition import Scalar, read
from twinwatch.monitors.minio.names import BUCKET, DRIVE, FIGURES, POOL, SERVER, SET, STATE, Figure
from twinwatch.monitors.rates import Rates
from twinwatch.protocol.limits import LABEL_VALUE_CHARACTERS
from twinwatch.protocol.metrics import Metric

LINES = 50_000
"""A page of more lines is not read: a run must stay cheap."""
DRIVES = 64
SETS = 64
SERVERS = 64
REQUESTS = 20
"""Fewer requests between two runs say nothing about the share that failed."""

SILENCE = "minio.scanner.silence"
NEVER_SECONDS = 10 * 366 * 86_400.0
"""MinIO says 292 years of a scanner that has not run yet."""
ERROR_RATIO, TOLERANCE, UTILIZATION = (
    "minio.request.error_ratio",
    "minio.erasure.tolerance",
    "minio.capacity.utilization",
)

METRICS = (
    Metric("minio.drive.count", "{drive}", "Drives of the cluster that are online, and offline."),
    Metric("minio.node.count", "{node}", "Servers of the cluster that are online, and offline."),
    Metric(TOLERANCE, "{drive}", "Further drives that a set may lose and still read, or write.", good="high"),
    Metric("minio.capacity.size", "By", "What the cluster can hold, parity taken off."),
    Metric("minio.capacity.free", "By", "What of it is free.", good="high"),
    Metric(UTILIZATION, "1", "Share of the usable capacity that is taken.", good="low"),
    Metric("minio.capacity.full_in", "s", "Time until it is full if it goes on as in the last hour.", good="high"),
    Metric("minio.usage.size", "By", "Size of all objects, as the scanner counted them."),
    Metric("minio.usage.objects", "{object}", "Objects, as the scanner counted them."),
    Metric("minio.usage.versions", "{version}", "Versions of objects, delete markers included."),
    Metric("minio.usage.delete_markers", "{version}", "Delete markers."),
    Metric("minio.bucket.count", "{bucket}", "Buckets."),
    Metric("minio.bucket.size", "By", "Size of the objects of a bucket."),
    Metric("minio.bucket.objects", "{object}", "Objects of a bucket."),
    Metric("minio.bucket.quota.utilization", "1", "Share of its quota that a bucket has taken.", good="low"),
    Metric("minio.bucket.left_out", "{bucket}", "Buckets beyond the bound, which have no readings.", good="low"),
    Metric("minio.requests", "{request}/s", "S3 requests, per second."),
    Metric("minio.request.errors", "{request}/s", "S3 requests that failed, per second.", good="low"),
    Metric(ERROR_RATIO, "1", f"Share that failed by the server's fault, of {REQUESTS} requests or more.", good="low"),
    Metric("minio.request.rejected", "{request}/s", "S3 requests that were not even looked at.", good="low"),
    Metric("minio.request.inflight", "{request}", "S3 requests that are being answered."),
    Metric("minio.request.waiting", "{request}", "S3 requests that wait for their turn.", good="low"),
    Metric("minio.io", "By/s", "Received from and transmitted to clients, per second."),
    Metric("minio.drive.utilization", "1", "Share of a drive that is taken.", good="low"),
    Metric("minio.drive.errors", "{error}/s", "Errors of a drive, per second.", good="low"),
    Metric("minio.drive.waiting", "{operation}", "Operations that wait for a drive.", good="low"),
    Metric("minio.drive.await", "s", "How long an operation of a drive takes.", good="low"),
    Metric("minio.replication.link", "1", "Whether the target of replication can be reached.", good="high"),
    Metric("minio.replication.backlog", "{object}", "Objects waiting to be replicated in 5 minutes.", good="low"),
    Metric("minio.replication.queued", "{object}", "Objects queued for replication in the last minute."),
    Metric("minio.replication.failed", "{object}", "Objects not replicated in the last minute.", good="low"),
    Metric("minio.heal.failed", "{object}", "Objects that the present healing could not heal.", good="low"),
    Metric(SILENCE, "s", "Time since the scanner did something.", good="low"),
    Metric("minio.process.memory", "By", "Memory of the server's process."),
    Metric("minio.process.uptime", "s", "Time since the server was started."),
    Metric("minio.process.files.utilization", "1", "Share of the files that it may open.", good="low"),
)
_UNITS = {metric.name: metric.unit for metric in METRICS}

Labels = tuple[tuple[str, str], ...]
Values = dict[str, dict[Labels, float]]
"""By name, by labels."""


class ErasureSet(NamedTuple):
    """An erasure set, and how many further drives it may lose; below zero it has lost too many."""

    pool: str
    number: str
    read: int
    write: int


class Figures:
    """Remembers counters from run to run."""

    def __init__(self) -> None:
        self._rates = Rates()
        self._told: set[str] = set()
        """Servers of the last run …"""
        self._counted: set[tuple[str, Labels]] = set()
        """… and their counters."""

    def take(self, pages: Iterable[str], monotonic_seconds: float) -> Values:
        """What the pages say, folded. Rates lack in the first run.

        Raises: Unlawful if a page is no exposition.
        """
        scalars = [scalar for page in pages for scalar in _scalars(page)]
        self._rates.begin(monotonic_seconds)
        told, self._told = self._told, {scalar.labels.get("server", "") for scalar, _ in scalars}
        counted, self._counted = self._counted, set()
        seen: set[tuple[str, Labels]] = set()
        values: Values = {}
        grown = 0
        for scalar, figure in scalars:
            value = scalar.value * figure.scale
            series_key = scalar.name, tuple(sorted(scalar.labels.items()))
            if series_key in seen or not 0 <= value < 1 << 62:  # pages overlap
                continue
            seen.add(series_key)
            if figure.fold == "rate":
                self._counted.add(series_key)
                # Version 3 leaves out counters that are zero: a new one of a server that was there began at that.
                born = series_key not in counted and scalar.labels.get("server", "") in told
                growth = self._rates.growth(series_key, (int(value),))
                if not self._rates.seconds or (growth is None and not born):
                    continue
                amount = int(value) if growth is None else growth[0]
                value = amount / self._rates.seconds
                if figure.name == "minio.requests":
                    grown += amount
            key = _kept(scalar, figure)
            if key is None or (figure.name == SILENCE and value > NEVER_SECONDS):
                continue
            series = values.setdefault(figure.name, {})
            before = series.get(key)
            series[key] = value if before is None else _folded(figure, before, value)
        _complete(values)
        if grown >= REQUESTS:
            failed = values.get("minio.request.errors", {}).get((("error.type", "5xx"),), 0.0)
            total = values["minio.requests"][()]
            values[ERROR_RATIO] = {(): failed / total if total else 0.0}
        return values


def readings(values: Values, *, buckets: Sequence[str], max_buckets: int) -> list[Reading]:
    """The readings, bounded. ``buckets`` are patterns of names; none means all."""
    values = dict(values)
    _divide(values, "drive.used", "drive.size", "minio.drive.utilization")
    _divide(values, "files.open", "files.most", "minio.process.files.utilization")
    _divide(values, "minio.bucket.size", "bucket.quota", "minio.bucket.quota.utilization")
    size, free = (values.get(f"minio.capacity.{one}", {}).get(()) for one in ("size", "free"))
    if size and free is not None:
        values[UTILIZATION] = {(): 1 - free / size}
    found: list[Reading] = []
    _keep(values, "minio.bucket.", _largest(values, buckets, max_buckets, found).__contains__)
    _keep(values, "minio.drive.", _first(values, "minio.drive.", DRIVE, DRIVES))
    _keep(values, "minio.process.", _first(values, "minio.process.", SERVER, SERVERS))
    for one in erasure_sets(values)[:SETS]:
        for access, spare in (("read", one.read), ("write", one.write)):
            labels = {POOL: one.pool, SET: one.number, "minio.access": access}
            found.append(Reading(TOLERANCE, max(spare, 0), labels))
    for name, series in values.items():
        if name in _UNITS:
            found += [Reading(name, _rounded(name, value), dict(labels)) for labels, value in series.items()]
    return found


def erasure_sets(values: Values) -> list[ErasureSet]:
    """The sets that all is known of, those that may lose the fewest drives first."""
    online, healing, read_quorum, write_quorum = (
        values.get(f"set.{one}", {}) for one in ("online", "healing", "read", "write")
    )
    found = []
    for labels, drives in online.items():
        if labels in read_quorum and labels in write_quorum:
            named = dict(labels)
            # As MinIO counts: a drive that is being healed takes writes already, and cannot be read yet.
            write = drives + healing.get(labels, 0) - write_quorum[labels]
            found.append(
                ErasureSet(named.get(POOL, ""), named.get(SET, ""), int(drives - read_quorum[labels]), int(write))
            )
    return sorted(found, key=lambda one: (one.write, one.read, one.pool, one.number))


def _scalars(page: str) -> Iterable[tuple[Scalar, Figure]]:
    for one in read(page, wanted=FIGURES.__contains__, lines=LINES):
        figure = FIGURES.get(one.name) if isinstance(one, Scalar) else None
        if isinstance(one, Scalar) and figure is not None and isfinite(one.value):
            yield one, figure


def _kept(scalar: Scalar, figure: Figure) -> Labels | None:
    labels = dict(figure.fixed)
    for theirs, ours in figure.kept.items():
        value = scalar.labels.get(theirs, "")
        if len(value) > LABEL_VALUE_CHARACTERS or not value.isprintable():
            return None
        if value:
            labels[ours] = value
        elif ours != SERVER:  # only some versions say which server it was
            return None
    return tuple(sorted(labels.items()))


def _complete(values: Values) -> None:
    """What version 3 leaves out since it is zero, wherever what it is counted with is there."""
    for name in ("minio.drive.count", "minio.node.count"):
        series = values.get(name, {})
        if ((STATE, "online"),) in series:
            series.setdefault(((STATE, "offline"),), 0.0)
        elif series:
            series[((STATE, "online"),)] = 0.0
    if values.get("minio.requests"):
        errors = values.setdefault("minio.request.errors", {})
        for kind in ("4xx", "5xx"):
            errors.setdefault((("error.type", kind),), 0.0)


def _folded(figure: Figure, before: float, value: float) -> float:
    match figure.fold:
        case "max":
            return max(before, value)
        case "min":
            return min(before, value)
        case _:
            return before + value


def _divide(values: Values, part: str, whole: str, into: str) -> None:
    wholes = values.get(whole, {})
    shares = {labels: value / wholes[labels] for labels, value in values.get(part, {}).items() if wholes.get(labels)}
    if shares:
        values[into] = shares


def _largest(values: Values, patterns: Sequence[str], most: int, found: list[Reading]) -> set[str]:
    """The buckets that have readings; how many have not goes to ``found``."""
    sizes = {dict(labels)[BUCKET]: size for labels, size in values.get("minio.bucket.size", {}).items()}
    others = {dict(labels).get(BUCKET, ""): 0.0 for labels in values.get("minio.bucket.objects", {})}
    meant = [
        name
        for name in sorted(others | sizes, key=lambda name: (-sizes.get(name, 0.0), name))
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    if sizes:
        found.append(Reading("minio.bucket.left_out", max(len(meant) - most, 0)))
    return set(meant[:most])


def _first(values: Values, prefix: str, label: str, most: int) -> Callable[[str], bool]:
    """Whether a value of this label is among those that have readings: those with errors or waiters first."""
    trouble: dict[str, float] = {}
    for name, series in values.items():
        if name.startswith(prefix):
            for labels, value in series.items():
                if (named := dict(labels).get(label)) is not None:
                    bad = value if name.endswith((".errors", ".waiting")) else 0.0
                    trouble[named] = trouble.get(named, 0.0) + bad
    return set(sorted(trouble, key=lambda named: (-trouble[named], named))[:most]).__contains__


def _keep(values: Values, prefix: str, wanted: Callable[[str], bool]) -> None:
    label = {"minio.bucket.": BUCKET, "minio.drive.": DRIVE, "minio.process.": SERVER}[prefix]
    for name in [name for name in values if name.startswith(prefix)]:
        values[name] = {
            labels: value
            for labels, value in values[name].items()
            if (named := dict(labels).get(label)) is None or wanted(named)
        }


def _rounded(name: str, value: float) -> float:
    unit = _UNITS[name]
    if unit == "1":
        return ratio(value)
    if unit.endswith("/s"):
        return rate(value)
    if unit == "s":
        return round(value, 4) if value < 100 else round(value)
    return int(value)
