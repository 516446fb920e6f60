"""All traffic of this server's tailnet, by the way that it took. Pure, but for what rates remember.

Source: https://tailscale.com/docs/reference/tailscale-client-metrics.
"""

from __future__ import annotations

from twinwatch.monitors import Finding, Reading
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.exposition import Scalar, Unlawful, read
from twinwatch.monitors.rates import Rates
from twinwatch.protocol.metrics import Metric

LINES = 2_000
DIRECTIONS = {"inbound": "receive", "outbound": "transmit"}
PATHS = {"direct_ipv4", "direct_ipv6", "derp", "peer_relay_ipv4", "peer_relay_ipv6"}
REASONS = {"acl", "multicast", "link_local_unicast", "too_short", "fragment", "unknown_protocol", "error"}
RELAYS = {"derp", "peer_relay_ipv4", "peer_relay_ipv6"}
LEAST_BYTES = 100_000
"""Less traffic between two runs says nothing about the way that it takes."""

DIRECTION, PATH = "network.io.direction", "tailscale.path"
IO, DROPPED, RELAYED = "tailscale.io", "tailscale.packet.dropped", "tailscale.relayed"
METRICS = (
    Metric(IO, "By/s", "Bytes received from and transmitted to all peers, per second, by way."),
    Metric(DROPPED, "{packet}/s", "Packets dropped, per second, by reason.", good="low"),
    Metric(RELAYED, "1", "Share of the traffic that goes over relays.", good="low"),
)


class Traffic:
    """Remembers counters."""

    def __init__(self) -> None:
        self._rates = Rates()

    def findings(self, page: str | None, monotonic_seconds: float) -> list[Finding]:
        """Rates since the last run; nothing where tailscaled does not tell."""
        if page is None:
            return []
        try:
            scalars = [one for one in read(page, wanted=_is_wanted, lines=LINES) if isinstance(one, Scalar)]
        except Unlawful:
            return []
        self._rates.begin(monotonic_seconds)
        found: dict[tuple[str, str, str], Finding] = {}
        total = relayed = 0
        for one in scalars:
            if not 0 <= one.value < 1 << 62:
                continue
            way = DIRECTIONS[one.name.split("_")[1]]
            word = one.labels.get("path" if one.name.endswith("_bytes_total") else "reason", "")
            dropped = one.name.endswith("_dropped_packets_total")
            if word not in (REASONS if dropped else PATHS):
                continue
            grown = self._rates.growth((one.name, word), (int(one.value),))
            if grown is None:
                continue
            value = rate(grown[0] / self._rates.seconds)
            if dropped:
                labels = {DIRECTION: way, "error.type": word}
                found[one.name, way, word] = Reading(DROPPED, value, labels)
                continue
            total += grown[0]
            relayed += grown[0] if word in RELAYS else 0
            found[one.name, way, word] = Reading(IO, value, {DIRECTION: way, PATH: word})
        if total >= LEAST_BYTES:
            found[RELAYED, "", ""] = Reading(RELAYED, ratio(relayed / total))
        return list(found.values())


def _is_wanted(name: str) -> bool:
    return name.startswith(("tailscaled_inbound_", "tailscaled_outbound_")) and name.endswith(
        ("bound_bytes_total", "_dropped_packets_total")
    )
