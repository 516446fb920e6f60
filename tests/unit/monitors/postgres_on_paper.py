"""A PostgreSQL server on paper, and the monitor before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.options import options_of
from twinwatch.monitors.postgres import Postgres
from twinwatch.testing.paper import PaperClock, PaperCommands, PaperHost, paper_world
from twinwatch.testing.paper_postgres import PaperPostgres

NOW = 1_700_000_000_000
SERVER = {
    "version": 160004,
    "is_standby": False,
    "role": "monitor",
    "database": "mydb",
    "sees_all": True,
    "up_seconds": 86400.5,
    "allowed": 97.0,
}
EMPTY = (
    "activity prepared locks sessions databases sizes ages checkpoints checkpoints_17 wal wal_14 wal_folder archive "
    "standbys unheard slots standby autovacuum vacuums tables bloat indexes index_faults statements texts io slru "
    "buffers settings configuration"
)


def sources(**said: Any) -> dict[str, str]:
    """An idle server, but for what is said."""
    answers = {**dict.fromkeys(EMPTY.split(), ()), "server": [SERVER], **said}
    return {f"sql {name}": _text(rows) for name, rows in answers.items()}


class Door(PaperPostgres):
    """Remembers what it is asked; each answer takes its time."""

    def __init__(self, sources: Mapping[str, str], clock: PaperClock) -> None:
        super().__init__(sources)
        self.asked: list[str] = []
        self.statements: dict[str, str] = {}
        self.seconds = 0.0
        self._clock = clock

    async def query(
        self, connection: Any, name: str, statement: str, *, timeout_seconds: float
    ) -> list[dict[str, Any]]:
        self.asked.append(name)
        self.statements[name] = statement
        self._clock.monotonic_seconds += min(self.seconds, timeout_seconds)
        return await super().query(connection, name, statement, timeout_seconds=timeout_seconds)


class Watched:
    """A monitor and the doors before it."""

    def __init__(self, said: Mapping[str, str], **options: Any) -> None:
        self.clock = PaperClock(NOW)
        self.door = Door(said, self.clock)
        self.files: dict[str, str] = {}
        self.programs: dict[str, str] = {}
        self._monitor = Postgres(options_of(Postgres, {"connection": "postgres://me:geheim@db:5433/shop", **options}))

    async def at(self, seconds: float, **said: Any) -> list[Finding]:
        """One run at this time of the monitor's clock; from now on these statements are answered so."""
        self.door.sources.update({f"sql {name}": _text(rows) for name, rows in said.items()})
        self.door.asked.clear()
        world = paper_world(
            PaperHost(self.files), postgres=self.door, clock=self.clock, commands=PaperCommands(self.programs)
        )
        return await self._monitor.read(world, Moment(NOW + round(seconds * 1000), seconds))


def _text(rows: Any) -> str:
    return rows if isinstance(rows, str) else msgspec.json.encode(rows).decode()
