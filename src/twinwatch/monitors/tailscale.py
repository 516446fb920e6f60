"""The tailscale monitor: is this server in its tailnet, for how long still, and who else is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from twinwatch.monitors import Absent, Check, Finding, Moment, Options, Program, Reading, Unreadable
from twinwatch.monitors.digits import rate
from twinwatch.monitors.options import lasting
from twinwatch.monitors.rates import Rates
from twinwatch.protocol.durations import Duration
from twinwatch.protocol.limits import CHECK_NAME_CHARACTERS, MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.commands import CommandFailed
from twinwatch.world.doors import World

ARGUMENTS = ("status", "--json")
OUTPUT_BYTES = 8 << 20
COMMAND_SECONDS = 8.0
PEERS = 200
"""Chosen peers that get series and a check of their own."""
HEALTH_MESSAGES = 3
SETTLING = {"NoState", "Starting"}
NEVER = "0001-01-01"
"""Go's zero time: not set."""

REMEDIES = {
    "NeedsLogin": "log in with: tailscale up",
    "NeedsMachineAuth": "an admin has to approve this machine in the admin console",
    "Stopped": "start it with: tailscale up",
    "NoState": "see: journalctl -u tailscaled -n 20",
    "Starting": "see: journalctl -u tailscaled -n 20",
}


class TailscaleOptions(Options, frozen=True, kw_only=True):
    """What of the tailnet is watched."""

    command: Annotated[
        Program,
        Meta(min_length=1, max_length=4096, title="Command", description="The tailscale program, or its full path."),
    ] = "tailscale"
    peers: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(
            title="Peers",
            description="Peers that have to be online: host names, with * and ?, or tags such as tag:db.",
        ),
    ] = ()
    key_expires_within: Annotated[
        Duration,
        Meta(title="Key expiry", description="Its check is degraded when the node key expires within this time."),
    ] = lasting("14d")


