"""A D-Bus made of text.

Two kinds of sources, each JSON:

- ``bus PATH INTERFACE`` is an object's properties, one JSON object: ``Get`` and ``GetAll`` answer from it;
- ``bus PATH Member`` is the body of the reply to a method, one JSON list, whatever the arguments are.

A text ``error NAME words`` is an error reply. An object without a source is unknown, text that is not JSON is a reply
that could not be decoded, and a bus without any ``bus`` source is not there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from twinwatch.world.bus import DISCONNECTED, NO_SERVER, UNKNOWN_METHOD, Bus, BusUnavailable, Heard, MatchRule

PREFIX = "bus "
PROPERTIES = "org.freedesktop.DBus.Properties"


class PaperBus:
    """Answers from ``sources`` whose names begin with ``bus ``; ``emit`` sends a signal, ``lose`` ends connections."""

    def __init__(self, sources: Mapping[str, str], *, hangs: bool = False) -> None:
        self.sources = {name: text for name, text in sources.items() if name.startswith(PREFIX)}
        self.hangs = hangs
        self.calls: list[tuple[str, ...]] = []
        """Path and member of every call, then the texts among its arguments."""
        self._listening: list[tuple[MatchRule, Callable[[Heard], None], asyncio.Timeout]] = []

    @property
    def listeners(self) -> int:
        """Rules that are listened to now."""
        return len(self._listening)

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
        """See ``Bus``. One that hangs does not even keep to ``timeout_seconds``."""
        self.calls.append((path, member, *(one for one in body if isinstance(one, str))))
        if self.hangs:
            await asyncio.Event().wait()
        if not self.sources:
            raise BusUnavailable("no system bus: No such file or directory", NO_SERVER)
        if interface != PROPERTIES:
            answer = self._said(f"{PREFIX}{path} {member}", member)
            if not isinstance(answer, list):
                raise BusUnavailable(f"{member}: the reply could not be decoded")
            return answer
        found = self._said(f"{PREFIX}{path} {body[0]}", member)
        if member == "GetAll":
            return [found]
        if not isinstance(found, dict) or body[1] not in found:
            raise BusUnavailable(f"Unknown property {body[1]}", "org.freedesktop.DBus.Error.UnknownProperty")
        return [found[body[1]]]

    @asynccontextmanager
    async def listen(self, rule: str, heard: Callable[[Heard], None]) -> AsyncIterator[None]:
        """See ``Bus``."""
        if not self.sources:
            raise BusUnavailable("no system bus: No such file or directory", NO_SERVER)
        scope = asyncio.timeout(None)
        entry = MatchRule(rule), heard, scope
        try:
            async with scope:
                self._listening.append(entry)
                yield
        except TimeoutError:
            raise BusUnavailable("the connection to the bus was lost", DISCONNECTED) from None
        finally:
            self._listening.remove(entry)

    def emit(self, path: str, interface: str, member: str, body: list[Any]) -> None:
        """A signal to all who listen."""
        for rule, heard, _ in tuple(self._listening):
            if rule.admits(path, interface, member):
                heard(Heard(path, interface, member, body))

    def lose(self) -> None:
        """Cuts off everybody who listens, as a bus that is restarted does."""
        for _, _, scope in self._listening:
            scope.reschedule(asyncio.get_running_loop().time())

    def _said(self, source: str, member: str) -> Any:
        text = self.sources.get(source)
        if text is None:
            raise BusUnavailable(f"{source}: unknown object or method", UNKNOWN_METHOD)
        if text.startswith("error "):
            _, name, *words = text.split(" ", 2)
            raise BusUnavailable(f"{member}: {' '.join(words)}", name)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as err:
            raise BusUnavailable(f"{member}: the reply could not be decoded") from err


class RecordingBus:
    """Passes calls on to another bus and keeps the answers as the sources of a ``PaperBus``."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.sources: dict[str, str] = {}

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
        """See ``Bus``."""
        asked = (destination, path, interface, member, signature, body)
        source = f"{PREFIX}{path} {body[0]}" if interface == PROPERTIES else f"{PREFIX}{path} {member}"
        try:
            answer = await self._bus.call(*asked, timeout_seconds=timeout_seconds)
        except BusUnavailable as err:
            if err.name:
                self.sources[source] = f"error {err.name} {err}"
            raise
        said: Any = answer
        if member == "GetAll":
            said = answer[0]
        elif interface == PROPERTIES:
            said = {**json.loads(self.sources.get(source, "{}")), body[1]: answer[0]}
        self.sources[source] = json.dumps(said, indent=1, sort_keys=isinstance(said, dict), default=bytes.hex) + "\n"
        return answer

    def listen(self, rule: str, heard: Callable[[Heard], None]) -> AbstractAsyncContextManager[None]:
        """See ``Bus``; signals are not kept."""
        return self._bus.listen(rule, heard)
