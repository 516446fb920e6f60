"""The door to the system's D-Bus. ``dbus-fast`` is imported when it is first used.

Invariants: one connection, made again by the next call after it was lost; every wait is bounded; only
``BusUnavailable`` leaves the door; a match rule lives no longer than its context.
Source: the D-Bus specification; dbus-fast's documentation.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus
    from dbus_fast.message import Message

_ERROR = "org.freedesktop.DBus.Error."
NO_SERVER = _ERROR + "NoServer"
NO_REPLY = _ERROR + "NoReply"
ACCESS_DENIED = _ERROR + "AccessDenied"
BAD_ADDRESS = _ERROR + "BadAddress"
DISCONNECTED = _ERROR + "Disconnected"
SERVICE_UNKNOWN = _ERROR + "ServiceUnknown"
UNKNOWN_METHOD = _ERROR + "UnknownMethod"

CONNECT_SECONDS = 5.0
FAREWELL_SECONDS = 1.0
SILENCES = 3
"""After so many calls in a row without an answer the connection is given up and made anew."""
DAEMON = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")

_CONDITION = re.compile(r"(\w+)='([^']*)'")


class BusUnavailable(Exception):
    """No bus, no right, no answer in time, or an error reply; the message says which, ``name`` is the D-Bus error's.

    Where the door itself found the error, ``name`` is the one that the specification has for it (``NO_SERVER`` …).
    """

    def __init__(self, message: str, name: str = "") -> None:
        self.name = name
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Heard:
    """A signal. ``body`` has variants unwrapped to plain Python values."""

    path: str
    interface: str
    member: str
    body: list[Any]


class Bus(Protocol):
    """Calls methods and hears signals; one connection, made again when it was lost."""

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        timeout_seconds: float,
    ) -> list[Any]:
        """The reply's body, variants unwrapped.

        Raises: BusUnavailable.
        """
        ...

    def listen(self, rule: str, heard: Callable[[Heard], None]) -> AbstractAsyncContextManager[None]:
        """Within the context ``heard`` is called for every signal that the match rule names.

        Raises: BusUnavailable, on entry, and within if the connection is lost.
        """
        ...


class MatchRule:
    """The conditions of a rule that can be judged by what a signal carries; the bus itself judges the rest."""

    def __init__(self, rule: str) -> None:
        self._wanted = dict(_CONDITION.findall(rule))

    def admits(self, path: str, interface: str, member: str) -> bool:
        """Whether such a signal is among those that the rule names."""
        wanted = self._wanted
        space = wanted.get("path_namespace", "")
        return (
            wanted.get("path", path) == path
            and wanted.get("interface", interface) == interface
            and wanted.get("member", member) == member
            and (not space or path == space or path.startswith(space.rstrip("/") + "/"))
        )


class SystemBus:
    """The real door: the bus at ``address``, else at ``DBUS_SYSTEM_BUS_ADDRESS``, else at its usual socket."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._connecting = asyncio.Lock()
        self._connection: _Connection | None = None

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        timeout_seconds: float,
    ) -> list[Any]:
        """As ``Bus`` says."""
        from dbus_fast.message import Message  # noqa: PLC0415 - 2.6 MB that only users of the bus pay

        connection: _Connection | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                with _translated():
                    connection = await self._connected()
                    asked = Message(destination, path, interface, member, signature=signature, body=list(body))
                    return await connection.answer(asked)
        except TimeoutError:
            if connection is not None:
                connection.missed()
            raise BusUnavailable(f"{member}: no answer from the bus within {timeout_seconds:g} s", NO_REPLY) from None

    @asynccontextmanager
    async def listen(self, rule: str, heard: Callable[[Heard], None]) -> AsyncIterator[None]:
        """As ``Bus`` says."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                with _translated():
                    connection = await self._connected()
        except TimeoutError:
            raise BusUnavailable(f"no connection to the bus within {CONNECT_SECONDS:g} s", NO_REPLY) from None
        asked = (*DAEMON, "AddMatch", "s", (rule,))
        with connection.hearing(MatchRule(rule), heard):
            await self.call(*asked, timeout_seconds=CONNECT_SECONDS)
            try:
                async with connection.held():
                    yield
            finally:
                if connection is self._connection and connection.alive:
                    with suppress(BusUnavailable):
                        await self.call(*DAEMON, "RemoveMatch", "s", (rule,), timeout_seconds=FAREWELL_SECONDS)

    async def close(self) -> None:
        """Ends the connection. The next call makes a new one."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.alive:
                self._connection = _Connection(await _connect(self._address))
            return self._connection


