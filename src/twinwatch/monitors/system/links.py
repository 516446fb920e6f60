"""The network interfaces as such: is there a link, how fast is it, does it come and go."""

from __future__ import annotations

from typing import ClassVar

from twinwatch.monitors import Finding, Moment, Reading, Unreadable
from twinwatch.monitors.digits import rate
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.monitors.system.network import INTERFACES, leads_out
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

FOLDER = "/sys/class/net"
BITS_PER_MEGABIT = 1_000_000
FASTEST_MEGABITS = 10_000_000


class Links:
    """State, speed and changes of carrier of each interface that leads out of the server.

    Source: /sys/class/net/<name>/{operstate,speed,carrier_changes} (kernel: ABI/testing/sysfs-class-net). Virtual
    interfaces say ``unknown`` or have no speed: no sample.
    Cost: three reads per interface.
    Rights: none.
    """

    name: ClassVar[str] = "links"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "system.network.link.up", "1", "Whether the interface has a link: 1 it has, 0 it has none.", good="high"
        ),
        Metric("system.network.link.speed", "bit/s", "Speed that the link was agreed at.", good="high"),
        Metric(
            "system.network.link.changes",
            "{change}/s",
            "How often the link came or went. A cable, a plug or a switch, if it is not you.",
            good="low",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Link speed", ("system.network.link.speed",), by=("network.interface.name",)),
        Chart("Link changes", ("system.network.link.changes",), by=("network.interface.name",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self) -> None:
        self._rates = Rates()

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run."""
        names = [name for name in host.list(FOLDER) if leads_out(name)][:INTERFACES]
        self._rates.begin(moment.monotonic_seconds)
        found: list[Finding] = []
        for name in names:
            labels = {"network.interface.name": procfs.device_name(FOLDER, name)}
            state = _word(host, name, "operstate")
            if state in ("up", "down", "lowerlayerdown"):
                found.append(Reading("system.network.link.up", int(state == "up"), labels))
            speed = _number(host, name, "speed") if state == "up" else None
            if speed and speed < FASTEST_MEGABITS:
                found.append(Reading("system.network.link.speed", speed * BITS_PER_MEGABIT, labels))
            changes = _number(host, name, "carrier_changes")
            if changes is not None and (grown := self._rates.growth(name, (changes,))):
                found.append(Reading("system.network.link.changes", rate(grown[0] / self._rates.seconds), labels))
        return found


def _word(host: Host, name: str, file: str) -> str:
    try:
        return host.read_text(f"{FOLDER}/{name}/{file}").strip()
    except (Missing, Refused):  # an interface without a link has no speed: reading it is an error
        return ""


def _number(host: Host, name: str, file: str) -> int | None:
    word = _word(host, name, file)
    try:
        return procfs.counters(f"{FOLDER}/{name}/{file}", (word,))[0] if word else None
    except Unreadable:  # -1 where the driver does not know
        return None
