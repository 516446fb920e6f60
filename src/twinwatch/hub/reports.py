"""How agents say that their monitors and checks stand: kept as the newest whole truth of each server."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import msgspec
import psycopg

from twinwatch.hub.agents import Speaker
from twinwatch.hub.auth import Person
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.lawful import check_report
from twinwatch.hub.refusals import DELETED, not_found, unauthorized
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.views import Check, Checks, MonitorStanding
from twinwatch.protocol.checks import Report
from twinwatch.world.clock import Clock

SQL = Statements("reports")


class Reports:
    """The newest report of each server."""

    def __init__(self, clock: Clock, database: Database) -> None:
        self._clock = clock
        self._database = database

    async def take(self, speaker: Speaker, report: Report) -> bool:
        """Keeps the report in place of the one before; whether it says anything new.

        Raises: Refused 422 beyond a bound; Refused 401 if the server is gone.
        """
        check_report(report)
        who = {"organization": speaker.organization_id, "server": speaker.server_id}
        counts = Counter(check.state for check in report.checks)
        kept = {
            **who,
            "digest": report.digest or report.fingerprint(),
            "monitors": _json(report.monitors),
            "configuration": _json(report.configuration),
            "counts": _json(counts),
            "now": instant(self._clock.now()),
        }
        checks = {
            **who,
            "names": [check.name for check in report.checks],
            "monitors": [check.monitor for check in report.checks],
            "states": [check.state for check in report.checks],
            "reasons": [check.reason for check in report.checks],
            "messages": [check.message for check in report.checks],
            "sinces": [instant(check.since) for check in report.checks],
        }
        try:
            async with self._database.as_worker() as connection:
                # The report's row first: it is locked until the commit, so that two reports cannot mix their checks.
                row = await (await connection.execute(SQL["keep"], kept)).fetchone()
                await connection.execute(SQL["note_changes"], {**checks, "now": kept["now"]})
                await connection.execute(SQL["keep_checks"], checks)
        except psycopg.errors.ForeignKeyViolation:
            raise unauthorized(DELETED) from None
        return bool(row and row["changed"])

    async def checks(self, person: Person, server_id: UUID) -> Checks:
        """Checks and monitors of a server.

        Raises: Refused 404 if there is none that the person may see.
        """
        async with self._database.as_person(person.user_id) as connection:
            found = await self._found(connection, server_id)
        if found is None:
            raise not_found("server")
        return found[1]

    async def seen_by_worker(self, server_id: UUID) -> tuple[UUID, Checks] | None:
        """The organization, and what its members see, for a live stream that has checked who they are."""
        async with self._database.as_worker() as connection:
            return await self._found(connection, server_id)

    async def _found(self, connection: Connection, server_id: UUID) -> tuple[UUID, Checks] | None:
        row = await (await connection.execute(SQL["read"], {"server": server_id})).fetchone()
        if row is None:
            return None
        return row["organization_id"], Checks(
            server_id=server_id,
            hub_time=self._clock.now(),
            reported_at=None if row["updated_at"] is None else milliseconds(row["updated_at"]),
            checks=[Check.model_validate(one) for one in row["checks"]],
            monitors=[MonitorStanding.model_validate(one) for one in row["monitors"] or []],
        )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
