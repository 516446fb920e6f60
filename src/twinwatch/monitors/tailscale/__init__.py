"""The tailscale monitor: is this server in its tailnet, for how long still, and are its peers within reach."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from twinwatch.monitors import Check, Finding, Moment, Options, Reading
from twinwatch.monitors.patience import printable
from twinwatch.monitors.tailscale import own, peers, traffic
from twinwatch.monitors.tailscale.options import TailscaleOptions
from twinwatch.monitors.tailscale.rules import RULES
from twinwatch.monitors.tailscale.source import NotRunning, Source
from twinwatch.protocol.limits import MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.doors import World


class Tailscale:
    """Watches this server's place in its tailnet, the expiry of its key, and chosen peers.

    Source: tailscaled's LocalAPI over its socket (status, prefs, usermetrics, ping); where that cannot be asked,
    ``tailscale status --json``. Its format may change, so what is missing is left out.
    Cost: three requests per run and one per chosen peer, 2 ms of CPU; by the program a process per run, 20 ms.
    Rights: none; whoever may open the socket may ask, and everybody may.
    """

    name: ClassVar[str] = "tailscale"
    title: ClassVar[str] = "Tailscale"
    Options: ClassVar[type[Options]] = TailscaleOptions
    interval_seconds: ClassVar[float] = 30.0
    deadline_seconds: ClassVar[float] = 25.0
    metrics: ClassVar[tuple[Metric, ...]] = (*own.METRICS, *peers.METRICS, *traffic.METRICS)
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Tailnet peers", ("tailscale.peer.count",), by=(peers.STATE,), style="stack"),
        Chart("Time until the node key expires", (own.KEY,)),
        Chart("Chosen peers online", ("tailscale.peer.online",), by=(peers.PEER,), top=1.0),
        Chart("Latency of chosen peers", ("tailscale.peer.latency",), by=(peers.PEER,)),
        Chart("Way to chosen peers", ("tailscale.peer.direct",), by=(peers.PEER,), top=1.0),
        Chart("Time since handshake", ("tailscale.peer.handshake_age",), by=(peers.PEER,)),
        Chart("Time until peers' keys expire", ("tailscale.peer.key.expires_in",), by=(peers.PEER,)),
        Chart(
            "Traffic with chosen peers",
            ("tailscale.peer.io",),
            by=(peers.PEER, traffic.DIRECTION),
            style="area",
            mirror=("transmit",),
        ),
        Chart(
            "Tailnet traffic",
            (traffic.IO,),
            by=(traffic.PATH, traffic.DIRECTION),
            style="area",
            mirror=("transmit",),
        ),
        Chart("Tailnet traffic over relays", (traffic.RELAYED,), top=1.0),
        Chart("Tailnet packets dropped", (traffic.DROPPED,), by=("error.type", traffic.DIRECTION)),
        Chart("Routes", (own.ADVERTISED, own.APPROVED)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = RULES

    def __init__(self, options: TailscaleOptions) -> None:
        self._options = options
        self._source = Source(options)
        self._peers = peers.Peers(options)
        self._traffic = traffic.Traffic()
        self._judged: set[str] = set()
        """Checks of the last run that was answered."""

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run.

        Raises: Absent where Tailscale is not installed; Unreadable if it does not answer as it should.
        """
        try:
            said = await self._source.ask(world)
        except NotRunning as err:
            found: list[Finding] = [
                Reading(own.CONNECTED, 0),
                Check(
                    "connection", "down", f"tailscaled does not run ({err}): systemctl start tailscaled", "not-running"
                ),
            ]
            return [_lawful(one) for one in found + self._unknown({"connection"})]
        status = said.status
        found = own.findings(status, said.prefs, moment, self._options.key_expires_within)
        if status.get("BackendState") == "Running":
            source = self._source if said.by_socket else None
            found += await self._peers.findings(status, source, world, moment)
            found += self._traffic.findings(said.metrics, moment.monotonic_seconds)
            self._judged = {one.name for one in found if isinstance(one, Check)}
        else:
            found += self._unknown({one.name for one in found if isinstance(one, Check)})
        return [_lawful(one) for one in found]

    def _unknown(self, judged: set[str]) -> list[Finding]:
        """What was judged before and cannot be now: neither ok nor failed."""
        why = "Not known: this server is not in the tailnet"
        return [Check(name, "unknown", why, "not-connected") for name in sorted(self._judged - judged)]


def _lawful(finding: Finding) -> Finding:
    if isinstance(finding, Reading):
        return finding
    message = printable(finding.message)
    if len(message) > MESSAGE_CHARACTERS:
        message = message[: MESSAGE_CHARACTERS - 1] + "…"
    return replace(finding, message=message, name=printable(finding.name))
