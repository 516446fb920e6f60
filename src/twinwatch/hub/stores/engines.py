"""Which engine keeps the samples: what an operator says in a word, and the store that it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from twinwatch.hub.db import Database
from twinwatch.hub.stores import Retention, SampleStore
from twinwatch.hub.stores.blocks import BlocksStore
from twinwatch.hub.stores.timescale import TimescaleStore
from twinwatch.hub.stores.victoria import VictoriaStore
from twinwatch.hub.stores.victoria_node import Node, addresses_of
from twinwatch.world.http import AiohttpHttp

ANSWER_BYTES = 1 << 28
"""Of VictoriaMetrics: 500 series of a day, every 15 s."""
CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine by name. ``addresses`` are those of VictoriaMetrics; a password may stand there.

    ``automatic`` is what ``choosing.choose`` makes one of the others of, by what the database has.
    """

    name: Literal["automatic", "blocks", "timescale", "victoriametrics"] = "automatic"
    addresses: tuple[str, ...] = field(default=(), repr=False)


def engine_of(text: str) -> Engine:
    """The engine of ``blocks``, ``timescale``, ``victoriametrics:URL`` or ``victoriametrics:INSERT,SELECT``.

    Of nothing: ``automatic``.

    Raises: ValueError, which does not repeat addresses: a password may stand there.
    """
    name, _, addresses = text.strip().partition(":")
    if not addresses and not name:
        return Engine()
    if not addresses and name == "blocks":
        return Engine("blocks")
    if not addresses and name == "timescale":
        return Engine("timescale")
    if name != "victoriametrics":
        raise ValueError(
            "expected blocks, timescale, victoriametrics:http://HOST:8428 for a single node, or "
            "victoriametrics:http://VMINSERT:8480,http://VMSELECT:8481 for a cluster"
        )
    return Engine("victoriametrics", addresses_of(addresses))


class Keeping:
    """The store that keeps the samples, and what it holds open."""

    def __init__(self, engine: Engine, database: Database) -> None:
        """``automatic`` is ``blocks`` here: whoever may look at the database has chosen before."""
        self._http = AiohttpHttp(answer_bytes=ANSWER_BYTES, connections=CONNECTIONS)
        blocks = BlocksStore(database)
        self._timescale = TimescaleStore(database)
        self.store: SampleStore = blocks
        if engine.name == "timescale":
            self.store = self._timescale
        elif engine.name == "victoriametrics":
            self.store = VictoriaStore(database, Node(self._http, engine.addresses))
        self._left: list[SampleStore] = [one for one in (blocks, self._timescale) if one is not self.store]
        """What was kept before another engine was chosen: it ends when it is past keeping."""

    async def tend(self, now: int, retention: Retention) -> None:
        """``SampleStore.tend``, of what other engines are left with too."""
        await self.store.tend(now, retention)
        for one in self._left:
            if one is not self._timescale or await self._timescale.is_there():
                await one.tend(now, retention)

    async def close(self) -> None:
        """Closes the connections; those to PostgreSQL are the caller's."""
        await self._http.close()
