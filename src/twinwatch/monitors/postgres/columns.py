"""Values of answers, made lawful. Pure.

What a server answers is not to be trusted more than any other source: names may be anything that a user of that server
made up, figures may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, TypeAlias

from twinwatch.monitors import Check, Finding, Reading
from twinwatch.monitors.digits import rate
from twinwatch.monitors.rates import Rates
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.limits import LABEL_VALUE_CHARACTERS, MESSAGE_CHARACTERS

Row: TypeAlias = Mapping[str, Any]

MOST = float(1 << 53)
NAMED = 3
"""So many of several are named in a message."""


class Gathered:
    """Findings of one run of a part. A series that was given a value keeps its first."""

    def __init__(self) -> None:
        self._readings: dict[tuple[str, ...], Reading] = {}
        self._checks: dict[str, Check] = {}

    def reading(self, metric: str, value: float | None, **labels: str) -> None:
        """Adds a value; None adds nothing. In names of labels, ``__`` stands for a dot."""
        if value is not None:
            named = {name.replace("__", "."): label for name, label in labels.items()}
            self._readings.setdefault((metric, *named.values()), Reading(metric, value, named))

    def check(self, name: str, state: CheckState, message: str = "", reason: str = "") -> None:
        """Adds a check."""
        self._checks.setdefault(name, Check(name, state, printable(message)[:MESSAGE_CHARACTERS], reason))

    def left_out(self, what: str, rows: Sequence[Row]) -> None:
        """Says how many of them there are beyond these rows, by their column ``total``."""
        total = max((number(row, "total") or 0 for row in rows), default=0)
        self.reading("postgresql.left_out", int(max(total - len(rows), 0)), postgresql__part=what)

    @property
    def findings(self) -> list[Finding]:
        """All of them."""
        return [*self._readings.values(), *self._checks.values()]


class Counters:
    """Counters of several columns, turned into rates per second."""

    def __init__(self) -> None:
        self._rates = Rates()

    def begin(self, monotonic_seconds: float) -> None:
        """Starts a run, once the answer is there."""
        self._rates.begin(monotonic_seconds)

    def grown(self, key: object, row: Row, *columns: str) -> tuple[float, ...] | None:
        """What each column grew by since the last run; None if that cannot be said of all of them."""
        counters = [number(row, column) for column in columns]
        known = tuple(int(counter) for counter in counters if counter is not None)
        return self._rates.growth((key, *columns), known) if len(known) == len(columns) else None

    def rate(self, key: object, row: Row, column: str, scale: float = 1.0) -> float | None:
        """What the column grew by per second, times ``scale``."""
        grown = self.grown(key, row, column)
        return rate(grown[0] * scale / self._rates.seconds) if grown else None


def number(row: Row, column: str) -> float | None:
    """The column as a number that is not negative; None where there is none."""
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return min(max(float(value), 0.0), MOST)


def whole(row: Row, column: str) -> int | None:
    """The same as a whole number."""
    value = number(row, column)
    return None if value is None else int(value)


def seconds(row: Row, column: str) -> float | None:
    """The same in milliseconds' steps."""
    value = number(row, column)
    return None if value is None else round(value, 3)


def text(row: Row, column: str) -> str:
    """The column as a text that can be a label; empty where it cannot."""
    value = row.get(column)
    fits = isinstance(value, str) and 0 < len(value) <= LABEL_VALUE_CHARACTERS and value.isprintable()
    return str(value) if fits else ""


def truth(row: Row, column: str) -> bool:
    """Whether the column says yes."""
    return row.get(column) is True


def quoted(identifier: str) -> str:
    """An identifier as SQL wants it."""
    return '"' + identifier.replace('"', '""') + '"'


def named(names: Sequence[str]) -> str:
    """The first of them, and how many more: ``a, b, c and 2 more``."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(name[:80] for name in names[:NAMED]) + more


def lasted(value: float) -> str:
    """A time for people: ``45 s``, ``12 min``, ``3 h``, ``2 d``."""
    for least, size, unit in ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min")):
        if value >= least:
            return f"{value / size:.0f} {unit}"
    return f"{value:.0f} s"


def sized(value: float) -> str:
    """Bytes for people: ``5.0 GB``."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value / 1e3:.0f} kB"


def who(row: Row, prefix: str = "") -> str:
    """A session for people: ``pid 12 (shop@orders, web)``."""
    pid, user, database = whole(row, f"{prefix}pid"), text(row, f"{prefix}user"), text(row, f"{prefix}database")
    about = [f"{user}@{database}" if database else user, text(row, f"{prefix}application")]
    said = ", ".join(one[:60] for one in about if one)
    return f"pid {pid or 0}{f' ({said})' if said else ''}"


def printable(words: str) -> str:
    """The text with a blank in place of whatever does not print."""
    if words.isprintable():
        return words
    return "".join(letter if letter.isprintable() else " " for letter in words)
