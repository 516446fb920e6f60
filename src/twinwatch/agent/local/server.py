"""The local server: on its addresses and on the unix socket, for as long as the agent runs.

Invariants: an address that cannot be had is said once, with the remedy, and tried again every minute; the agent runs on
whatever becomes of it. The socket is its owner's alone before anybody can connect.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from twinwatch.agent.local import web
from twinwatch.agent.local.admission import Admission, Reach
from twinwatch.agent.local.connections import Server
from twinwatch.agent.local.custom import Custom
from twinwatch.agent.local.history import PageReader
from twinwatch.agent.local.pushes import Pushes
from twinwatch.agent.local.routes import Routes
from twinwatch.agent.local.settings import LocalSettings, address_of, problem_of
from twinwatch.agent.status import SOCKET_FILE
from twinwatch.protocol.metrics import Catalogue
from twinwatch.world.addresses import is_loopback
from twinwatch.world.clock import Clock

RETRY_SECONDS = 60.0
CLOSE_SECONDS = 1.0
"""What open requests get to end in when the agent stops."""
BACKLOG = 32
OTLP_PATH = "/v1/metrics"

_log = logging.getLogger(__name__)


class LocalServer:
    """Answers on the addresses of ``settings`` and on ``state_dir/agent.sock`` while ``run`` does.

    ``status`` and ``catalogue`` are asked per request; ``status`` may give an awaitable. ``read`` is
    ``Buffer.page`` on the buffer's thread: ``partial(worker.do, buffer.page)``.
    """

    def __init__(
        self,
        settings: LocalSettings,
        *,
        state_dir: Path,
        status: Callable[[], object],
        catalogue: Callable[[], Catalogue],
        read: PageReader,
        custom: Custom,
        clock: Clock,
        drill: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._settings = settings
        self._socket = state_dir / SOCKET_FILE
        self._routes = Routes(
            status=status, catalogue=catalogue, read=read, pushes=Pushes(custom, clock), clock=clock, drill=drill
        )
        self.addresses: list[tuple[str, int]] = []
        """Where it listens now."""
        self.on_socket = False

    async def run(self) -> None:
        """Serve until cancelled. Never ends of itself; what cannot be is logged."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._on_socket(), name="local-socket")
            if not self._settings.enabled:
                return
            problem = problem_of(self._settings)
            if problem:
                _log.error("the local page is off: %s", problem)
                return
            group.create_task(self._on_address(self._settings.listen, "listen"), name="local")
            if self._settings.otlp_listen:
                group.create_task(
                    self._on_address(self._settings.otlp_listen, "otlp_listen", only=OTLP_PATH), name="local-otlp"
                )

    async def _on_socket(self) -> None:
        said = False
        while True:
            try:
                opened = _open_socket(self._socket)
            except OSError as err:
                if not said:
                    _log.warning("%s cannot be opened (%s); `twinwatch agent status` has no answer", self._socket, err)
                said = True
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.on_socket = True
            try:
                await self._serve([opened], Admission(Reach.SOCKET, None))
            finally:
                self.on_socket = False
                self._socket.unlink(missing_ok=True)

    async def _on_address(self, listen: str, setting: str, only: str = "") -> None:
        host, port = address_of(listen)
        said = False
        while True:
            try:
                opened = _open_address(host, port)
            except OSError as err:
                if not said:
                    _log.warning("%s", _remedy(listen, setting, err))
                said = True
                await asyncio.sleep(RETRY_SECONDS)
                continue
            loopback = all(is_loopback(each.getsockname()[0]) for each in opened)
            admission = Admission(Reach.LOOPBACK if loopback else Reach.NETWORK, self._settings.token)
            for each in opened:
                self.addresses.append(each.getsockname()[:2])
            _log.info("%s on http://%s", "OpenTelemetry is taken" if only else "local page", listen)
            await self._serve(opened, admission, only)

    async def _serve(self, sockets: list[socket.socket], admission: Admission, only: str = "") -> None:
        """Until cancelled."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._routes.answer(request, admission, only=only)

        server = Server(handle)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(server.shutdown, CLOSE_SECONDS)
            for each in sockets:
                loop = asyncio.get_running_loop()
                listening = (
                    await loop.create_unix_server(server, sock=each)
                    if each.family == socket.AF_UNIX
                    else await loop.create_server(server, sock=each, backlog=BACKLOG)
                )
                stack.callback(listening.close)
            await asyncio.Event().wait()


def _open_socket(path: Path) -> socket.socket:
    """The socket, its owner's alone. One that is there is of an agent that died: the folder is locked by ours."""
    path.unlink(missing_ok=True)
    opened = socket.socket(socket.AF_UNIX)
    try:
        opened.setblocking(False)
        opened.bind(os.fspath(path))
        path.chmod(0o600)
        opened.listen(BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened


def _open_address(host: str, port: int) -> list[socket.socket]:
    """The address, and beside 127.0.0.1 also ::1 where there is one: browsers try either for ``localhost``.

    Raises: OSError if the address itself cannot be had.
    """
    host = "127.0.0.1" if host == "localhost" else host
    opened = [_listening(host, port)]
    if host == "127.0.0.1":
        with suppress(OSError):
            opened.append(_listening("::1", port))
    return opened


def _listening(host: str, port: int) -> socket.socket:
    # A text would be looked at as a name of any language may be, which takes tables that a number does not need.
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.encode(), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened


def _remedy(listen: str, setting: str, err: OSError) -> str:
    match err.errno:
        case errno.EADDRINUSE:
            why = f"another program has this address; find it with `ss -ltnp`, or choose another in local.{setting}"
        case errno.EACCES:
            why = f"this user may not listen on it; choose a port above 1023 in local.{setting}"
        case errno.EADDRNOTAVAIL:
            why = f"this machine has no such address; choose one of its own in local.{setting}"
        case _:
            why = f"{err.strerror or err}; expected an address of this machine in local.{setting}"
    return f"no local page on {listen}: {why}. It is tried again every minute; the agent runs on"
