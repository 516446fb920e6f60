"""Questions to a device that is signed in at: answers as elements or JSON, and what it lacks is not asked for again.

Source: ISAPI; ``403 notSupport`` and ``404`` stay so until the firmware changes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from twinwatch.monitors.hikvision.markup import Element, NoMarkup, element_of
from twinwatch.monitors.hikvision.memory import Memory
from twinwatch.monitors.hikvision.session import Session, Unsupported
from twinwatch.world.doors import World


class Asking:
    """In one run."""

    def __init__(self, session: Session, world: World, memory: Memory, now: int) -> None:
        self._session = session
        self._world = world
        self._memory = memory
        self.now = now

    @property
    def answered_at(self) -> int:
        """When the last answer came, ms UTC by this host's clock."""
        return self._session.time_of_answer

    def clock(self) -> int:
        """This host's clock, ms UTC."""
        return self._world.clock.now()

    async def xml(self, path: str) -> Element:
        """The root of the answer.

        Raises: Stopped; Away; NoRight; Unsupported, at once where that is known; NoMarkup.
        """
        body = await self._body(path)
        root = element_of(body)
        if root.name == "ResponseStatus":
            # Some firmwares say so with status 200.
            self._memory.lacking(path, self.now)
            raise Unsupported
        return root

    async def json(self, path: str) -> Any:
        """The answer's content.

        Raises: as ``xml``.
        """
        body = await self._body(path)
        try:
            return msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
            if body.lstrip()[:1] == b"<":  # an old firmware that knows no other format
                self._memory.lacking(path, self.now)
                raise Unsupported from err
            raise NoMarkup("expected JSON") from err

    async def _body(self, path: str) -> bytes:
        if not self._memory.has(path, self.now):
            raise Unsupported
        try:
            return await self._session.get(self._world, path, self.now)
        except Unsupported:
            self._memory.lacking(path, self.now)
            raise
