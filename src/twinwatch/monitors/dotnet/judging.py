"""What figures mean over time: a starving thread pool, long pauses of the collector, a heap that only grows, many
exceptions. Pure: each judge is told the time.

Invariants: what was not told in a run is not judged in it; a process that began anew starts every judge anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp

from twinwatch.monitors import Check

STARVING_SECONDS = 60.0
PAUSE_SECONDS = 60.0
WELL_AGAIN = 0.5
"""Share of a bound below which all is well again."""
HEAP_HOURS = 6
HEAP_GROWTH = 1.2
HEAP_LEAST_BYTES = 64 << 20
BASELINE_SECONDS = 3600.0
RECENT_SECONDS = 300.0
LEAST_EXCEPTIONS = 1.0
"""Fewer per second are never too many."""
WARM_SECONDS = 1800.0
SAMPLES = 512


@dataclass
class ThreadPool:
    """Starvation: work waits, more and more of it, though threads are added, for a minute.

    Source: https://learn.microsoft.com/dotnet/core/diagnostics/debug-threadpool-starvation.
    """

    _past: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    _starving: bool = False

    def judge(self, now: float, queue: float, threads: float) -> Check:
        """The check ``thread-pool`` after this run."""
        self._past.append((now, queue, threads))
        while self._past and now - self._past[0][0] > STARVING_SECONDS * 1.5:
            self._past.popleft()
        began, first_queue, first_threads = self._past[0]
        if queue == 0:
            self._starving = False
        elif now - began >= STARVING_SECONDS * 0.9:
            waited = all(one[1] > 0 for one in self._past)
            self._starving = self._starving or (waited and queue > first_queue and threads > first_threads)
        if not self._starving:
            return Check("thread-pool", "up")
        message = (
            f"The thread pool starves: {queue:.0f} items wait and {threads:.0f} threads are not enough. Look for code "
            "that blocks (.Result, .Wait(), locks) with: dotnet-stack report -p PID"
        )
        return Check("thread-pool", "degraded", message, "starvation")


@dataclass
class Pauses:
    """The collector's pauses take more than ``most`` of the time, over a minute."""

    most: float
    _past: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    _too_long: bool = False

    def judge(self, now: float, share: float) -> Check:
        """The check ``gc`` after this run."""
        self._past.append((now, share))
        while self._past and now - self._past[0][0] > PAUSE_SECONDS:
            self._past.popleft()
        mean = sum(one for _, one in self._past) / len(self._past)
        whole = now - self._past[0][0] >= PAUSE_SECONDS * 0.7
        if mean > self.most and whole:
            self._too_long = True
        elif mean < self.most * WELL_AGAIN:
            self._too_long = False
        if not self._too_long:
            return Check("gc", "up")
        message = (
            f"Garbage collection holds the application up for {mean:.0%} of the time: see what allocates "
            "(dotnet-trace collect --profile gc-verbose) and whether memory is short"
        )
        return Check("gc", "degraded", message, "long-pauses")


@dataclass
class Heap:
    """A leak: what is left after collections of generation 2 has grown in every hour of six."""

    _hours: dict[int, float] = field(default_factory=dict)
    """The least that was left, by hour."""
    _began: float | None = None

    def judge(self, now: float, size: float, *, collected: bool) -> Check | None:
        """The check ``heap`` after this run; None until there has been a collection of generation 2."""
        self._began = now if self._began is None else self._began
        hour = int((now - self._began) // 3600)
        if collected:
            self._hours[hour] = min(self._hours.get(hour, size), size)
        for old in [one for one in self._hours if one < hour - HEAP_HOURS]:
            del self._hours[old]
        if not self._hours:
            return None
        past = [self._hours[one] for one in range(hour - HEAP_HOURS, hour) if one in self._hours]
        grows = len(past) == HEAP_HOURS and all(later > earlier for earlier, later in pairwise(past))
        if not grows or past[-1] < past[0] * HEAP_GROWTH or past[-1] - past[0] < HEAP_LEAST_BYTES:
            return Check("heap", "up")
        message = (
            f"The heap keeps growing: {past[0] / 1e6:.0f} MB were left after full collections six hours ago, "
            f"{past[-1] / 1e6:.0f} MB now. Compare two dumps: dotnet-gcdump collect -p PID"
        )
        return Check("heap", "degraded", message, "growing")


@dataclass
class Exceptions:
    """Many more exceptions than are usual: the mean of five minutes against that of an hour."""

    times: float
    _usual: float | None = None
    _recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    _began: float | None = None
    _at: float | None = None
    _many: bool = False

    def judge(self, now: float, rate: float) -> Check:
        """The check ``exceptions`` after this run."""
        self._began = now if self._began is None else self._began
        self._recent.append((now, rate))
        while self._recent and now - self._recent[0][0] > RECENT_SECONDS:
            self._recent.popleft()
        mean = sum(one for _, one in self._recent) / len(self._recent)
        usual = self._usual if self._usual is not None else mean
        bound = max(usual * self.times, LEAST_EXCEPTIONS)
        if now - self._began >= WARM_SECONDS and mean > bound:
            self._many = True
        elif mean < max(bound * WELL_AGAIN, usual):
            self._many = False
        if not self._many:
            # What is too much is not what is usual.
            passed = 0.0 if self._at is None else max(now - self._at, 0.0)
            self._usual = usual + (rate - usual) * (1 - exp(-passed / BASELINE_SECONDS))
        self._at = now
        if not self._many:
            return Check("exceptions", "up")
        message = f"{mean:.3g} exceptions per second, {usual:.3g} are usual: see the application's log"
        return Check("exceptions", "degraded", message, "many")


@dataclass
class Judges:
    """All of them for one process."""

    pause_most: float
    exceptions_times: float
    thread_pool: ThreadPool = field(default_factory=ThreadPool)
    heap: Heap = field(default_factory=Heap)
    pauses: Pauses = field(init=False)
    exceptions: Exceptions = field(init=False)

    def __post_init__(self) -> None:
        self.pauses = Pauses(self.pause_most)
        self.exceptions = Exceptions(self.exceptions_times)