class Tailscale:
    """Watches this server's place in its tailnet, the expiry of its key, and chosen peers.

    Source: ``tailscale status --json`` (ipnstate.Status of tailscale.com/ipn/ipnstate); its format may change, so what
    is missing is left out.
    Cost: a process per run, some 20 ms of CPU.
    Rights: none; every user may ask tailscaled for its status.
    """

    name: ClassVar[str] = "tailscale"
    title: ClassVar[str] = "Tailscale"
    Options: ClassVar[type[Options]] = TailscaleOptions
    interval_seconds: ClassVar[float] = 30.0
    deadline_seconds: ClassVar[float] = 10.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("tailscale.connected", "1", "Whether this server is in its tailnet: 1 it is, 0 it is not.", good="high"),
        Metric("tailscale.peer.count", "{peer}", "Peers of the tailnet that are online or offline."),
        Metric("tailscale.health.messages", "{message}", "Warnings of tailscaled about itself.", good="low"),
        Metric("tailscale.key.expires_in", "s", "Time until this server's node key expires.", good="high"),
        Metric("tailscale.peer.online", "1", "Whether the chosen peer is online.", good="high"),
        Metric("tailscale.peer.direct", "1", "Whether the way to it is direct (1) or over a relay (0).", good="high"),
        Metric("tailscale.peer.handshake_age", "s", "Time since the last handshake with the chosen peer.", good="low"),
        Metric("tailscale.peer.io", "By/s", "Bytes received from and transmitted to the chosen peer, per second."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Tailnet peers", ("tailscale.peer.count",), by=("tailscale.peer.state",), style="stack"),
        Chart("Time until the node key expires", ("tailscale.key.expires_in",)),
        Chart("Chosen peers online", ("tailscale.peer.online",), by=("tailscale.peer.name",), top=1.0),
        Chart("Way to chosen peers", ("tailscale.peer.direct",), by=("tailscale.peer.name",), top=1.0),
        Chart("Time since handshake", ("tailscale.peer.handshake_age",), by=("tailscale.peer.name",)),
        Chart(
            "Traffic with chosen peers",
            ("tailscale.peer.io",),
            by=("tailscale.peer.name", "network.io.direction"),
            style="area",
            mirror=("transmit",),
        ),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self, options: TailscaleOptions) -> None:
        self._options = options
        self._rates = Rates()

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run.

        Raises: Absent where tailscale is not installed; Unreadable if it does not answer as it should.
        """
        status = await self._status(world)
        state = _text(status, "BackendState") or "NoState"
        connected = state == "Running"
        found: list[Finding] = [Reading("tailscale.connected", int(connected)), _connection(status, state)]
        messages = [line for line in status.get("Health") or [] if isinstance(line, str)]
        found.append(Reading("tailscale.health.messages", len(messages)))
        found.append(_health(messages))
        found += self._key(status, moment)
        found += _exit_node(status)
        if connected:
            self._rates.begin(moment.monotonic_seconds)
            found += self._peers(status, moment)
        return found

    async def _status(self, world: World) -> dict[str, Any]:
        command = self._options.command
        try:
            ended = await world.commands.run(
                (command, *ARGUMENTS), timeout_seconds=COMMAND_SECONDS, output_bytes=OUTPUT_BYTES
            )
        except CommandFailed as err:
            if "no such file" in str(err):
                raise Absent(f"{command} is not installed") from err
            raise Unreadable(str(err)) from err
        try:
            status = msgspec.json.decode(ended.output)
        except (msgspec.MsgspecError, RecursionError) as err:
            said = _printable(ended.errors or ended.output).strip()[:200] or f"exit code {ended.code}"
            raise Unreadable(f"{command} status --json: expected JSON, got {said!r}") from err
        if not isinstance(status, dict) or "BackendState" not in status:
            raise Unreadable(f"{command} status --json: expected an object with BackendState")
        return status

    def _key(self, status: dict[str, Any], moment: Moment) -> list[Finding]:
        own = _object(status, "Self")
        if own.get("Expired") is True:
            message = "The node key has expired: renew it with: tailscale up --force-reauth"
            return [Reading("tailscale.key.expires_in", 0), Check("key", "down", message, "expired")]
        expiry = _time(own.get("KeyExpiry"))
        if expiry is None:
            return []  # a key that never expires has no such field
        left = max(expiry - moment.time / 1000, 0.0)
        found: list[Finding] = [Reading("tailscale.key.expires_in", round(left))]
        if left > self._options.key_expires_within:
            return [*found, Check("key", "up")]
        message = f"The node key expires in {left / 86_400:.1f} days: renew it with: tailscale up --force-reauth"
        return [*found, Check("key", "degraded" if left else "down", message, "expires-soon" if left else "expired")]

    def _peers(self, status: dict[str, Any], moment: Moment) -> list[Finding]:
        peers = list(_peers(status))
        online = sum(peer.get("Online") is True for peer in peers)
        found: list[Finding] = [
            Reading("tailscale.peer.count", online, {"tailscale.peer.state": "online"}),
            Reading("tailscale.peer.count", len(peers) - online, {"tailscale.peer.state": "offline"}),
        ]
        chosen: dict[str, dict[str, Any]] = {}
        for peer in peers:
            name = _name(peer)
            if name and len(chosen) < PEERS and any(_is_meant(peer, name, pattern) for pattern in self._options.peers):
                chosen.setdefault(name, peer)
        for name, peer in sorted(chosen.items()):
            found += self._peer(name, peer, moment)
        for pattern in self._options.peers:
            if not any(_is_meant(peer, name, pattern) for name, peer in chosen.items()):
                message = f"No peer of the tailnet is called {pattern}"
                found.append(Check(f"peer:{pattern}"[:CHECK_NAME_CHARACTERS], "down", message, "not-there"))
        return found

    def _peer(self, name: str, peer: dict[str, Any], moment: Moment) -> list[Finding]:
        labels = {"tailscale.peer.name": name}
        online = peer.get("Online") is True
        found: list[Finding] = [Reading("tailscale.peer.online", int(online), labels)]
        if peer.get("Active") is True and (_text(peer, "CurAddr") or _text(peer, "Relay")):
            found.append(Reading("tailscale.peer.direct", int(bool(_text(peer, "CurAddr"))), labels))
        handshake = _time(peer.get("LastHandshake"))
        if handshake is not None:
            found.append(Reading("tailscale.peer.handshake_age", round(max(moment.time / 1000 - handshake, 0)), labels))
        counters = peer.get("RxBytes"), peer.get("TxBytes")
        if all(isinstance(counter, int) and 0 <= counter < 1 << 62 for counter in counters):
            grown = self._rates.growth(name, (int(counters[0] or 0), int(counters[1] or 0)))
            for direction, amount in zip(("receive", "transmit"), grown or (), strict=False):
                value = rate(amount / self._rates.seconds)
                found.append(Reading("tailscale.peer.io", value, {**labels, "network.io.direction": direction}))
        check = f"peer:{name}"[:CHECK_NAME_CHARACTERS]
        if online:
            return [*found, Check(check, "up")]
        return [
            *found,
            Check(check, "down", f"Peer {name} is offline, as the tailnet's control server sees it", "offline"),
        ]


def _connection(status: dict[str, Any], state: str) -> Check:
    if state == "Running":
        if _object(status, "Self").get("Online") is False:
            message = "tailscaled runs, but has no connection to the control server"
            return Check("connection", "degraded", message, "no-control")
        return Check("connection", "up")
    known = _printable(state)[:40]
    message = f"Not in the tailnet (state {known}); {REMEDIES.get(state, 'see: tailscale status')}"
    return Check("connection", "degraded" if state in SETTLING else "down", message, _slug(state))


def _health(messages: list[str]) -> Check:
    if not messages:
        return Check("health", "up")
    said = _printable("; ".join(messages[:HEALTH_MESSAGES]))[: MESSAGE_CHARACTERS - 1]
    return Check("health", "degraded", said or "tailscaled warns", "warnings")


def _exit_node(status: dict[str, Any]) -> list[Finding]:
    node = _object(status, "ExitNodeStatus")
    if not node:
        return []
    if node.get("Online") is False:
        return [Check("exit-node", "down", "The exit node is offline: what goes through it is lost", "offline")]
    return [Check("exit-node", "up")]


def _peers(status: dict[str, Any]) -> Iterator[dict[str, Any]]:
    peers = status.get("Peer")
    for peer in peers.values() if isinstance(peers, dict) else ():
        if isinstance(peer, dict):
            yield peer


def _is_meant(peer: dict[str, Any], name: str, pattern: str) -> bool:
    if pattern.startswith("tag:"):
        return pattern in (peer.get("Tags") or ())
    full = _text(peer, "DNSName").rstrip(".")
    return fnmatchcase(name, pattern) or fnmatchcase(full, pattern)


def _name(peer: dict[str, Any]) -> str:
    """The first part of its name in the tailnet, which is unique there; else its own host name."""
    name = _text(peer, "DNSName").partition(".")[0] or _text(peer, "HostName")
    return name if 0 < len(name) <= 200 and name.isprintable() else ""


def _object(of: dict[str, Any], field: str) -> dict[str, Any]:
    value = of.get(field)
    return value if isinstance(value, dict) else {}


def _text(of: dict[str, Any], field: str) -> str:
    value = of.get(field)
    return value if isinstance(value, str) else ""


def _time(value: object) -> float | None:
    """Seconds since 1970 of an RFC 3339 time; None if there is none."""
    if not isinstance(value, str) or value.startswith(NEVER):
        return None
    try:
        seconds = msgspec.convert(value, datetime).timestamp()
    except (msgspec.MsgspecError, OverflowError, ValueError, OSError):
        return None
    return seconds if 0 < seconds < 1 << 40 else None


def _slug(state: str) -> str:
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in state if letter.isascii())
    return "".join(letter for letter in words if letter.isalnum() or letter == "-").strip("-")[:40]


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
