"""For how long servers and checks were in which state: kept as changes for 90 days, so that an answer reads few rows.

Invariant: a change is written down in the transaction that makes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from uuid import UUID

from twinwatch.hub.auth import Person
from twinwatch.hub.db import Database
from twinwatch.hub.refusals import not_found
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import DAY_MILLISECONDS
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.views_queries import StateSpans, Uptime
from twinwatch.world.clock import Clock

SQL = Statements("history")

HISTORY_MILLISECONDS = 90 * DAY_MILLISECONDS
UNJUDGED = frozenset({"unknown", "gone", "new"})
"""States in which nothing is known: they count neither for nor against."""

Change = tuple[int, str]
"""When it came about, ms UTC, and which state it is."""


class History:
    """The changes of state of every server and check."""

    def __init__(self, clock: Clock, database: Database) -> None:
        self._clock = clock
        self._database = database

    async def uptime(self, person: Person, server_id: UUID, since: int, to: int) -> Uptime:
        """What is known of ``[since, to)``; what has not been yet is left out.

        Raises: Refused 404 for a server not to be seen.
        """
        end = min(to, self._clock.now())
        asked = {"server": server_id, "since": instant(since), "to": instant(to)}
        async with self._database.as_person(person.user_id) as connection:
            server = await (await connection.execute(SQL["server"], asked)).fetchone()
            if server is None:
                raise not_found("server")
            levels = await (await connection.execute(SQL["server_changes"], asked)).fetchall()
            states = await (await connection.execute(SQL["check_changes"], asked)).fetchall()
        heard = server["last_heartbeat_at"] is not None
        begun = [(milliseconds(server["registered_at"]), "up" if heard else "new")]
        of_server = begun + [(milliseconds(row["changed_at"]), row["state"]) for row in levels]
        checks: dict[str, list[Change]] = defaultdict(list)
        for row in states:
            checks[row["name"]].append((milliseconds(row["changed_at"]), row["state"]))
        return Uptime(
            since=since,
            to=to,
            server=spans_of("", of_server, since, end),
            checks=[spans_of(name, changes, since, end) for name, changes in sorted(checks.items())],
        )

    async def prune(self, now: int) -> None:
        """Ends what is older than 90 days, but for the change that still held then."""
        before = {"before": instant(now - HISTORY_MILLISECONDS)}
        for name in ("prune_server_changes", "prune_check_changes"):
            async with self._database.as_worker() as connection:
                await connection.execute(SQL[name], before)


def spans_of(name: str, changes: Iterable[Change], since: int, end: int) -> StateSpans:
    """How long each state held within ``[since, end)``. Pure; a change holds until the next."""
    ordered = sorted(changes, key=lambda one: one[0])
    seconds: dict[str, float] = defaultdict(float)
    for (begun, state), (ended, _) in pairwise([*ordered, (end, "")]):
        held = min(ended, end) - max(begun, since)
        if held > 0:
            seconds[state] += held / 1000
    judged = sum(held for state, held in seconds.items() if state not in UNJUDGED)
    return StateSpans(
        name=name,
        seconds={state: round(held, 3) for state, held in seconds.items()},
        ratio=round(1 - seconds.get("down", 0.0) / judged, 6) if judged else None,
        downs=_downs(ordered, since, end),
    )


def _downs(ordered: Sequence[Change], since: int, end: int) -> int:
    return sum(state == "down" and since <= at < end for at, state in ordered)
