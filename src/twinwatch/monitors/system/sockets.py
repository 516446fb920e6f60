"""TCP and UDP as the kernel counts them: what is open, what had to be sent again, what was turned away."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from twinwatch.monitors import Finding, Moment, Reading, Unreadable
from twinwatch.monitors.digits import rate, ratio
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.system import procfs
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.host import Host, Missing, Refused

SNMP = "/proc/net/snmp"
NETSTAT = "/proc/net/netstat"
SOCKSTAT = "/proc/net/sockstat"

ESTABLISHED, TIME_WAIT, ORPHANED = (
    {"network.connection.state": state} for state in ("established", "time_wait", "orphaned")
)

TURNED_AWAY = {
    "overflow": ("TcpExt", "ListenOverflows"),
    "drop": ("TcpExt", "ListenDrops"),
    "syn_queue": ("TcpExt", "TCPReqQFullDrop"),
    "syn_cookie": ("TcpExt", "TCPReqQFullDoCookies"),
}
UDP_ERRORS = {"receive": ("Udp", "RcvbufErrors"), "transmit": ("Udp", "SndbufErrors")}
REASONS = {reason: {"network.reason": reason} for reason in TURNED_AWAY}
DIRECTIONS = {direction: {"network.io.direction": direction} for direction in UDP_ERRORS}

Table = dict[tuple[str, str], int]


class Sockets:
    """Connections and what goes wrong with them.

    Source: /proc/net/{snmp,netstat,sockstat} (proc_pid_net(5); kernel: networking/snmp_counter).
    Cost: three reads.
    Rights: none.
    """

    name: ClassVar[str] = "sockets"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("system.network.connection.count", "{connection}", "TCP connections by state."),
        Metric(
            "system.network.tcp.retransmitted",
            "1",
            "Share of the TCP segments that had to be sent again: the network loses packets.",
            good="low",
        ),
        Metric("system.network.tcp.resets", "{connection}/s", "Open TCP connections that were reset.", good="low"),
        Metric(
            "system.network.tcp.refused",
            "{connection}/s",
            "Incoming TCP connections that were turned away since a program did not accept them fast enough.",
            good="low",
        ),
        Metric("system.network.tcp.memory", "By", "Memory that TCP's buffers take."),
        Metric(
            "system.network.udp.buffer_errors",
            "{packet}/s",
            "UDP packets thrown away since a socket's buffer was full.",
            good="low",
        ),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("TCP connections", ("system.network.connection.count",), by=("network.connection.state",)),
        Chart("TCP segments sent again", ("system.network.tcp.retransmitted",)),
        Chart("TCP connections turned away", ("system.network.tcp.refused",), by=("network.reason",)),
        Chart("TCP resets", ("system.network.tcp.resets",)),
        Chart("UDP buffer errors", ("system.network.udp.buffer_errors",), by=("network.io.direction",)),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self) -> None:
        self._rates = Rates()

    async def read(self, host: Host, moment: Moment) -> list[Finding]:
        """One run. A kernel without one of the counters has no such series."""
        table = _table(SNMP, host.read_text(SNMP))
        with suppress(Missing, Refused):
            table |= _table(NETSTAT, host.read_text(NETSTAT))
        found = _open(host, table)
        self._rates.begin(moment.monotonic_seconds)
        sent = self._grown(table, ("Tcp", "OutSegs"), ("Tcp", "RetransSegs"))
        if sent and sent[0]:
            found.append(Reading("system.network.tcp.retransmitted", ratio(sent[1] / sent[0])))
        found += self._rate(table, "system.network.tcp.resets", ("Tcp", "EstabResets"), {})
        for reason, name in TURNED_AWAY.items():
            found += self._rate(table, "system.network.tcp.refused", name, REASONS[reason])
        for direction, name in UDP_ERRORS.items():
            found += self._rate(table, "system.network.udp.buffer_errors", name, DIRECTIONS[direction])
        return found

    def _rate(self, table: Table, metric: str, name: tuple[str, str], labels: dict[str, str]) -> list[Finding]:
        grown = self._grown(table, name)
        return [Reading(metric, rate(grown[0] / self._rates.seconds), labels)] if grown else []

    def _grown(self, table: Table, *names: tuple[str, str]) -> tuple[int, ...] | None:
        if not all(name in table for name in names):
            return None
        return self._rates.growth(names, tuple(table[name] for name in names))


def _open(host: Host, table: Table) -> list[Finding]:
    found: list[Finding] = []
    established = table.get(("Tcp", "CurrEstab"))
    if established is not None and established < procfs.LARGEST_EXACT:
        found.append(Reading("system.network.connection.count", established, ESTABLISHED))
    try:
        text = host.read_text(SOCKSTAT)
    except (Missing, Refused):
        return found
    words = next((line.split() for line in procfs.lines(text) if line.startswith("TCP: ")), [])
    named = dict(zip(words[1::2], words[2::2], strict=False))
    for name, labels in (("tw", TIME_WAIT), ("orphan", ORPHANED)):
        if name in named:
            count = procfs.counters(SOCKSTAT, (named[name],))[0]
            if count < procfs.LARGEST_EXACT:
                found.append(Reading("system.network.connection.count", count, labels))
    if "mem" in named:
        size = procfs.counters(SOCKSTAT, (named["mem"],))[0] * host.kernel().page_bytes
        if size < procfs.LARGEST_EXACT:
            found.append(Reading("system.network.tcp.memory", size))
    return found


def _table(path: str, text: str) -> Table:
    """Pairs of lines: ``Tcp: name name …`` and ``Tcp: number number …``. A counter may be -1 (MaxConn): left out."""
    table: Table = {}
    lines = procfs.lines(text)
    for names, numbers in zip(lines[0::2], lines[1::2], strict=False):
        protocol, _, rest = names.partition(": ")
        again, _, values = numbers.partition(": ")
        if protocol != again:
            raise Unreadable(f"{path}: {numbers[:40]!r}: expected the numbers of {protocol[:40]!r}")
        for name, value in zip(rest.split(), values.split(), strict=False):
            if not value.startswith("-"):
                table[protocol, name] = procfs.counters(path, (value,))[0]
    return table
