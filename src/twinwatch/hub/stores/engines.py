"""Which engine keeps the samples: what an operator says in a word, and the store that it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from twinwatch.hub.db import Database
from twinwatch.hub.stores import Retention, SampleStore
from twinwatch.hub.stores.blocks import BlocksStore
from twinwatch.hub.stores.victoria import VictoriaStore
from twinwatch.hub.stores.victoria_node import Node, addresses_of
from twinwatch.world.http import AiohttpHttp

ANSWER_BYTES = 1 << 28
"""Of VictoriaMetrics: 500 series of a day, every 15 s."""
CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine by name. ``addresses`` are those of VictoriaMetrics; a password may stand there."""

    name: Literal["blocks", "victoriametrics"] = "blocks"
    addresses: tuple[str, ...] = field(default=(), repr=False)


def engine_of(text: str) -> Engine:
    """The engine of ``blocks``, ``victoriametrics:URL`` or ``victoriametrics:INSERT,SELECT``; of nothing: ``blocks``.

    Raises: ValueError, which does not repeat addresses: a password may stand there.
    """
    name, _, addresses = text.strip().partition(":")
    if name in ("", "blocks") and not addresses:
        return Engine()
    if name != "victoriametrics":
        raise ValueError(
            "expected blocks, victoriametrics:http://HOST:8428 for a single node, or "
            "victoriametrics:http://VMINSERT:8480,http://VMSELECT:8481 for a cluster"
        )
    return Engine("victoriametrics", addresses_of(addresses))


class Keeping:
    """The store that keeps the samples, and what it holds open."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._http = AiohttpHttp(answer_bytes=ANSWER_BYTES, connections=CONNECTIONS)
        blocks = BlocksStore(database)
        self.store: SampleStore = blocks
        self._left: SampleStore | None = None
        """What was kept before another engine was chosen: it ends when it is past keeping."""
        if engine.name == "victoriametrics":
            self.store = VictoriaStore(database, Node(self._http, engine.addresses))
            self._left = blocks

    async def tend(self, now: int, retention: Retention) -> None:
        """``SampleStore.tend``, of what other engines are left with too."""
        await self.store.tend(now, retention)
        if self._left is not None:
            await self._left.tend(now, retention)

    async def close(self) -> None:
        """Closes the connections; those to PostgreSQL are the caller's."""
        await self._http.close()
