"""Durations as people write them: ``15s``, ``5m``, ``1h30m``, ``250ms``."""

from __future__ import annotations

import re

DURATION_CHARACTERS = 64
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(float):
    """Seconds; in options and files written as ``30s`` or ``5m``."""

    __slots__ = ()


def duration(text: str) -> Duration:
    """Seconds of ``15s``, ``5m``, ``1h``, ``250ms`` or several such parts in a row (``1h30m``).

    Raises: ValueError.
    """
    parts = _PART.findall(text) if len(text) <= DURATION_CHARACTERS else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text[:DURATION_CHARACTERS]!r}: expected a duration such as 15s, 5m or 1h")
    return Duration(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def spelled(seconds: float) -> str:
    """The shortest text that ``duration`` reads as this, to the millisecond: ``90s`` is ``1m30s``."""
    left = round(seconds * 1000)
    text = ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
