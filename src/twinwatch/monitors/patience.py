"""How many failures make *down*, and how many successes *up* again. Pure; shared by the monitors that try things.

Invariants: a run that could not be judged changes nothing; with the defaults one failure is down and one success up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from twinwatch.monitors import Check
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.limits import MESSAGE_CHARACTERS

Failures = Annotated[
    int,
    Meta(ge=1, le=100, title="Failures before down", description="So many failed runs make it down; fewer, degraded."),
]
Window = Annotated[
    int,
    Meta(
        ge=0,
        le=100,
        title="Failures within",
        description="The failures need not be in a row if they are among so many last runs; 0: in a row.",
    ),
]
Successes = Annotated[
    int,
    Meta(ge=1, le=100, title="Successes before up", description="So many good runs in a row end it being down."),
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run came to. ``down`` is a failure; ``unknown`` means that nothing was learned."""

    state: CheckState
    reason: str = ""
    message: str = ""


@dataclass
class Patience:
    """Remembers the last runs of one check."""

    failures: int = 1
    window: int = 0
    successes: int = 1
    _last: deque[bool] = field(init=False)
    _down: bool = field(init=False, default=False)
    _good: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.window = max(self.window, self.failures)
        self._last = deque(maxlen=self.window)
        self._in_a_row = self.window == self.failures

    def check(self, name: str, verdict: Verdict) -> Check:
        """The check after this run."""
        state, reason, message = verdict.state, verdict.reason, verdict.message
        if state == "down":
            self._good = 0
            self._last.append(True)
            failed = sum(self._last)
            if not self._down and failed < self.failures:
                state, message = "degraded", f"{message} (failure {failed} of {self.failures} before it counts as down)"
            else:
                self._down = True
        elif state != "unknown":
            self._good += 1
            if self._in_a_row and not self._down:
                self._last.clear()
            else:
                self._last.append(False)
            if self._down and self._good < self.successes:
                state, reason = "down", "recovering"
                message = f"answers again (success {self._good} of {self.successes} before it counts as up)"
            elif self._down:
                self._down = False
                self._last.clear()
        return Check(name, state, printable(message)[:MESSAGE_CHARACTERS], reason)


def printable(text: str) -> str:
    """The text with a blank in place of whatever does not print."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
