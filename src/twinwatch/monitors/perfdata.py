"""What a Nagios plug-in writes: a line for people, then after a ``|`` performance data. Pure.

Source: https://nagios-plugins.org/doc/guidelines.html, sections "Plugin Output for Nagios" and "Performance data":
``'label'=value[UOM];[warn];[crit];[min];[max]``, separated by blanks; a label with blanks or ``=`` is in quotes, a
quote in it is doubled. UOM: none, s, us, ms, %, B, KB, MB, GB, TB, c (a counter).
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Literal, NamedTuple

Kind = Literal["value", "seconds", "bytes", "percent", "counter"]

LABELS = 100
"""Most values of one program."""
LABEL_CHARACTERS = 128
_ITEM = re.compile(r"\s*(?:'((?:[^']|'')*)'|([^\s'=]+))=([^\s;]*)(?:;\S*)?")
_VALUE = re.compile(r"([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d{1,3})?)([a-zA-Z%]*)")
_UNITS: dict[str, tuple[Kind, float]] = {
    "": ("value", 1.0),
    "s": ("seconds", 1.0),
    "ms": ("seconds", 1e-3),
    "us": ("seconds", 1e-6),
    "ns": ("seconds", 1e-9),
    "%": ("percent", 1.0),
    "b": ("bytes", 1.0),
    "kb": ("bytes", 1024.0),
    "mb": ("bytes", 1024.0**2),
    "gb": ("bytes", 1024.0**3),
    "tb": ("bytes", 1024.0**4),
    "kib": ("bytes", 1024.0),
    "mib": ("bytes", 1024.0**2),
    "gib": ("bytes", 1024.0**3),
    "tib": ("bytes", 1024.0**4),
    "c": ("counter", 1.0),
}


class Performance(NamedTuple):
    """One value that a plug-in measured, in seconds, bytes, percent, counted from its start, or in its own unit."""

    label: str
    kind: Kind
    value: float


def read(output: str) -> tuple[str, list[Performance]]:
    """The first line without its performance data, and the performance data of all lines, each label once.

    What is no lawful performance data is passed over: plug-ins are written by everybody. Bounds: ``LABELS``.
    """
    first, _, rest = output.partition("\n")
    message, _, data = first.partition("|")
    # Further lines are text for people up to the next "|", and performance data from there on.
    data += " " + rest.partition("|")[2].replace("\n", " ")
    found: dict[str, Performance] = {}
    for quoted, plain, text in _ITEM.findall(data):
        label = " ".join((quoted.replace("''", "'") or plain).split())[:LABEL_CHARACTERS]
        value = _VALUE.fullmatch(text)
        if not label.isprintable() or not label or value is None or label in found or len(found) >= LABELS:
            continue
        kind, factor = _UNITS.get(value[2].lower(), ("value", 1.0))
        number = float(value[1].replace(",", ".")) * factor
        if isfinite(number) and abs(number) < 1 << 62:
            found[label] = Performance(label, kind, number)
    return message.strip(), list(found.values())
