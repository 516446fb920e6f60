"""The hub's bundle is fetched when the hub names another than the one that is held."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from twinwatch.agent.uplink.errand import Errand
from twinwatch.agent.uplink.line import Line
from twinwatch.agent.uplink.link import Link
from twinwatch.protocol.bundle import SealedBundle
from twinwatch.protocol.control import BundleChanged, Notice
from twinwatch.protocol.heartbeat import HeartbeatAnswer
from twinwatch.world.secret import Secret

_log = logging.getLogger("twinwatch.agent.uplink")


class Bundles:
    """``held`` is the digest of the bundle in force. ``take`` gets what was fetched, lawful or not: one that is not is
    asked for again with the next change only."""

    def __init__(
        self,
        line: Line,
        key: Secret,
        *,
        held: Callable[[], str],
        take: Callable[[SealedBundle], Awaitable[None]],
        link: Link,
        seed: str,
    ) -> None:
        self._line = line
        self._key = key
        self._held = held
        self._take = take
        self._named = ""
        self._settled = ""
        self._errand = Errand(
            "the bundle of rules and channels could not be fetched",
            do=self._fetch,
            wanted=self._is_wanted,
            link=link,
            seed=seed,
        )
        self.run = self._errand.run
        link.on_answer(self._heard)
        link.on_notice(self._noticed)

    def _heard(self, answer: HeartbeatAnswer) -> None:
        self._name(answer.bundle)

    def _noticed(self, notice: Notice) -> None:
        if isinstance(notice, BundleChanged):
            self._name(notice.digest)

    def _name(self, digest: str) -> None:
        self._named = digest
        self._errand.wake()

    def _is_wanted(self) -> bool:
        return self._named not in ("", self._held(), self._settled)

    async def _fetch(self) -> None:
        named = self._named
        # What is fetched may be newer than what was named: the next heartbeat names that.
        await self._take(await self._line.bundle(self._key))
        self._settled = named
