"""What an organization's plan lets it have: how long its samples are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twinwatch.hub.db import Database
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import Retention
from twinwatch.hub.stores.log import milliseconds

SQL = Statements("plans")

PLAN_DAYS = {"pro": 90, "enterprise": 400}
"""At least so long; the plan that all begin with keeps samples as long as the settings say."""


class Plans:
    """The plans of all organizations. ``days`` is what the plan has that all begin with."""

    def __init__(self, database: Database, days: int) -> None:
        self._database = database
        self._days = days

    async def retention(self) -> Retention:
        """How long everybody's samples are kept, by PostgreSQL's clock at the latest.

        Read anew each time: a change counts from the next moment on.
        """
        async with self._database.as_worker() as connection:
            rows = await (await connection.execute(SQL["special"])).fetchall()
            clock = await (await connection.execute(SQL["clock"])).fetchone()
        assert clock is not None  # noqa: S101
        return Retention(self._days, {row["id"]: self.days_of(row) for row in rows}, milliseconds(clock["now"]))

    def days_of(self, organization: Mapping[str, Any]) -> int:
        """For how many days an organization with this ``plan`` and these ``retention_days`` keeps samples."""
        own = organization["retention_days"]
        return int(own) if own is not None else max(self._days, PLAN_DAYS.get(organization["plan"], 0))
