"""How the kernel keeps up with incoming packets, and how full its table of connections is."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment, Reading, Unreadable
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

SOFTNET = "/proc/net/softnet_stat"
CONNTRACK = ("/proc/sys/net/netfilter/nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_max")
HEX_DIGITS = 8


class Softnet:
    """Packets that cores could not take in time, and tracked connections.

    Source: /proc/net/softnet_stat (a line per core: processed, dropped, times the budget ran out, in hexadecimal),
    /proc/sys/net/netfilter/nf_conntrack_{count,max}, which is there where connections are tracked (a firewall, NAT).
    Cost: three reads.
    Rights: none.
    """

    name: ClassVar[str] = "softnet"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "system.network.softnet.dropped",
            "{packet}/s",
            "Packets thrown away since the queue of a core was full (net.core.netdev_max_backlog).",
            good="low",
        ),
        Metric(
            "system.network.softnet.squeezed",
            "{event}/s",
            "How often a core had to leave packets for later since its time for them was over.",
            good="low",
        ),
        Metric("system.network.conntrack.count", "{connection}", "Connections that the firewall keeps in mind."),
        Metric(
            "system.network.conntrack.utilization",
            "1",
            "Share of the table of tracked connections that is used. At 1 new connections are dropped.",
            good="low",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Packets dropped by the kernel", ("system.network.softnet.dropped",)),
        Chart("Tracked connections", ("system.network.conntrack.utilization",), top=1.0),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self) -> None:
        self._rates = Rates()

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run."""
        counters = _sums(host.read_text(SOFTNET))
        self._rates.begin(moment.monotonic_seconds)
        found: list[Finding] = []
        if grown := self._rates.growth("all", counters):
            found.append(Reading("system.network.softnet.dropped", rate(grown[0] / self._rates.seconds)))
            found.append(Reading("system.network.softnet.squeezed", rate(grown[1] / self._rates.seconds)))
        return found + _tracked(host)


def _sums(text: str) -> tuple[int, int]:
    dropped = squeezed = 0
    for line in procfs.lines(text):
        words = line.split()
        try:
            if len(words) < 3 or len(words[1]) > HEX_DIGITS or len(words[2]) > HEX_DIGITS:
                raise ValueError("expected words of eight digits")
            numbers = int(words[1], 16), int(words[2], 16)
        except ValueError as err:
            raise Unreadable(f"{SOFTNET}: {line[:60]!r}: {str(err)[:80]}") from err
        if min(numbers) < 0:
            raise Unreadable(f"{SOFTNET}: {line[:60]!r}: expected hexadecimal numbers")
        dropped, squeezed = dropped + numbers[0], squeezed + numbers[1]
    return dropped, squeezed


def _tracked(host: Host) -> list[Finding]:
    try:
        lines = [procfs.lines(host.read_text(path)) for path in CONNTRACK]
    except (Missing, Refused):
        return []
    if not all(lines):
        return []
    count, most = (procfs.counters(path, one[:1])[0] for path, one in zip(CONNTRACK, lines, strict=True))
    if not most or count >= procfs.LARGEST_EXACT:
        return []
    return [
        Reading("system.network.conntrack.count", count),
        Reading("system.network.conntrack.utilization", ratio(count / most)),
    ]
