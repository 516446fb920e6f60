"""Open control connections: one per server, by which an agent hears at once what it would else read at its next
heartbeat.

Invariants: of one server the newest connection stays, an older one is closed; a key that has become worthless holds no
connection; nobody who reads slowly holds up anyone else. An idle connection costs a task and a timer of uvicorn's,
which pings it (``connections.SERVING``) and ends it when no answer comes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from time import monotonic
from uuid import UUID

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.refusals import Refused
from twinwatch.hub.relay import News, Relay
from twinwatch.protocol.control import REPLACED_CODE, REVOKED_CODE, ConfigurationChanged, Notice

LEAVING_CODE = 1012
"""RFC 6455's registry: the service restarts."""
HERE_SECONDS = 20.0
"""How often the processes of one database tell one another who is connected to them …"""
ELSEWHERE_SECONDS = 60.0
"""… and how long that is believed."""
SEND_SECONDS = 10.0
"""What one message may take; a client whose connection is full for longer is let go."""


NOTICE = msgspec.json.Decoder(Notice)


class _Line:
    """One agent's open connection."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._told = 0
        self._turn = asyncio.Lock()

    async def listen(self) -> None:
        """Returns when the connection has ended. What an agent says here is passed over."""
        while (await self._socket.receive())["type"] != "websocket.disconnect":
            pass

    async def tell(self, version: int) -> None:
        """Sends the version if it is newer than what was told."""
        async with self._turn:
            if version > self._told:
                self._told = version
                await self._say(ConfigurationChanged(version))

    async def say(self, notice: Notice) -> None:
        """Sends a notice."""
        async with self._turn:
            await self._say(notice)

    async def _say(self, notice: Notice) -> None:
        if not await _in_time(self._socket.send_text(msgspec.json.encode(notice).decode())):
            await _in_time(self._socket.close(1011))

    async def close(self, code: int) -> None:
        """Says why and ends."""
        async with self._turn:
            await _in_time(self._socket.close(code))


class Controls:
    """The open connections of this process, and what is known of those that other processes of the database hold."""

    def __init__(
        self,
        version_of: Callable[[UUID], Awaitable[int]],
        changed: Callable[[UUID, UUID], Awaitable[None]],
        seen: Callable[[UUID, bool], Awaitable[None]] | None = None,
        relay: Relay | None = None,
    ) -> None:
        """``version_of`` reads a server's configuration version; ``changed`` hears who connected or left, and ``seen``
        which of both, unless it is the hub that is leaving."""
        self._relay = relay
        self._elsewhere: dict[UUID, float] = {}
        if relay is not None:
            relay.hear(("here", "away", "version", "say", "say to all", "revoke"), self._heard)
        self._version_of = version_of
        self._changed = changed
        self._seen = seen
        self._lines: dict[UUID, _Line] = {}
        self._organizations: dict[UUID, UUID] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._closed = False

    def connected(self, server_id: UUID) -> bool:
        """Whether the server's agent is connected, here or to another process."""
        return server_id in self._lines or self._elsewhere.get(server_id, 0.0) > monotonic()

    def holds(self, server_id: UUID) -> bool:
        """Whether this very process has the server's connection."""
        return server_id in self._lines

    async def hold(
        self, organization_id: UUID, server_id: UUID, socket: WebSocket, still_known: Callable[[], Awaitable[object]]
    ) -> None:
        """Accepts and keeps the connection until either side ends it.

        ``still_known`` raises Refused once the key that opened it is worthless.
        """
        await socket.accept()
        line = _Line(socket)
        older = self._lines.get(server_id)
        self._lines[server_id] = line
        self._organizations[server_id] = organization_id
        self._tell("here", server_id)
        if older is not None:
            self._send(older.close(REPLACED_CODE))
        if self._closed:
            self._send(line.close(LEAVING_CODE))
        try:
            if older is None:
                await self._changed(organization_id, server_id)
            await self._tell_seen(server_id, is_open=True)
            # Both asked once the line is among those that are told and revoked, so that nothing falls between.
            try:
                await still_known()
                await line.tell(await self._version_of(server_id))
            except Refused:
                await line.close(REVOKED_CODE)
            except DatabaseAway:
                pass  # the answer to the next heartbeat says it too
            await line.listen()
        finally:
            if self._lines.get(server_id) is line:
                del self._lines[server_id]
                del self._organizations[server_id]
                self._tell("away", server_id)
                if not self._closed:
                    await self._tell_seen(server_id, is_open=False)
                await self._changed(organization_id, server_id)

    def tell(self, server_id: UUID, version: int) -> None:
        """The server's configuration has this version now; committed before this is called."""
        self._tell("version", server_id, version)
        self._tell_here(server_id, version)

    def _tell_here(self, server_id: UUID, version: int) -> None:
        line = self._lines.get(server_id)
        if line is not None:
            self._send(line.tell(version))

    def say(self, server_id: UUID, notice: Notice) -> bool:
        """Sends a notice to the server's agent; False if it is not connected."""
        if self._say_here(server_id, notice):
            return True
        if self.connected(server_id):
            self._tell("say", server_id, msgspec.json.encode(notice).decode())
            return True
        return False

    def _say_here(self, server_id: UUID, notice: Notice) -> bool:
        line = self._lines.get(server_id)
        if line is not None:
            self._send(line.say(notice))
        return line is not None

    def say_to_all(self, organization_id: UUID, notice: Notice) -> None:
        """Sends a notice to every agent of the organization that is connected."""
        self._tell("say to all", organization_id, msgspec.json.encode(notice).decode())
        self._say_to_all_here(organization_id, notice)

    def _say_to_all_here(self, organization_id: UUID, notice: Notice) -> None:
        for server_id, organization in list(self._organizations.items()):
            if organization == organization_id:
                self._say_here(server_id, notice)

    def revoke(self, server_id: UUID) -> None:
        """The server's key is worthless: it was deleted, or has another one."""
        self._tell("revoke", server_id)
        self._revoke_here(server_id)

    def _revoke_here(self, server_id: UUID) -> None:
        line = self._lines.get(server_id)
        if line is not None:
            self._send(line.close(REVOKED_CODE))

    async def run(self) -> None:
        """Tells the other processes again and again who is connected here, until cancelled."""
        while True:
            await asyncio.sleep(HERE_SECONDS)
            now = monotonic()
            self._elsewhere = {one: until for one, until in self._elsewhere.items() if until > now}
            for server_id in self._lines:
                self._tell("here", server_id)

    def _tell(self, kind: str, *about: object) -> None:
        if self._relay is not None:
            self._relay.tell(kind, *about)

    def _heard(self, news: News) -> None:
        """What another process has to say."""
        match news.kind, news.about:
            case "here", (server_id,):
                self._elsewhere[UUID(server_id)] = monotonic() + ELSEWHERE_SECONDS
            case "away", (server_id,):
                self._elsewhere.pop(UUID(server_id), None)
            case "version", (server_id, version):
                self._tell_here(UUID(server_id), int(version))
            case "say", (server_id, notice):
                self._say_here(UUID(server_id), NOTICE.decode(notice))
            case "say to all", (organization_id, notice):
                self._say_to_all_here(UUID(organization_id), NOTICE.decode(notice))
            case "revoke", (server_id,):
                self._revoke_here(UUID(server_id))

    async def close(self) -> None:
        """Ends all connections, and any that opens later: the hub is going down."""
        self._closed = True
        for line in list(self._lines.values()):
            self._send(line.close(LEAVING_CODE))
        await asyncio.gather(*self._errands, return_exceptions=True)

    async def _tell_seen(self, server_id: UUID, *, is_open: bool) -> None:
        if self._seen is not None:
            with contextlib.suppress(DatabaseAway):  # evidence, and no more than that
                await self._seen(server_id, is_open)

    def _send(self, errand: Awaitable[None]) -> None:
        task = asyncio.ensure_future(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


async def _in_time(sending: Awaitable[None]) -> bool:
    """Whether it was sent; a connection that has just ended, or ended before, is no failure."""
    with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
        async with asyncio.timeout(SEND_SECONDS):
            await sending
            return True
    return False
