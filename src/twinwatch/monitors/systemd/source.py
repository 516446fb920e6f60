"""systemd as it is asked over the bus: bounded in time, in number and at once.

Source: systemd's D-Bus API (org.freedesktop.systemd1(5)).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from twinwatch.monitors.systemd.facts import Properties, Row, Unit, files_of, rows_of, unit_of
from twinwatch.monitors.systemd.names import path_of, suffix_of
from twinwatch.world.bus import ACCESS_DENIED, NO_REPLY, UNKNOWN_METHOD, Bus, BusUnavailable

SYSTEMD = "org.freedesktop.systemd1"
MANAGER_PATH = "/org/freedesktop/systemd1"
MANAGER = "org.freedesktop.systemd1.Manager"
UNIT = "org.freedesktop.systemd1.Unit"
PROPERTIES = "org.freedesktop.DBus.Properties"

CALL_SECONDS = 3.0
AT_ONCE = 8
"""Calls under way at one time."""
OLD = (UNKNOWN_METHOD, ACCESS_DENIED)
"""How a systemd, or a bus policy, of before a method was made answers it."""


class Source:
    """One systemd."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def about(self, name: str) -> Any:
        """A property of the manager, None if it has none of this name."""
        try:
            body = await self._ask(MANAGER_PATH, PROPERTIES, "Get", "ss", (MANAGER, name))
        except BusUnavailable as err:
            if err.name.endswith((".UnknownProperty", ".InvalidArgs", ".UnknownInterface")):
                return None
            raise
        return body[0] if body else None

    async def listed(self, patterns: Sequence[str]) -> list[Row]:
        """The loaded units that these patterns name. One call; systemd before 230 lists all of them."""
        try:
            body = await self._ask(MANAGER_PATH, MANAGER, "ListUnitsByPatterns", "asas", ([], list(patterns)))
        except BusUnavailable as err:
            if err.name not in OLD:
                raise
            body = await self._ask(MANAGER_PATH, MANAGER, "ListUnits")
        rows = rows_of(body[0] if body else None)
        return [row for row in rows if any(fnmatchcase(row.name, pattern) for pattern in patterns)]

    async def enabled(self, states: Sequence[str], patterns: Sequence[str]) -> frozenset[str] | None:
        """The names of the unit files that have one of these states; None if systemd cannot tell."""
        try:
            asked = (list(states), list(patterns))
            body = await self._ask(MANAGER_PATH, MANAGER, "ListUnitFilesByPatterns", "asas", asked)
        except BusUnavailable as err:
            if err.name not in OLD:
                raise
            return None
        return files_of(body[0] if body else None)

    async def unit(self, name: str) -> Unit:
        """All that is known of a unit; one that is not loaded is loaded for it."""
        path, suffix = path_of(name), suffix_of(name)
        common = await self._properties(path, UNIT)
        own: Properties = {}
        if common.get("LoadState") == "loaded":
            own = await self._properties(path, f"{SYSTEMD}.{suffix.capitalize()}")
        return unit_of(name, common, own)

    async def units(self, names: Iterable[str]) -> dict[str, Unit | BusUnavailable]:
        """Each of these units, or why it could not be read.

        Raises: BusUnavailable if systemd does not answer at all.
        """

        async def one(name: str) -> Unit | BusUnavailable:
            async with self._at_once:
                try:
                    return await self.unit(name)
                except BusUnavailable as err:
                    return err

        wanted = list(names)
        tasks = [asyncio.create_task(one(name)) for name in wanted]
        found: dict[str, Unit | BusUnavailable] = {}
        try:
            for name, task in zip(wanted, tasks, strict=True):
                unit = found[name] = await task
                if isinstance(unit, BusUnavailable) and unit.name == NO_REPLY:
                    raise unit  # the others would only wait as long, one after the other
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return found

    async def subscribe(self) -> None:
        """Asks systemd for its signals; it forgets that when the connection ends."""
        try:
            await self._ask(MANAGER_PATH, MANAGER, "Subscribe")
        except BusUnavailable as err:
            if not err.name.endswith(".AlreadySubscribed"):
                raise

    async def _properties(self, path: str, interface: str) -> Properties:
        body = await self._ask(path, PROPERTIES, "GetAll", "s", (interface,))
        found = body[0] if body else None
        return found if isinstance(found, dict) else {}

    async def _ask(
        self, path: str, interface: str, member: str, signature: str = "", body: Sequence[Any] = ()
    ) -> list[Any]:
        return await self._bus.call(SYSTEMD, path, interface, member, signature, body, timeout_seconds=CALL_SECONDS)
