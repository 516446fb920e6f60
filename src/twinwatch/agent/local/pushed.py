"""What programs on this machine push, whatever the format it came in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from twinwatch.monitors.distributions import Distribution, Exponential
from twinwatch.protocol import limits

POINTS = 10_000
"""Most samples of one push."""
PAST_MILLISECONDS = 24 * 60 * 60 * 1000
RESERVED = "twinwatch."
UNIT_CHARACTERS = 32
HELP_CHARACTERS = 300

Way = Literal["gauge", "counter", "delta"]
"""A value as it is, one that only rises until its program starts anew, or what it rose by in ``seconds``."""

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_.:/-]*")
_UNIT = re.compile(r"[!-~]*")


class Pushed(NamedTuple):
    """One value of one series, or one histogram. ``time`` is ms UTC; None: when it arrived."""

    name: str
    way: Way
    value: float | Distribution | Exponential
    labels: dict[str, str]
    unit: str = ""
    help: str = ""
    time: int | None = None
    seconds: float = 0.0
    """Of a delta: how long it was in the making; 0: since the one before. Of a counter: how long its program has been
    counting; 0: unknown."""


class Intake(NamedTuple):
    """What one request pushed: what could be read of it, and a sentence for each point that could not."""

    pushed: Sequence[Pushed]
    unread: Sequence[str] = ()


def fault_of(name: str, labels: dict[str, str], unit: str = "") -> str:
    """Why a series of this name and these labels is not taken; empty if it is."""
    if not 0 < len(name) <= limits.METRIC_NAME_CHARACTERS:
        return f"the name {name[:40]!r} has {len(name)} characters; expected 1 to {limits.METRIC_NAME_CHARACTERS}"
    if not _NAME.fullmatch(name):
        return f"the name {name!r}: expected a letter, then letters, digits and . _ : / - such as orders.open"
    if name.startswith(RESERVED):
        return f"the name {name!r}: names that begin with {RESERVED!r} are the agent's own"
    if len(unit) > UNIT_CHARACTERS or not _UNIT.fullmatch(unit):
        return f"{name}: unit {unit[:40]!r}: expected at most {UNIT_CHARACTERS} characters, such as s, By or {{order}}"
    if len(labels) > limits.LABELS_PER_SERIES:
        return f"{name}: {len(labels)} labels; at most {limits.LABELS_PER_SERIES}"
    for label, value in labels.items():
        if not 0 < len(label) <= limits.LABEL_NAME_CHARACTERS or not label.isprintable():
            return f"{name}: label {label[:64]!r}: expected 1 to {limits.LABEL_NAME_CHARACTERS} printable characters"
        if label.startswith(RESERVED):
            return f"{name}: label {label!r}: names that begin with {RESERVED!r} are the agent's own"
        if len(value) > limits.LABEL_VALUE_CHARACTERS:
            return f"{name}: label {label!r} has {len(value)} characters; at most {limits.LABEL_VALUE_CHARACTERS}"
        if not value.isprintable():
            return f"{name}: label {label!r}: {value[:40]!r} holds characters that cannot be printed"
    return ""
