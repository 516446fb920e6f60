"""The peers that were chosen: online, answering, by which way, how fast, how much, and with a key that lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.digits import rate
from twinwatch.monitors.rates import Rates
from twinwatch.monitors.tailscale.options import TailscaleOptions
from twinwatch.monitors.tailscale.own import lasting_still
from twinwatch.monitors.tailscale.source import Pong, Source
from twinwatch.monitors.tailscale.status import Fields, count, instant, is_meant, name_of, peers_of, text, texts
from twinwatch.protocol.limits import CHECK_NAME_CHARACTERS
from twinwatch.protocol.metrics import Metric
from twinwatch.world.doors import World

PINGS = 20
"""At a time."""
SILENT_RUNS = 3
"""So many pings in a row without an answer mean something."""

PEER, STATE = "tailscale.peer.name", "tailscale.peer.state"
METRICS = (
    Metric("tailscale.peer.count", "{peer}", "Peers of the tailnet that are online or offline."),
    Metric("tailscale.peer.left_out", "{peer}", "Chosen peers beyond the bound, which are not watched.", good="low"),
    Metric("tailscale.peer.online", "1", "Whether the chosen peer is online.", good="high"),
    Metric("tailscale.peer.direct", "1", "Whether the way to it is direct (1) or over a relay (0).", good="high"),
    Metric("tailscale.peer.latency", "s", "How long the chosen peer took to answer a ping.", good="low"),
    Metric("tailscale.peer.handshake_age", "s", "Time since the last handshake with the chosen peer.", good="low"),
    Metric("tailscale.peer.key.expires_in", "s", "Time until the chosen peer's node key expires.", good="high"),
    Metric("tailscale.peer.io", "By/s", "Bytes received from and transmitted to the chosen peer, per second."),
)


class Peers:
    """Remembers counters, and who did not answer."""

    def __init__(self, options: TailscaleOptions) -> None:
        self._options = options
        self._rates = Rates()
        self._silent: dict[str, int] = {}

    async def findings(self, status: Fields, source: Source | None, world: World, moment: Moment) -> list[Finding]:
        """Counts, and what there is to say of each chosen peer. ``source`` None: nobody can be pinged."""
        peers = list(peers_of(status))
        online = sum(peer.get("Online") is True for peer in peers)
        found: list[Finding] = [
            Reading("tailscale.peer.count", online, {STATE: "online"}),
            Reading("tailscale.peer.count", len(peers) - online, {STATE: "offline"}),
        ]
        if not self._options.peers:
            return found
        meant = self._meant(peers)
        chosen = dict(sorted(meant.items())[: self._options.max_peers])
        left_out = len(meant) - len(chosen)
        found.append(Reading("tailscale.peer.left_out", left_out))
        if left_out:
            message = f"Chosen peers that are not watched: {left_out}, beyond max_peers {self._options.max_peers}"
            found.append(Check("peers", "degraded", message, "too-many"))
        self._rates.begin(moment.monotonic_seconds)
        pongs = await self._pongs(chosen, source, world)
        self._silent = {name: silent for name, silent in self._silent.items() if name in chosen}
        for name, peer in chosen.items():
            found += self._peer(name, peer, moment, pongs)
        return found + self._missing(list(meant.values()))

    def _meant(self, peers: Sequence[Fields]) -> dict[str, Fields]:
        meant: dict[str, Fields] = {}
        for peer in peers:
            name = name_of(peer)
            if not name or not is_meant(peer, self._options.peers):
                continue
            # Of two machines of one name, the one that is online is the newer.
            if name not in meant or peer.get("Online") is True:
                meant[name] = peer
        return meant

    def _missing(self, meant: Sequence[Fields]) -> list[Finding]:
        found: list[Finding] = []
        for pattern in dict.fromkeys(self._options.peers):
            if not any(is_meant(peer, (pattern,)) for peer in meant):
                message = f"No peer of the tailnet is called {pattern}: was it renamed, removed, or is its tag another?"
                found.append(Check(f"peer:{pattern}"[:CHECK_NAME_CHARACTERS], "down", message, "not-there"))
        return found

    async def _pongs(self, chosen: dict[str, Fields], source: Source | None, world: World) -> dict[str, Pong | None]:
        """The answers of those that are online, None where there was none."""
        if source is None or not self._options.ping:
            return {}
        addresses = {
            name: addresses[0]
            for name, peer in chosen.items()
            if peer.get("Online") is True and (addresses := texts(peer, "TailscaleIPs"))
        }
        turns = asyncio.Semaphore(PINGS)

        async def ask(address: str) -> Pong | None:
            async with turns:
                return await source.ping(world, address)

        return dict(zip(addresses, await asyncio.gather(*map(ask, addresses.values())), strict=True))

    def _peer(self, name: str, peer: Fields, moment: Moment, pongs: dict[str, Pong | None]) -> list[Finding]:
        labels = {PEER: name}
        online = peer.get("Online") is True
        pong = pongs.get(name)
        found: list[Finding] = [Reading("tailscale.peer.online", int(online), labels)]
        direct, relay = _way(peer, pong) if online else (None, "")
        if direct is not None:
            found.append(Reading("tailscale.peer.direct", int(direct), labels))
        if pong is not None:
            found.append(Reading("tailscale.peer.latency", round(pong.seconds, 5), labels))
        handshake = instant(peer, "LastHandshake")
        if handshake is not None:
            found.append(Reading("tailscale.peer.handshake_age", round(max(moment.time / 1000 - handshake, 0)), labels))
        expiry = instant(peer, "KeyExpiry")
        left = None if expiry is None else max(expiry - moment.time / 1000, 0.0)
        if left is not None:
            found.append(Reading("tailscale.peer.key.expires_in", round(left), labels))
        found += self._traffic(name, peer, labels)
        self._silent[name] = self._silent.get(name, 0) + 1 if name in pongs and pong is None else 0
        return [*found, self._check(name, peer, moment, direct=direct, relay=relay, key_left=left)]

    def _traffic(self, name: str, peer: Fields, labels: dict[str, str]) -> list[Finding]:
        received, transmitted = count(peer, "RxBytes"), count(peer, "TxBytes")
        if received is None or transmitted is None:
            return []
        grown = self._rates.growth(name, (received, transmitted))
        return [
            Reading("tailscale.peer.io", rate(amount / self._rates.seconds), {**labels, "network.io.direction": way})
            for way, amount in zip(("receive", "transmit"), grown or (), strict=False)
        ]

    def _check(
        self, name: str, peer: Fields, moment: Moment, *, direct: bool | None, relay: str, key_left: float | None
    ) -> Check:
        check = f"peer:{name}"[:CHECK_NAME_CHARACTERS]
        if peer.get("Expired") is True or key_left == 0:
            message = f"The node key of {name} has expired: on {name}, tailscale up --force-reauth"
            return Check(check, "down", message, "key-expired")
        if peer.get("Online") is not True:
            seen = instant(peer, "LastSeen")
            since = f" for {_passed(max(moment.time / 1000 - seen, 0.0))}" if seen is not None else ""
            message = f"Peer {name} is offline{since}, as the control server sees it; see whether it runs"
            return Check(check, "down", message, "offline")
        if self._silent[name] >= SILENT_RUNS:
            message = f"Peer {name} is online, but did not answer {self._silent[name]} pings in a row"
            return Check(check, "degraded", f"{message}: see what is between, with: tailscale ping {name}", "no-answer")
        if direct is False and is_meant(peer, self._options.direct):
            message = f"Peer {name} is reached over the relay {relay or 'of the tailnet'} only, expected directly"
            return Check(check, "degraded", f"{message}: is UDP 41641 let through?", "relayed")
        if key_left is not None and key_left <= self._options.key_expires_within:
            message = f"The node key of {name} expires in {lasting_still(key_left)}: renew it there"
            return Check(check, "degraded", message, "key-expires-soon")
        return Check(check, "up")


def _way(peer: Fields, pong: Pong | None) -> tuple[bool | None, str]:
    """Whether the way is direct, and over what it is not. An idle peer that was not pinged has none."""
    if pong is not None:
        return not pong.relay, pong.relay
    relay = text(peer, "PeerRelay") or text(peer, "Relay")
    if peer.get("Active") is True and (text(peer, "CurAddr") or relay):
        return bool(text(peer, "CurAddr")), relay
    return None, relay


def _passed(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
