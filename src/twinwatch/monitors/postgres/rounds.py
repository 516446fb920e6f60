"""Which part runs when, for how long, and what becomes of those that cannot.

Invariants: a run ends within ``RUN_SECONDS`` and what the door needs to part; who had no turn is first in the next run;
a part that failed for want of a right, a view or time is left alone for a while and says so; checks of a part that was
not judged are ``unknown``, never gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from twinwatch.monitors import Check, Finding, Moment, Unreadable
from twinwatch.monitors.postgres.columns import Row, lasted, printable
from twinwatch.monitors.postgres.part import MINUTE, Part, Server
from twinwatch.protocol.limits import MESSAGE_CHARACTERS
from twinwatch.world.doors import World
from twinwatch.world.postgres import PostgresAway, PostgresRefused
from twinwatch.world.secret import Secret

RUN_SECONDS = 11.0
ASK_SECONDS = 3.0
"""The server itself ends a statement after two."""
LEAST_SECONDS = 0.2
RIGHTS_AGAIN = 3600.0
SLOW_AGAIN = 900.0
ERROR_AGAIN = 300.0
EARLY_SECONDS = 5.0
"""A run that comes so much before a part's time counts as its time: intervals are never exact."""

NO_RIGHT = "42501"
TOO_SLOW = "57014"
LOCKED = "55P03"
LACKING = ("42", "0A", "55", "3F")
"""Classes of what time alone does not mend: no right, no such view or function, not loaded."""


class Asking:
    """The statements of one run, within its time."""

    def __init__(self, world: World, connection: Secret) -> None:
        self.world = world
        self._connection = connection
        self._ends = world.clock.monotonic() + RUN_SECONDS

    @property
    def left_seconds(self) -> float:
        """What is left of the run's time."""
        return self._ends - self.world.clock.monotonic()

    async def __call__(self, name: str, statement: str, most_seconds: float = ASK_SECONDS) -> Sequence[Row]:
        """The rows of a statement.

        Raises: PostgresAway; PostgresRefused.
        """
        within = max(min(most_seconds, self.left_seconds), LEAST_SECONDS)
        return await self.world.postgres.query(self._connection, name, statement, timeout_seconds=within)


@dataclass
class Turn:
    """One part, and how it stands."""

    part: Part
    due: float = float("-inf")
    barred_until: float = float("-inf")
    found: list[Finding] = field(default_factory=list)
    """What is said of it: found in its last run, or why it is not judged."""

    def forget(self) -> None:
        """It no longer fits: nothing is said of it."""
        self.due = self.barred_until = float("-inf")
        self.found = []

    def not_judged(self, message: str, reason: str) -> None:
        """Its checks are unknown; a part without any gets one."""
        names = self.part.checks or (f"part:{self.part.name}",)
        told = {one.name for one in self.found if isinstance(one, Check)}
        self.found = [
            Check(name, "unknown", printable(message)[:MESSAGE_CHARACTERS], reason) for name in {*names, *told}
        ]


class Rounds:
    """The parts of one monitor."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._turns = [Turn(part) for part in parts]
        self._last = Server()

    async def run(self, ask: Asking, server: Server, moment: Moment, look: Callable[[], Awaitable[Server]]) -> None:
        """Everyone whose turn it is. ``look`` tells a session that broke from a server that is gone.

        Raises: PostgresAway; PostgresRefused; Unreadable, as ``look`` does.
        """
        self._renew(server)
        now = moment.monotonic_seconds
        due = [turn for turn in self._turns if turn.part.fits(server) and turn.due <= now and turn.barred_until <= now]
        for turn in sorted(due, key=lambda turn: turn.due):
            if ask.left_seconds < LEAST_SECONDS:
                self._late([one for one in due if one.due <= now])
                break
            turn.due = now + max(turn.part.pace - EARLY_SECONDS, 0.0) + 1e-6
            if turn.part.needs_rights and not server.sees_all:
                remedy = turn.part.remedy.format(role=server.role or "the role")
                turn.not_judged(f"Not shown to this role: {remedy}", "no-right")
                continue
            try:
                turn.found = await turn.part.read(ask, server, moment)
            except PostgresRefused as err:
                self._refused(turn, err, server, now)
            except Unreadable as err:
                turn.due = now + MINUTE
                turn.not_judged(str(err), "unreadable")
            except PostgresAway as err:
                await look()
                turn.barred_until = now + SLOW_AGAIN
                turn.not_judged(f"The connection broke: {err} (tried again in {lasted(SLOW_AGAIN)})", "broke")

    def nobody_judged(self, message: str, reason: str) -> None:
        """The server is not there: every check that was known is unknown."""
        for turn in self._turns:
            turn.due = float("-inf")
            if any(isinstance(one, Check) for one in turn.found):
                turn.not_judged(message, reason)
            else:
                turn.found = []

    @property
    def found(self) -> list[Finding]:
        """What all parts have to say."""
        return [one for turn in self._turns for one in turn.found]

    def _renew(self, server: Server) -> None:
        """A server that was started anew, a role with new rights, another extension: all bars are lifted."""
        last, self._last = self._last, server
        restarted = (server.up_seconds or 0.0) < (last.up_seconds or 0.0)
        changed = (last.version, last.sees_all, last.role, last.statements_schema, last.buffers_schema) != (
            server.version,
            server.sees_all,
            server.role,
            server.statements_schema,
            server.buffers_schema,
        )
        for turn in self._turns:
            if not turn.part.fits(server):
                turn.forget()
            elif restarted or changed:
                turn.due = turn.barred_until = float("-inf")

    def _late(self, turns: Sequence[Turn]) -> None:
        for turn in turns:
            if not turn.part.pace:
                turn.not_judged("The server answers so slowly that there was no time left to ask", "no-time")

    def _refused(self, turn: Turn, err: PostgresRefused, server: Server, now: float) -> None:
        if err.sqlstate == LOCKED:
            turn.not_judged(f"{err}: a table is locked; asked again in the next run", "locked")
            return
        if err.sqlstate == TOO_SLOW:
            again, reason, remedy = SLOW_AGAIN, "too-slow", ""
        elif err.sqlstate == NO_RIGHT:
            again, reason = RIGHTS_AGAIN, "no-right"
            remedy = f"; {turn.part.remedy.format(role=server.role or 'the role')}"
        else:
            lacking = err.sqlstate.startswith(LACKING)
            again, reason, remedy = (RIGHTS_AGAIN, "not-there", "") if lacking else (ERROR_AGAIN, "refused", "")
        turn.barred_until = now + again
        turn.not_judged(f"{err}{remedy} (tried again in {lasted(again)})", reason)
