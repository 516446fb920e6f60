"""A tailscaled on a real socket: its LocalAPI, as far as the monitor looks, and the faults that it is told.

Source: ipn/localapi/localapi.go, ipn/ipnstate of tailscale.com; compared with tailscaled 1.102.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

API = "/localapi/v0/"
HOSTS = ("", "local-tailscaled.sock")
ZERO = "0001-01-01T00:00:00Z"


@dataclass
class Peer:
    """A peer. ``relay`` empty: it is reached directly. ``answers`` False: no pong ever comes."""

    name: str
    address: str
    online: bool = True
    relay: str = ""
    answers: bool = True
    tags: tuple[str, ...] = ()
    key_expiry: str = ""
    received_bytes: int = 0
    transmitted_bytes: int = 0


@dataclass
class Tailscaled:
    """What the daemon is and knows. Everything may be changed while it runs."""

    state: str = "Running"
    control: bool = True
    """Whether it is connected to the control server."""
    key_expiry: str = ""
    """RFC 3339; empty: never."""
    expired: bool = False
    health: list[str] = field(default_factory=list)
    client_version: dict[str, Any] | None = field(default_factory=lambda: {"RunningLatest": True})
    advertised: list[str] = field(default_factory=list)
    approved: list[str] = field(default_factory=list)
    exit_node: bool | None = None
    """Whether the exit node in use is online; None: none is used."""
    peers: list[Peer] = field(default_factory=list)
    hangs: set[str] = field(default_factory=set)
    """Parts of the API (``status``, ``ping``, …) that never answer."""
    cuts: set[str] = field(default_factory=set)
    """Parts whose answer ends in its middle."""
    refuses: set[str] = field(default_factory=set)
    """Parts that may not be read."""
    requests: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self, socket: Path) -> AsyncIterator[Tailscaled]:
        """Runs it on this socket."""
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, socket).start()
        try:
            yield self
        finally:
            await runner.cleanup()
            with suppress(FileNotFoundError):
                os.unlink(socket)  # noqa: PTH108 - nothing that blocks

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        part = request.path.removeprefix(API)
        self.requests.append(f"{request.method} {part}")
        if request.host not in HOSTS or "Origin" in request.headers or "Referer" in request.headers:
            return web.Response(status=403, text="invalid localapi request\n")
        if part in self.refuses:
            return web.Response(status=403, text=f"{part} access denied\n")
        if part in self.hangs:
            await asyncio.Event().wait()
        match part:
            case "status":
                answer = web.json_response(self._status(), headers={"Tailscale-Version": "1.102.5"})
            case "prefs":
                answer = web.json_response({"WantRunning": True, "AdvertiseRoutes": self.advertised or None})
            case "usermetrics":
                answer = web.Response(text=f"tailscaled_advertised_routes {len(self.advertised)}\n")
            case "ping":
                answer = await self._ping(request)
            case _:
                answer = web.Response(status=404, text="404 page not found\n")
        return await self._cut(request, answer) if part in self.cuts else answer

    async def _cut(self, request: web.BaseRequest, whole: web.Response) -> web.StreamResponse:
        body = bytes(whole.body) if isinstance(whole.body, bytes) else b""
        answer = web.StreamResponse(status=whole.status)
        answer.content_length = len(body)
        await answer.prepare(request)
        await answer.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return answer

    async def _ping(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST" or request.query.get("type") != "disco":
            return web.Response(status=400, text="want POST\n")
        address = request.query.get("ip", "")
        peer = next((one for one in self.peers if one.address == address), None)
        if peer is None:
            return web.json_response({"IP": address, "Err": "no matching peer", "LatencySeconds": 0})
        if not (peer.online and peer.answers):
            await asyncio.Event().wait()  # as the daemon does, until its client goes away
        way = {"DERPRegionID": 4, "DERPRegionCode": peer.relay} if peer.relay else {"Endpoint": "192.0.2.7:41641"}
        return web.json_response(
            {"IP": address, "NodeIP": address, "NodeName": peer.name, "Err": "", "LatencySeconds": 0.002, **way}
        )

    def _status(self) -> dict[str, Any]:
        running = self.state == "Running"
        own = _node("me", "100.64.0.1", online=running and self.control)
        own["AllowedIPs"] = ["100.64.0.1/32", *self.approved]
        if self.key_expiry:
            own["KeyExpiry"] = self.key_expiry
        if self.expired:
            own["Expired"] = True
        exit_node = {} if self.exit_node is None else {"ExitNodeStatus": {"ID": "n9", "Online": self.exit_node}}
        return {
            "Version": "1.102.5",
            "TUN": True,
            "BackendState": self.state,
            "Self": own,
            **exit_node,
            "Health": self.health,
            "Peer": {f"nodekey:{number:064x}": _peer(peer) for number, peer in enumerate(self.peers, 1)},
            "ClientVersion": self.client_version,
        }


def _node(name: str, address: str, *, online: bool) -> dict[str, Any]:
    return {
        "HostName": name,
        "DNSName": f"{name}.tail.example.",
        "OS": "linux",
        "TailscaleIPs": [address],
        "CurAddr": "",
        "Relay": "fra",
        "PeerRelay": "",
        "RxBytes": 0,
        "TxBytes": 0,
        "LastSeen": ZERO,
        "LastHandshake": ZERO,
        "Online": online,
        "Active": False,
    }


def _peer(peer: Peer) -> dict[str, Any]:
    node = _node(peer.name, peer.address, online=peer.online)
    node |= {"RxBytes": peer.received_bytes, "TxBytes": peer.transmitted_bytes}
    if peer.tags:
        node["Tags"] = list(peer.tags)
    if peer.key_expiry:
        node["KeyExpiry"] = peer.key_expiry
    return node
