"""Figures of an application, whichever way they came: OpenTelemetry's names of old and new, Prometheus's, counters'.

A fact is one value as its source has it. ``Figures.of`` turns the facts of one source into the monitor's own metrics:
counters into rates, milliseconds and percentages into base units, generations into one label. Pure.

Invariants: a figure is finite and not negative, a share within 0 to 1; what fell was reset, and says nothing of that
run; several series of one figure are added up, shares are averaged.
Source: https://learn.microsoft.com/dotnet/core/diagnostics/built-in-metrics-runtime and …/built-in-metrics-aspnetcore;
OpenTelemetry.Instrumentation.Runtime for the names before .NET 9; …/available-counters; prometheus-net.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

from twinwatch.monitors import Reading
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.distributions import Distribution, Exponential
from twinwatch.protocol.metrics import Metric

OWN = "dotnet.app"
GENERATION = "dotnet.gc.heap.generation"
LARGEST = 1 << 62
ENOUGH_REQUESTS = 10
"""Fewer say nothing of the share that failed."""

HEAP = f"{OWN}.heap.size"
PAUSE = f"{OWN}.gc.pause.share"
COLLECTIONS = f"{OWN}.gc.collections"
ALLOCATED = f"{OWN}.gc.allocated"
THREADS = f"{OWN}.thread_pool.threads"
QUEUE = f"{OWN}.thread_pool.queue"
COMPLETED = f"{OWN}.thread_pool.completed"
EXCEPTIONS = f"{OWN}.exceptions"
CONTENTIONS = f"{OWN}.lock.contentions"
ACTIVE = f"{OWN}.requests.active"
CONNECTIONS = f"{OWN}.connections"
REQUESTS = f"{OWN}.requests"
FAILED = f"{OWN}.requests.failed_share"
DURATION = f"{OWN}.requests.duration"
P95 = f"{OWN}.requests.p95"

METRICS = (
    Metric(HEAP, "By", "Memory of the managed heap."),
    Metric(PAUSE, "1", "Share of the time in which the garbage collector held the application up.", good="low"),
    Metric(COLLECTIONS, "{collection}/s", "Garbage collections by generation, per second."),
    Metric(ALLOCATED, "By/s", "Memory allocated on the managed heap, per second."),
    Metric(THREADS, "{thread}", "Threads of the thread pool."),
    Metric(QUEUE, "{item}", "Work that waits for a thread of the pool.", good="low"),
    Metric(COMPLETED, "{item}/s", "Work that the thread pool has done, per second."),
    Metric(EXCEPTIONS, "{exception}/s", "Exceptions thrown, caught ones too, per second.", good="low"),
    Metric(CONTENTIONS, "{contention}/s", "Times that a lock was waited for, per second.", good="low"),
    Metric(ACTIVE, "{request}", "Requests that are being answered."),
    Metric(CONNECTIONS, "{connection}", "Open connections of clients."),
    Metric(REQUESTS, "{request}/s", "Requests answered, per second."),
    Metric(FAILED, "1", "Share of the requests that were answered with a status of 500 or more.", good="low"),
    Metric(DURATION, "s", "Mean time that a request took.", good="low"),
    Metric(P95, "s", "Time that 95 % of the requests did not exceed.", good="low"),
)
_SHARES = (PAUSE,)
_RATES = (COLLECTIONS, ALLOCATED, COMPLETED, EXCEPTIONS, CONTENTIONS, REQUESTS)

_RUNTIME: dict[str, tuple[str, float]] = {
    # .NET 9 and later: the meter System.Runtime.
    "dotnet.gc.last_collection.heap.size": (HEAP, 1),
    "dotnet.gc.pause.time": (PAUSE, 1),
    "dotnet.gc.collections": (COLLECTIONS, 1),
    "dotnet.gc.heap.total_allocated": (ALLOCATED, 1),
    "dotnet.thread_pool.thread.count": (THREADS, 1),
    "dotnet.thread_pool.queue.length": (QUEUE, 1),
    "dotnet.thread_pool.work_item.count": (COMPLETED, 1),
    "dotnet.exceptions": (EXCEPTIONS, 1),
    "dotnet.monitor.lock_contentions": (CONTENTIONS, 1),
    # Before: OpenTelemetry.Instrumentation.Runtime.
    "process.runtime.dotnet.gc.heap.size": (HEAP, 1),
    "process.runtime.dotnet.gc.duration": (PAUSE, 1e-9),
    "process.runtime.dotnet.gc.collections.count": (COLLECTIONS, 1),
    "process.runtime.dotnet.gc.allocations.size": (ALLOCATED, 1),
    "process.runtime.dotnet.thread_pool.threads.count": (THREADS, 1),
    "process.runtime.dotnet.thread_pool.queue.length": (QUEUE, 1),
    "process.runtime.dotnet.thread_pool.completed_items.count": (COMPLETED, 1),
    "process.runtime.dotnet.exceptions.count": (EXCEPTIONS, 1),
    "process.runtime.dotnet.monitor.lock_contention.count": (CONTENTIONS, 1),
    # ASP.NET Core and Kestrel.
    "http.server.active_requests": (ACTIVE, 1),
    "kestrel.active_connections": (CONNECTIONS, 1),
}
_PROMETHEUS: dict[str, tuple[str, float]] = {
    "dotnet_total_memory_bytes": (HEAP, 1),
    "dotnet_collection_count_total": (COLLECTIONS, 1),
    "dotnet_gc_pause_ratio": (PAUSE, 1),
    "dotnet_gc_allocated_bytes_total": (ALLOCATED, 1),
    "dotnet_threadpool_num_threads": (THREADS, 1),
    "dotnet_threadpool_queue_length": (QUEUE, 1),
    "dotnet_exceptions_total": (EXCEPTIONS, 1),
    "dotnet_contention_total": (CONTENTIONS, 1),
    "http_requests_in_progress": (ACTIVE, 1),
}
COUNTERS: dict[str, tuple[str, float]] = {
    # EventCounters of System.Runtime, ASP.NET Core hosting and Kestrel.
    "gc-heap-size": (HEAP, 1e6),
    "time-in-gc": (PAUSE, 0.01),
    "gen-0-gc-count": (COLLECTIONS, 1),
    "gen-1-gc-count": (COLLECTIONS, 1),
    "gen-2-gc-count": (COLLECTIONS, 1),
    "alloc-rate": (ALLOCATED, 1),
    "threadpool-thread-count": (THREADS, 1),
    "threadpool-queue-length": (QUEUE, 1),
    "threadpool-completed-items-count": (COMPLETED, 1),
    "exception-count": (EXCEPTIONS, 1),
    "monitor-lock-contention-count": (CONTENTIONS, 1),
    "requests-per-second": (REQUESTS, 1),
    "current-requests": (ACTIVE, 1),
    "current-connections": (CONNECTIONS, 1),
}
_DURATIONS = {
    "http.server.request.duration": 1.0,
    "http.server.duration": 0.001,
    "http_server_request_duration_seconds": 1.0,
    "http_server_duration_milliseconds": 0.001,
    "http_request_duration_seconds": 1.0,
}
_REQUEST_COUNTERS = ("http_requests_received_total",)
_STATUS = ("http.response.status_code", "http.status_code", "http_response_status_code", "http_status_code", "code")
_ENDINGS = ("_total", "_bytes", "_seconds", "_nanoseconds", "_ratio")
_BRIDGED = ("system_runtime_", "microsoft_aspnetcore_hosting_", "microsoft_aspnetcore_server_kestrel_")
_GENERATIONS = ("gc.heap.generation", "dotnet.gc.heap.generation", "generation", "gc_heap_generation")


class Fact(NamedTuple):
    """One value as its source has it. ``rising``: counted since the program began."""

    name: str
    labels: dict[str, str]
    value: object
    rising: bool


@dataclass
class Figures:
    """Of one source: it remembers the counters of the last run."""

    _at: float | None = None
    _before: dict[tuple[str, ...], object] = field(default_factory=dict)

    def of(self, facts: Iterable[Fact], monotonic_seconds: float) -> dict[tuple[str, str], Reading]:
        """The figures of this run by metric and generation."""
        seconds = 0.0 if self._at is None else monotonic_seconds - self._at
        before, self._before, self._at = self._before, {}, monotonic_seconds
        sums: dict[tuple[str, str], list[float]] = {}
        requests = _Requests()
        for fact in facts:
            key = (fact.name, *(part for pair in sorted(fact.labels.items()) for part in pair))
            if fact.rising:
                self._before[key] = fact.value
            if fact.name in _DURATIONS or fact.name in _REQUEST_COUNTERS:
                requests.take(fact, before.get(key))
                continue
            meant = meaning_of(fact.name)
            if meant is None or not isinstance(fact.value, int | float):
                continue
            metric, scale = meant
            value = float(fact.value)
            if fact.rising and metric in (*_RATES, *_SHARES):
                earlier = before.get(key)
                if not isinstance(earlier, int | float) or seconds <= 0 or value < earlier:
                    continue
                value = (value - earlier) / seconds
            value *= scale
            if isfinite(value) and 0 <= value < LARGEST:
                generation = _generation(fact) if metric == COLLECTIONS else ""
                sums.setdefault((metric, generation), []).append(value)
        found = {key: _reading(*key, values) for key, values in sums.items()}
        return found | requests.figures(seconds)


@dataclass
class _Requests:
    """What was answered since the last run."""

    _tallies: dict[bool, list[float]] = field(default_factory=dict)
    """Requests and failed ones, by whether a histogram counted them: it may count the same as a counter."""
    _timed: dict[float, list[Distribution]] = field(default_factory=dict)

    def take(self, fact: Fact, before: object) -> None:
        """One series of a histogram or a counter."""
        grown: float | Distribution | None = None
        value = fact.value.explicit() if isinstance(fact.value, Exponential) else fact.value
        before = before.explicit() if isinstance(before, Exponential) else before
        if isinstance(value, Distribution) and isinstance(before, Distribution):
            grown = value.since(before)
        elif isinstance(value, int | float) and isinstance(before, int | float) and value >= before:
            grown = float(value) - float(before)
        if grown is None:
            return
        count = grown if isinstance(grown, float) else grown.count
        if not isfinite(count) or count < 0:
            return
        status = next((text for name in _STATUS if (text := fact.labels.get(name))), "")
        tally = self._tallies.setdefault(not isinstance(grown, float), [0.0, 0.0])
        tally[0] += count
        tally[1] += count if status.startswith("5") and len(status) == 3 else 0.0
        if isinstance(grown, Distribution):
            self._timed.setdefault(_DURATIONS[fact.name], []).append(grown)

    def figures(self, seconds: float) -> dict[tuple[str, str], Reading]:
        """The figures."""
        counted, failed = self._tallies.get(True) or self._tallies.get(False) or [-1.0, 0.0]
        if seconds <= 0 or not 0 <= counted / seconds < LARGEST:
            return {}
        found = [Reading(REQUESTS, rate(counted / seconds))]
        if counted >= ENOUGH_REQUESTS:
            found.append(Reading(FAILED, ratio(failed / counted)))
        for scale, several in self._timed.items():
            whole = _sum_of(several)
            for metric, value in ((DURATION, whole.mean), (P95, whole.quantile(0.95))):
                if value is not None and isfinite(value * scale) and 0 <= value * scale < LARGEST:
                    found.append(Reading(metric, round(value * scale, 6)))
            break
        return {(one.metric, ""): one for one in found}


def meaning_of(name: str) -> tuple[str, float] | None:
    """Which figure a source's name stands for, and what its values are to be multiplied with."""
    known = _RUNTIME.get(name) or _PROMETHEUS.get(name) or COUNTERS.get(name)
    if known is not None:
        return known
    # What OpenTelemetry's exporter for Prometheus, and prometheus-net's bridge to EventCounters, make of the names.
    plain = name
    for ending in _ENDINGS:
        plain = plain.removesuffix(ending)
    counter = plain
    for source in _BRIDGED:
        counter = counter.removeprefix(source)
    return _DOTTED.get(plain) or (COUNTERS.get(counter.replace("_", "-")) if counter != plain else None)


_DOTTED = {name.replace(".", "_"): meant for name, meant in _RUNTIME.items()}


def _sum_of(several: Sequence[Distribution]) -> Distribution:
    whole = several[0]
    for one in several[1:]:
        whole = whole.plus(one) or whole
    return whole


def _reading(metric: str, generation: str, values: list[float]) -> Reading:
    labels = {GENERATION: generation} if generation else {}
    if metric in _SHARES:
        return Reading(metric, ratio(sum(values) / len(values)), labels)
    total = min(sum(values), LARGEST)
    return Reading(metric, rate(total) if metric in _RATES else round(total), labels)


def _generation(fact: Fact) -> str:
    """``gen0`` to ``gen2``, ``loh``, ``poh``; ``all`` where none is told."""
    said = next((text for name in _GENERATIONS if (text := fact.labels.get(name))), "")
    if not said and "gen" in fact.name:
        said = next((digit for digit in "012" if f"gen-{digit}" in fact.name or f"gen_{digit}" in fact.name), "")
    said = said.lower()
    if said in ("0", "1", "2"):
        return f"gen{said}"
    return said if said in ("gen0", "gen1", "gen2", "loh", "poh") else "all"
