"""The minio monitor: do the drives suffice, is there room, do requests succeed, and does an object come back whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import msgspec

from twinwatch.monitors import Check, Finding, Moment, Options, Part, Reading, Unreadable
from twinwatch.monitors.exposition import Unlawful
from twinwatch.monitors.forecast import Forecast
from twinwatch.monitors.minio import canary, expecting, figures, health, judging
from twinwatch.monitors.minio.names import BUCKET, DRIVE, POOL, SERVER, SET, STATE, TARGET
from twinwatch.monitors.minio.options import MinioOptions
from twinwatch.monitors.minio.pages import PAGES, USAGE, Problem, Version, fetched, found_version
from twinwatch.monitors.minio.rules import RULES
from twinwatch.monitors.patience import printable
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.limits import MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.http import Http
from twinwatch.world.objects import ObjectsMissing, Store
from twinwatch.world.secret import Secret, hidden

USAGE_SECONDS = 290.0
"""Between two readings of the buckets' usage: a little less than five minutes, since runs are jittered."""
ASK_AGAIN_SECONDS = 590.0
"""Until a server that wants a token, where none is set, is asked again."""


class Minio:
    """Asks MinIO how it fares, and any S3 whether it takes and gives objects.

    Source: MinIO's health endpoints and metrics (versions 2 and 3); S3's PutObject, HeadObject, GetObject,
    DeleteObject and ListObjectsV2.
    Cost: twelve requests a run to a server of its own, 5 ms of CPU; the canary has a library of 20 MB, loaded only
    where one is configured.
    Rights: none for health, a metrics token for metrics, a user with one policy for the canary and expected objects.
    """

    name: ClassVar[str] = "minio"
    title: ClassVar[str] = "MinIO / S3"
    Options: ClassVar[type[Options]] = MinioOptions
    interval_seconds: ClassVar[float] = 30.0
    deadline_seconds: ClassVar[float] = 27.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        *health.METRICS,
        *figures.METRICS,
        *canary.METRICS,
        *expecting.METRICS,
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("MinIO capacity taken", (figures.UTILIZATION,), top=1.0),
        Chart("MinIO full in", ("minio.capacity.full_in",)),
        Chart("MinIO drives", ("minio.drive.count",), by=(STATE,), style="stack"),
        Chart("MinIO nodes", ("minio.node.count",), by=(STATE,), style="stack"),
        Chart("MinIO drives to spare", (figures.TOLERANCE,), by=(POOL, SET, health.ACCESS)),
        Chart("MinIO drives being healed", ("minio.drive.healing",)),
        Chart("MinIO requests", ("minio.requests",)),
        Chart("MinIO failed requests", ("minio.request.errors",), by=("error.type",), style="stack"),
        Chart("MinIO rejected requests", ("minio.request.rejected",), by=("error.type",), style="stack"),
        Chart("MinIO requests at once", ("minio.request.inflight", "minio.request.waiting")),
        Chart("MinIO traffic", ("minio.io",), by=("network.io.direction",), style="area", mirror=("transmit",)),
        Chart("MinIO usage", ("minio.usage.size",)),
        Chart("MinIO objects", ("minio.usage.objects",)),
        Chart("MinIO buckets", ("minio.bucket.size",), by=(BUCKET,), style="stack"),
        Chart("MinIO quotas", ("minio.bucket.quota.utilization",), by=(BUCKET,), top=1.0),
        Chart("MinIO drives taken", ("minio.drive.utilization",), by=(DRIVE,), top=1.0),
        Chart("MinIO drive errors", ("minio.drive.errors",), by=(DRIVE, "error.type")),
        Chart("MinIO drive time", ("minio.drive.await",), by=(DRIVE, "disk.io.direction")),
        Chart("MinIO replication waiting", ("minio.replication.backlog", "minio.replication.queued")),
        Chart("MinIO replication failed", ("minio.replication.failed",), by=(BUCKET,)),
        Chart("MinIO replication targets", ("minio.replication.link",), by=(TARGET,), top=1.0),
        Chart("MinIO memory", ("minio.process.memory",), by=(SERVER,)),
        Chart("S3 canary", (canary.DURATION,), by=(canary.STEP,), style="stack"),
        Chart("Age of the newest object", (expecting.AGE,), by=(expecting.EXPECTED,)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = RULES

    def __init__(self, options: MinioOptions) -> None:
        self._options = options
        self._figures = figures.Figures()
        self._version: Version | None = None
        if options.metrics == "v3" or options.metrics == "v2":  # noqa: PLR1714 - narrows
            self._version = options.metrics
        self._usage: figures.Values = {}
        self._usage_at: float | None = None
        self._refused_at: float | None = None
        self._forecast = Forecast()
        self._healing = health.Healing()
        self._had_replication = False
        self._canary: canary.Canary | None = None
        self._expectations: list[expecting.Expectation] = []
        if options.secret_key is not None:
            store = Store(options.base, options.access_key, options.secret_key, options.region, options.verify)
            self._canary = canary.Canary(options.canary, store) if options.canary else None
            self._expectations = [expecting.Expectation(one, store) for one in options.expected]

    @classmethod
    def split(cls, options: MinioOptions) -> Sequence[Part]:
        """A part for the server, one for the canary and one per expectation: none delays another."""
        alone = {"health": False, "metrics": "none", "canary": None, "expected": ()}
        parts: list[Part] = []
        if options.health or options.metrics != "none":
            parts.append(Part("", msgspec.structs.replace(options, canary=None, expected=())))
        if options.canary is not None:
            only = msgspec.structs.replace(options, **{**alone, "canary": options.canary})
            parts.append(Part("canary", only, options.canary.check_interval))
        for one in options.expected:
            only = msgspec.structs.replace(options, **{**alone, "expected": (one,)})
            parts.append(Part(f"expected {one.shown}", only, one.check_interval))
        return parts

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run of what is configured.

        Raises: Unreadable if the canary's library is not installed.
        """
        found: list[Finding] = []
        if self._options.health:
            answers = await health.findings(self._http(world), world.clock, self._options.base)
            found += answers.findings
            found += self._healing.findings(answers.healing, moment)
        if self._options.metrics != "none":
            found += await self._metrics(world, moment)
        try:
            if self._canary is not None:
                found += await self._canary.run(world.objects, moment)
            for expectation in self._expectations:
                found += await expectation.run(world.objects, moment)
        except ObjectsMissing as err:
            raise Unreadable(str(err)) from err
        secrets = self._options.secret_key, self._options.metrics_token
        return [_lawful(one, *secrets) for one in found]

    def _http(self, world: World) -> Http:
        return world.http if self._options.verify else world.unverified_http

    async def _metrics(self, world: World, moment: Moment) -> list[Finding]:
        pages = await self._pages(world, moment)
        if isinstance(pages, Problem):
            # Without a token nobody asked for metrics: that there are none is no trouble.
            state: CheckState = "unknown" if pages.reason in ("no-token", "unreachable") else "degraded"
            return [Check("metrics", state, pages.message, pages.reason), *self._unknown(pages)]
        texts, problems = pages
        try:
            values = self._figures.take(texts, moment.monotonic_seconds)
            if not values:
                raise Unlawful("nothing that MinIO tells")
        except Unlawful as err:
            problem = Problem("not-understood", f"MinIO's metrics are not understood: {err}")
            return [Check("metrics", "degraded", problem.message, problem.reason), *self._unknown(problem)]
        values = {**self._usage, **values}
        found: list[Finding] = []
        if problems:
            message = f"Some of MinIO's metrics are missing: {problems[0].message}"
            found.append(Check("metrics", "degraded", message, "incomplete"))
        else:
            found.append(Check("metrics", "up"))
        checks = judging.judged(values)
        self._had_replication = any(check.name == "replication" for check in checks)
        found += checks
        found += figures.readings(values, buckets=self._options.buckets, max_buckets=self._options.max_buckets)
        if (free := values.get("minio.capacity.free", {}).get(())) is not None:
            seconds = self._forecast.seconds_to_full("capacity", free, moment.monotonic_seconds)
            if seconds is not None:
                found.append(Reading("minio.capacity.full_in", round(seconds)))
        return found

    async def _pages(self, world: World, moment: Moment) -> tuple[list[str], list[Problem]] | Problem:
        options, now = self._options, moment.monotonic_seconds
        token, http = options.metrics_token, self._http(world)
        if self._version is None:
            if self._refused_at is not None and 0 <= now - self._refused_at < ASK_AGAIN_SECONDS:
                return Problem("no-token", NO_TOKEN)
            version = await found_version(http, options.base, token)
            if isinstance(version, Problem):
                self._refused_at = now if version.reason == "no-token" else None
                return version
            self._version = version
        version = self._version
        paths = list(PAGES[version])
        if version == "v3":
            paths += [f"/bucket/replication/{bucket}" for bucket in options.replicated_buckets]
        pages, problems = await fetched(http, options.base, token, version, paths)
        if not pages:
            if options.metrics == "auto":
                self._version = None
            return problems[0] if problems else Problem("not-there", f"{options.base} has no metrics {version}")
        if options.max_buckets and (self._usage_at is None or not 0 <= now - self._usage_at < USAGE_SECONDS):
            usage, more = await fetched(http, options.base, token, version, (USAGE[version],))
            problems += more
            try:
                self._usage = figures.Figures().take(usage, now) if usage else {}
                self._usage_at = now if usage else None
            except Unlawful as err:
                self._usage = {}
                problems.append(Problem("not-understood", f"{USAGE[version]}: {err}"))
        return pages, problems

    def _unknown(self, problem: Problem) -> list[Check]:
        """The checks that metrics would have told: not judged is neither ok nor failed."""
        names = (*judging.ALWAYS, "replication") if self._had_replication else judging.ALWAYS
        return [Check(name, "unknown", f"Not known: {problem.message}", problem.reason) for name in names]


NO_TOKEN = "MinIO wants a token for its metrics: mc admin prometheus generate ALIAS, and set metrics_token_file"  # noqa: S105


def _lawful(finding: Finding, *secrets: Secret | None) -> Finding:
    if isinstance(finding, Reading):
        return finding
    message = printable(hidden(finding.message, *secrets))
    if len(message) > MESSAGE_CHARACTERS:
        message = message[: MESSAGE_CHARACTERS - 1] + "…"
    return replace(finding, message=message, name=printable(finding.name))
