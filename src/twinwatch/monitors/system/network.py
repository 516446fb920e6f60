"""What the network interfaces carry."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from twinwatch.monitors import Moment, Reading, Unreadable
from twinwatch.monitors.digits import rate
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host

NET_DEV = "/proc/net/dev"
INTERFACES = 64

INNER = (
    "veth", "docker", "cali", "cilium", "lxc", "lxdbr", "cni", "flannel", "virbr", "vnet", "tap", "fwbr", "fwpr",
    "fwln", "ifb", "dummy", "kube-ipvs", "nodelocaldns", "podman", "azv", "gke",
)  # fmt: skip
"""Interfaces between this server and its own containers and virtual machines, which come and go with them."""

DOCKER_BRIDGE = len("br-0123456789ab")

BY = ("network.interface.name", "network.io.direction")


class Network:
    """Bytes, packets, errors and drops of each interface that leads out of the server.

    The loopback, interfaces to the server's own containers and virtual machines, and those that never carried a packet
    are left out. Bonds, VLANs, bridges and tunnels show again what their interfaces carry: compare, do not add.
    Source: /proc/net/dev (proc_pid_net(5)).
    Cost: one read.
    Rights: none.
    """

    name: ClassVar[str] = "network"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("system.network.io", "By/s", "Bytes received and transmitted, per second."),
        Metric("system.network.packet.count", "{packet}/s", "Packets received and transmitted, per second."),
        Metric(
            "system.network.errors",
            "{error}/s",
            "Packets that were damaged or could not be sent, per second. More than a few point to a cable, a port or a "
            "driver.",
            good="low",
        ),
        Metric(
            "system.network.packet.dropped",
            "{packet}/s",
            "Sound packets that were thrown away, per second: no room, or nobody wanted them.",
            good="low",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Network traffic", ("system.network.io",), by=BY, style="area", mirror=("transmit",)),
        Chart("Network packets", ("system.network.packet.count",), by=BY, style="area", mirror=("transmit",)),
        Chart("Network errors", ("system.network.errors",), by=BY, mirror=("transmit",)),
        Chart("Network drops", ("system.network.packet.dropped",), by=BY, mirror=("transmit",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self) -> None:
        self._rates = Rates()
        self._labels: dict[str, _Labels] = {}

    async def read(self, host: Host, moment: Moment) -> list[Reading]:
        """One run; without readings if it is the first."""
        counters = _counters(host.read_text(NET_DEV))
        self._labels = {name: labels for name, labels in self._labels.items() if name in counters}
        self._rates.begin(moment.monotonic_seconds)
        seconds = self._rates.seconds
        readings = []
        for name, numbers in counters.items():
            if not (grown := self._rates.growth(name, numbers)):
                continue
            if name not in self._labels:
                self._labels[name] = _Labels(
                    *(
                        {"network.interface.name": name, "network.io.direction": direction}
                        for direction in ("receive", "transmit")
                    )
                )
            for labels, (octets, packets, errors, drops) in zip(
                self._labels[name], (grown[0:4], grown[4:8]), strict=True
            ):
                readings.append(Reading("system.network.io", rate(octets / seconds), labels))
                readings.append(Reading("system.network.packet.count", rate(packets / seconds), labels))
                readings.append(Reading("system.network.errors", rate(errors / seconds), labels))
                readings.append(Reading("system.network.packet.dropped", rate(drops / seconds), labels))
        return readings


class _Labels(NamedTuple):
    receive: dict[str, str]
    transmit: dict[str, str]


def _counters(text: str) -> dict[str, tuple[int, ...]]:
    """By name: bytes, packets, errors, drops received; the same four transmitted. Only those worth watching."""
    counters: dict[str, tuple[int, ...]] = {}
    for line in procfs.lines(text)[2:]:
        name, colon, rest = line.strip().partition(":")
        words = rest.split()
        if not colon or len(words) < 16:
            raise Unreadable(f"{NET_DEV}: {line[:80]!r}: expected a name and 16 columns")
        if not leads_out(name):
            continue
        numbers = procfs.counters(NET_DEV, words[:12])
        if (numbers[1] or numbers[9]) and len(counters) < INTERFACES:
            counters[procfs.device_name(NET_DEV, name)] = (*numbers[0:4], *numbers[8:12])
    return counters


def leads_out(name: str) -> bool:
    """Whether an interface connects this server with others, and not with its own containers."""
    return not (name == "lo" or name.startswith(INNER) or (name.startswith("br-") and len(name) == DOCKER_BRIDGE))
