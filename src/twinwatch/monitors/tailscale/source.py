"""Where tailscaled is asked: its LocalAPI over its socket, else the program ``tailscale``.

The LocalAPI takes whoever may open the socket for a reader, and asks nothing of him.
Source: ipn/localapi/localapi.go of tailscale.com, client/local/local.go.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import quote

import msgspec

from twinwatch.monitors import Absent, Unreadable
from twinwatch.monitors.patience import printable
from twinwatch.monitors.tailscale.options import TailscaleOptions
from twinwatch.monitors.tailscale.status import Fields, count, text
from twinwatch.world.commands import CommandFailed
from twinwatch.world.doors import World
from twinwatch.world.http import UNIX, Answer, Unreachable

HOST = {"Host": "local-tailscaled.sock"}
"""Any other is refused."""
ASK_SECONDS = 5.0
COMMAND_SECONDS = 8.0
PONG_SECONDS = 2.0
OUTPUT_BYTES = 8 << 20
ARGUMENTS = ("status", "--json")
NOT_RUNNING = "failed to connect to local tailscaled"
"""What the program says then; and so does the daemon's client in all versions."""


class NotRunning(Exception):
    """Tailscale is installed here, and tailscaled does not answer. The message says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one run was told. What only the socket tells is empty or None without it."""

    status: Fields
    prefs: Fields = field(default_factory=dict)
    metrics: str | None = None
    by_socket: bool = False


@dataclass(frozen=True, slots=True)
class Pong:
    """A peer's answer. ``relay`` is empty if it came the direct way."""

    seconds: float
    relay: str


class Source:
    """Remembers whether there was ever an answer here."""

    def __init__(self, options: TailscaleOptions) -> None:
        self._options = options
        self._base = f"{UNIX}{quote(options.socket, safe='')}/localapi/v0"
        self._answered = False

    async def ask(self, world: World) -> Said:
        """One run's answers.

        Raises: Absent where Tailscale is not installed; NotRunning; Unreadable if the answer is not lawful.
        """
        try:
            answer = await self._get(world, "status?peers=true")
        except Unreachable as err:
            if "denied" in str(err):
                message = f"{self._options.socket}: {err}: let the agent's user open it (tailscaled makes it mode 0666)"
                raise Unreadable(message) from err
            said = await self._by_command(world, str(err))
        else:
            if answer.status != 200:
                raise Unreadable(f"{self._options.socket} answers {answer.status}, expected 200 with a status")
            status = _status(answer.body, self._options.socket)
            prefs, metrics = await asyncio.gather(self._part(world, "prefs"), self._part(world, "usermetrics"))
            said = Said(status, _object(prefs), metrics.decode("utf-8", "replace") if metrics else None, by_socket=True)
        self._answered = True
        return said

    async def ping(self, world: World, address: str) -> Pong | None:
        """A disco ping: it travels as traffic would, and wakes no tunnel. None if there was no pong."""
        url = f"{self._base}/ping?ip={quote(address)}&type=disco"
        try:
            answer = await world.http.request("POST", url, headers=HOST, timeout_seconds=PONG_SECONDS)
        except Unreachable:
            return None
        pong = _object(answer.body if answer.status == 200 else None)
        seconds = pong.get("LatencySeconds")
        if text(pong, "Err") or isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return None
        if not 0 <= seconds < PONG_SECONDS * 10:
            return None
        relay = text(pong, "PeerRelay") or text(pong, "DERPRegionCode") or str(count(pong, "DERPRegionID") or "")
        return Pong(float(seconds), "" if text(pong, "Endpoint") else relay)

    async def _get(self, world: World, path: str) -> Answer:
        return await world.http.request("GET", f"{self._base}/{path}", headers=HOST, timeout_seconds=ASK_SECONDS)

    async def _part(self, world: World, path: str) -> bytes | None:
        """What is there in newer versions only; None where it is not."""
        try:
            answer = await self._get(world, path)
        except Unreachable:
            return None
        return answer.body if answer.status == 200 else None

    async def _by_command(self, world: World, why: str) -> Said:
        command, socket = self._options.command, self._options.socket
        try:
            ended = await world.commands.run(
                (command, *ARGUMENTS), timeout_seconds=COMMAND_SECONDS, output_bytes=OUTPUT_BYTES
            )
        except CommandFailed as err:
            if "no such file" not in str(err):
                raise Unreadable(f"{socket}: {why}; {err}") from err
            if self._answered or world.host.exists(socket):
                raise NotRunning(f"{socket}: {why}") from err
            raise Absent(f"{command} is not installed, and there is no {socket}") from err
        if ended.code and NOT_RUNNING in (ended.errors + ended.output).lower():
            raise NotRunning(f"{socket}: {why}")
        if not ended.output.lstrip().startswith("{"):
            said = printable(ended.errors or ended.output).strip()[:200] or f"exit code {ended.code}"
            raise Unreadable(f"{command} status --json: expected JSON, got {said!r}")
        return Said(_status(ended.output.encode("utf-8", "replace"), f"{command} status --json"))


def _status(body: bytes, where: str) -> Fields:
    status = _object(body)
    if "BackendState" not in status:
        raise Unreadable(f"{where}: expected a JSON object with BackendState")
    return status


def _object(body: bytes | None) -> Fields:
    try:
        found = msgspec.json.decode(body or b"{}")
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
