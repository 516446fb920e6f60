"""Rows as text in columns, for the commands that print what the agent knows."""

from __future__ import annotations

from collections.abc import Sequence


def in_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the columns two spaces apart, the last one as long as it likes; without rows none, no head either."""
    if not rows:
        return []
    whole = [head, *rows]
    widths = [max(len(row[place]) for row in whole) for place in range(len(head) - 1)]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in whole
    ]


def span(seconds: float) -> str:
    """``3 d 4 h``, ``2 h 5 min``, ``40 s``: two units at most."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or (size == 1 and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def size(count: float) -> str:
    """``12.3 MB``: powers of 1024, as the settings have them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024 or unit == "GB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
