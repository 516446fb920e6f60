"""The prometheus monitor: whatever exposes its metrics as Prometheus text or OpenMetrics."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from twinwatch.monitors import Check, Declaration, Finding, Moment, Options, Part, Reading, SecretText
from twinwatch.monitors.exposition import Exposed, Unlawful, read
from twinwatch.monitors.learning import Learner
from twinwatch.monitors.media import ACCEPT, OPENMETRICS
from twinwatch.monitors.options import lasting
from twinwatch.protocol.durations import Duration
from twinwatch.protocol.limits import CHECK_NAME_CHARACTERS, MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World
from twinwatch.world.http import Answer, Unreachable

Patterns = tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...]


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One address to scrape."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^https?://[^\s@]+$",
            max_length=2000,
            title="URL",
            description="Where the metrics are, such as http://127.0.0.1:9100/metrics; no user or password in it.",
        ),
    ]
    name: Annotated[
        str,
        Meta(
            max_length=100, title="Name", description="What its check and its instance label say; host:port if not set."
        ),
    ] = ""
    allow: Annotated[
        Patterns, Meta(title="Allow", description="Only metrics with these names, * and ? allowed; none means all.")
    ] = ()
    deny: Annotated[
        Patterns, Meta(title="Deny", description="No metrics with these names, * and ? allowed, such as go_*.")
    ] = ()
    max_series: Annotated[
        int, Meta(ge=1, le=8000, title="Most series", description="More are left out, and the check says so.")
    ] = 1000
    headers: Annotated[dict[str, SecretText], Meta(title="Headers", description="Further headers of the request.")] = {}
    bearer_token: Annotated[
        SecretText | None, Meta(title="Bearer token", description="For servers that ask for one.")
    ] = None
    username: Annotated[str, Meta(max_length=200, title="User", description="For basic authentication.")] = ""
    password: Annotated[SecretText | None, Meta(title="Password", description="For basic authentication.")] = None
    check_interval: Annotated[
        Duration | None,
        Meta(title="Interval", description="How often it is read; the monitor's own interval if not set."),
    ] = None
    timeout: Annotated[Duration, Meta(title="Timeout", description="How long the answer may take.")] = lasting("10s")

    @property
    def instance(self) -> str:
        """The name, or host and port."""
        return self.name or urlsplit(self.url).netloc


class PrometheusOptions(Options, frozen=True, kw_only=True):
    """Where metrics are read."""

    targets: Annotated[
        tuple[Target, ...], Meta(min_length=1, max_length=100, title="Targets", description="The addresses to read.")
    ]


class Prometheus:
    """Reads what exporters and applications expose, as Prometheus would, and keeps it with everything else.

    Counters become rates, histograms become rate, mean and quantiles. Every series bears the label ``instance``.
    Source: https://prometheus.io/docs/instrumenting/exposition_formats/ and OpenMetrics 1.0.
    Cost: a request per target; about 3 ms of CPU per 1,000 lines.
    Rights: none; what the target asks for.
    """

    name: ClassVar[str] = "prometheus"
    title: ClassVar[str] = "Prometheus"
    Options: ClassVar[type[Options]] = PrometheusOptions
    interval_seconds: ClassVar[float] = 15.0
    deadline_seconds: ClassVar[float] = 15.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("prometheus.scrape.duration", "s", "How long the target took to answer.", good="low"),
        Metric("prometheus.scrape.series", "{series}", "Series that were taken from the target."),
        Metric("prometheus.scrape.left_out", "{series}", "Series that were beyond a bound and left out.", good="low"),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Scrape time", ("prometheus.scrape.duration",), by=("instance",)),
        Chart("Series taken", ("prometheus.scrape.series", "prometheus.scrape.left_out"), by=("instance",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("target down", severity="critical", check="*", times=2),
        Rule("target degraded", check="*", states=("degraded",), hold="5m"),
    )

    def __init__(self, options: PrometheusOptions) -> None:
        self._targets = options.targets
        self._learners = {
            target.url: Learner({"instance": target.instance}, series=target.max_series) for target in options.targets
        }
        self.learned = Declaration()

    @classmethod
    def split(cls, options: PrometheusOptions) -> Sequence[Part]:
        """A part per target: one that hangs delays no other."""
        return [
            Part(target.instance, msgspec.structs.replace(options, targets=(target,)), target.check_interval)
            for target in options.targets
        ]

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One scrape of each target."""
        found: list[Finding] = []
        for target in self._targets:
            found += await self._scrape(world, target, moment)
        declarations = [learner.declaration for learner in self._learners.values()]
        if len(declarations) == 1:
            self.learned = declarations[0]
        else:
            self.learned = Declaration(
                tuple({one.name: one for each in declarations for one in each.metrics}.values()),
                tuple({one.title: one for each in declarations for one in each.charts}.values()),
            )
        return found

    async def _scrape(self, world: World, target: Target, moment: Moment) -> list[Finding]:
        name = target.instance[:CHECK_NAME_CHARACTERS]
        began = world.clock.monotonic()
        try:
            answer = await world.http.request(
                "GET", target.url, headers=_headers(target), timeout_seconds=target.timeout
            )
        except Unreachable as err:
            return [Check(name, "down", f"{target.url}: {err}"[:MESSAGE_CHARACTERS], "unreachable")]
        duration = max(world.clock.monotonic() - began, 0.0)
        if answer.status != 200:
            message = f"{target.url} answers {answer.status}, expected 200 with metrics"
            return [Check(name, "down", message[:MESSAGE_CHARACTERS], "wrong-status")]
        learner = self._learners[target.url]
        problem = ""
        try:
            readings = learner.learn(_exposed(answer, target), moment.monotonic_seconds)
        except Unlawful as err:
            # Half a text would make rates of half a truth: a scrape counts whole or not at all.
            problem = _printable(f"{target.url}: {err}")
            return [Check(name, "down", problem[:MESSAGE_CHARACTERS], "not-understood")]
        labels = {"instance": target.instance}
        found: list[Finding] = [
            Reading("prometheus.scrape.duration", round(duration, 4), labels),
            Reading("prometheus.scrape.series", len(readings), labels),
            Reading("prometheus.scrape.left_out", learner.left_out, labels),
            *readings,
        ]
        if learner.left_out:
            problem = (
                f"{learner.left_out} series are left out, beyond max_series {target.max_series} or a bound on names "
                "and labels; choose with allow and deny"
            )
            return [*found, Check(name, "degraded", problem, "too-many-series")]
        return [*found, Check(name, "up")]


def _exposed(answer: Answer, target: Target) -> Sequence[Exposed]:
    openmetrics = answer.headers.get("content-type", "").startswith(OPENMETRICS)
    text = answer.body.decode("utf-8", "replace")
    return list(read(text, openmetrics=openmetrics, wanted=_wanted(target)))


def _wanted(target: Target) -> Callable[[str], bool] | None:
    if not target.allow and not target.deny:
        return None
    known: dict[str, bool] = {}

    def judge(name: str) -> bool:
        wanted = known.get(name)
        if wanted is None:
            allowed = not target.allow or any(fnmatchcase(name, one) for one in target.allow)
            wanted = known[name] = allowed and not any(fnmatchcase(name, one) for one in target.deny)
        return wanted

    return judge


def _headers(target: Target) -> dict[str, str]:
    headers = {"Accept": ACCEPT, **{name: value.reveal() for name, value in target.headers.items()}}
    if target.bearer_token is not None:
        headers["Authorization"] = f"Bearer {target.bearer_token.reveal()}"
    elif target.password is not None:
        both = f"{target.username}:{target.password.reveal()}".encode()
        headers["Authorization"] = f"Basic {b64encode(both).decode()}"
    return headers


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in text)