class _Connection:
    """One connection and those who wait for its end."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._silences = 0
        self._waiting: set[Callable[[], None]] = set()
        self._end: asyncio.Task[None] = asyncio.create_task(bus.wait_for_disconnect())  # type: ignore[no-untyped-call]
        self._end.add_done_callback(self._ended)

    @property
    def alive(self) -> bool:
        """Whether it can be used."""
        return self._bus.connected and not self._end.done()

    async def answer(self, asked: Message) -> list[Any]:
        """The reply to a call.

        Raises: BusUnavailable; what dbus-fast raises when the connection is lost.
        """
        from dbus_fast.constants import MessageType  # noqa: PLC0415
        from dbus_fast.unpack import unpack_variants  # noqa: PLC0415

        reply = await self._bus.call(asked)
        self._silences = 0
        if reply is None:
            raise BusUnavailable("the connection to the bus was closed", DISCONNECTED)
        body: list[Any] = unpack_variants(reply.body)
        if reply.message_type is MessageType.ERROR:
            raise BusUnavailable(f"{asked.member}: {body[0] if body else reply.error_name}", str(reply.error_name))
        return body

    def missed(self) -> None:
        """A call was not answered in time. A bus that answers nobody is left, so that unanswered calls cannot pile."""
        self._silences += 1
        if self._silences >= SILENCES:
            self._bus.disconnect()

    @contextmanager
    def hearing(self, rule: MatchRule, heard: Callable[[Heard], None]) -> Iterator[None]:
        """Within the context, signals go to ``heard``."""
        from dbus_fast.constants import MessageType  # noqa: PLC0415
        from dbus_fast.unpack import unpack_variants  # noqa: PLC0415

        def hear(message: Message) -> None:
            path, interface, member = message.path or "", message.interface or "", message.member or ""
            if message.message_type is MessageType.SIGNAL and rule.admits(path, interface, member):
                heard(Heard(path, interface, member, unpack_variants(message.body)))

        self._bus.add_message_handler(hear)
        try:
            yield
        finally:
            self._bus.remove_message_handler(hear)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """What is within is cut off when the connection is lost.

        Raises: BusUnavailable.
        """
        loop = asyncio.get_running_loop()
        scope = asyncio.timeout(None)

        def cut() -> None:
            if not scope.expired():
                scope.reschedule(loop.time())

        try:
            async with scope:
                self._waiting.add(cut)
                if self._end.done():
                    cut()
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise BusUnavailable("the connection to the bus was lost", DISCONNECTED) from None
        finally:
            self._waiting.discard(cut)

    async def close(self) -> None:
        """Ends it, and waits until the socket is closed."""
        self._bus.disconnect()
        await asyncio.wait((self._end,), timeout=FAREWELL_SECONDS)

    def _ended(self, end: asyncio.Task[None]) -> None:
        if not end.cancelled():
            end.exception()  # why it ended is told by the calls that were cut off
        for cut in tuple(self._waiting):
            cut()


async def _connect(address: str | None) -> MessageBus:
    from dbus_fast.aio import MessageBus  # noqa: PLC0415
    from dbus_fast.constants import BusType  # noqa: PLC0415

    bus = MessageBus(address, BusType.SYSTEM, auth_timeout=CONNECT_SECONDS)
    return await bus.connect()


@contextmanager
def _translated() -> Iterator[None]:
    """What dbus-fast raises becomes ``BusUnavailable``."""
    from dbus_fast.errors import AuthError, DBusFastError, InvalidAddressError  # noqa: PLC0415

    try:
        yield
    except (FileNotFoundError, ConnectionRefusedError) as err:
        raise BusUnavailable(f"no system bus: {err.strerror or err}", NO_SERVER) from err
    except (PermissionError, AuthError) as err:
        raise BusUnavailable(f"the system bus refused this user: {err}", ACCESS_DENIED) from err
    except InvalidAddressError as err:
        raise BusUnavailable(f"DBUS_SYSTEM_BUS_ADDRESS: {err}", BAD_ADDRESS) from err
    except TimeoutError:
        raise
    except (OSError, EOFError) as err:
        raise BusUnavailable(
            f"the connection to the bus was lost: {type(err).__name__} {err}".rstrip(), DISCONNECTED
        ) from err
    except DBusFastError as err:
        raise BusUnavailable(f"the bus: {err}") from err
