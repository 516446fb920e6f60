"""The HTTP monitor: asks for pages as a user would, and says which step failed, what was expected and what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from twinwatch.monitors import Finding, Moment, Options, Part
from twinwatch.monitors.http.options import Endpoint, HttpOptions
from twinwatch.monitors.http.probe import Probe
from twinwatch.monitors.reach import EXPIRES_IN, within
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World

BY = ("http.endpoint",)


class Http:
    """Asks HTTP endpoints for a page and judges status, headers, body, certificate and time.

    Each endpoint is a check: ``up``, ``degraded`` (slow, certificate expires soon, failures that are not enough yet to
    be down), ``down``, or ``unknown`` where this host's own name server or network failed. Each try is a new
    connection, so the phases are what a first visitor sees.
    Source: RFC 9110 and 9112, RFC 8446, RFC 5280.
    Cost: a connection per endpoint and run.
    Rights: none.
    """

    name: ClassVar[str] = "http"
    title: ClassVar[str] = "HTTP endpoints"
    Options: ClassVar[type[Options]] = HttpOptions
    interval_seconds: ClassVar[float] = 60.0
    deadline_seconds: ClassVar[float] = 60.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("http.check.duration", "s", "How long the whole answer took, redirects included.", good="low"),
        Metric("http.check.phase.duration", "s", "How long each phase of the answer took.", good="low"),
        Metric("http.check.status_code", "{code}", "The status of the answer."),
        Metric("http.check.body.size", "By", "How much of the body was received."),
        EXPIRES_IN,
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("HTTP response time", ("http.check.duration",), by=BY),
        Chart("HTTP phases", ("http.check.phase.duration",), by=(*BY, "http.phase")),
        Chart("HTTP status", ("http.check.status_code",), by=BY),
        Chart("HTTP body size", ("http.check.body.size",), by=BY),
        Chart("Certificate valid for", (EXPIRES_IN.name,), by=BY),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("endpoint down", severity="critical", check="*"),
        Rule("endpoint degraded", check="*", states=("degraded",), hold="5m"),
    )

    def __init__(self, options: HttpOptions) -> None:
        self._probes = [Probe(endpoint) for endpoint in options.endpoints]

    @classmethod
    def split(cls, options: HttpOptions) -> Sequence[Part]:
        """A part per endpoint: one that hangs delays no other."""
        return [
            Part(one.shown, msgspec.structs.replace(options, endpoints=(_in_time(one),)), one.check_interval)
            for one in options.endpoints
        ]

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One try of each endpoint."""
        found: list[Finding] = []
        for probe in self._probes:
            found += await probe.run(world, moment)
        return found


def _in_time(endpoint: Endpoint) -> Endpoint:
    return msgspec.structs.replace(endpoint, timeout=within(endpoint.timeout, endpoint.check_interval))
