"""The hub's configuration is fetched when the hub names another version than the one that was fetched last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twinwatch.agent.uplink.errand import Errand
from twinwatch.agent.uplink.line import Line
from twinwatch.agent.uplink.link import Link
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.control import ConfigurationChanged, Notice
from twinwatch.protocol.heartbeat import HeartbeatAnswer
from twinwatch.world.secret import Secret


class Configurations:
    """``version`` is the one in force when this begins. ``take`` gets what was fetched, whether it can use it or not:
    one that it refuses is not fetched again, but the next one is. ``wants`` says of a version that was fetched before
    whether it is wanted after all: when the owner lets the hub configure again."""

    def __init__(
        self,
        line: Line,
        key: Secret,
        *,
        version: int,
        take: Callable[[Configuration], Awaitable[None]],
        wants: Callable[[int], bool] | None = None,
        link: Link,
        seed: str,
    ) -> None:
        self._line = line
        self._key = key
        self._taken = version
        self._named = version
        self._take = take
        self._wants = wants
        self._errand = Errand(
            "the configuration could not be fetched", do=self._fetch, wanted=self._is_wanted, link=link, seed=seed
        )
        self.run = self._errand.run
        link.on_answer(self._heard)
        link.on_notice(self._noticed)

    def named(self, version: int) -> None:
        """The hub says that this is its version."""
        self._named = version
        self._errand.wake()

    def look(self) -> None:
        """What is wanted may be another now."""
        self._errand.wake()

    def _noticed(self, notice: Notice) -> None:
        if isinstance(notice, ConfigurationChanged):
            self.named(notice.version)

    def _heard(self, answer: HeartbeatAnswer) -> None:
        self.named(answer.configuration)

    def _is_wanted(self) -> bool:
        if self._wants is not None and self._named:
            return self._wants(self._named)
        return self._named != self._taken

    async def _fetch(self) -> None:
        named = self._named
        fetched = await self._line.configuration(self._key)
        await self._take(fetched)
        self._taken = fetched.version
        if self._named == named:
            self._named = fetched.version
