"""For how long servers and checks were in which state: kept as changes for 90 days, so that an answer reads few rows.

Invariants: a change is written down in the transaction that makes it. What a check is while its server is silent
nobody reports: it is unknown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
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
SILENT = frozenset({"late", "down"})
"""States of a server that is not heard, from its last heartbeat to its next."""

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
        silence = Silence(of_server)
        return Uptime(
            since=since,
            to=to,
            server=spans_of("", of_server, since, end),
            checks=[spans_of(name, changes, since, end, silence) for name, changes in sorted(checks.items())],
        )

    async def prune(self, now: int) -> None:
        """Ends what is older than 90 days, but for the change that still held then."""
        before = {"before": instant(now - HISTORY_MILLISECONDS)}
        for name in ("prune_server_changes", "prune_check_changes"):
            async with self._database.as_worker() as connection:
                await connection.execute(SQL[name], before)


class Silence:
    """When a server was not heard."""

    def __init__(self, changes: Iterable[Change]) -> None:
        """``changes`` are the server's; each holds until the next."""
        ordered = sorted(changes, key=lambda one: one[0])
        self._times = [at for at, _ in ordered]
        self._is_silent = [state in SILENT for _, state in ordered]
        spans = pairwise(self._times)
        held = [ended - begun if silent else 0 for (begun, ended), silent in zip(spans, self._is_silent, strict=False)]
        self._before = list(accumulate(held, initial=0))
        """Of each change, for how long the server had not been heard until then."""

    def within(self, begun: int, ended: int) -> int:
        """For how many ms of ``[begun, ended)``."""
        return self._until(ended) - self._until(begun)

    def _until(self, time: int) -> int:
        place = bisect_right(self._times, time) - 1
        if place < 0:
            return 0
        return self._before[place] + (time - self._times[place] if self._is_silent[place] else 0)


def spans_of(name: str, changes: Iterable[Change], since: int, end: int, silence: Silence | None = None) -> StateSpans:
    """How long each state held within ``[since, end)``. Pure; a change holds until the next, and is not known of in a
    ``silence``."""
    ordered = sorted(changes, key=lambda one: one[0])
    seconds: dict[str, float] = defaultdict(float)
    for (begun, state), (ended, _) in pairwise([*ordered, (end, "")]):
        first, last = max(begun, since), min(ended, end)
        if last <= first:
            continue
        unheard = 0 if silence is None or state in UNJUDGED else silence.within(first, last)
        for of_state, held in ((state, last - first - unheard), ("unknown", unheard)):
            if held:
                seconds[of_state] += held / 1000
    judged = sum(held for state, held in seconds.items() if state not in UNJUDGED)
    return StateSpans(
        name=name,
        seconds={state: round(held, 3) for state, held in seconds.items()},
        ratio=round(1 - seconds.get("down", 0.0) / judged, 6) if judged else None,
        downs=_downs(ordered, since, end),
    )


def _downs(ordered: Sequence[Change], since: int, end: int) -> int:
    return sum(state == "down" and since <= at < end for at, state in ordered)
