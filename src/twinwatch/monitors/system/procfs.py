"""The grammar that the files of /proc share: complete lines, words, numbers that are not negative.

Invariant: text that is not lawful raises ``Unreadable`` with the path and the place, and nothing else.
Source: proc(5).
"""

from __future__ import annotations

from collections.abc import Iterable

from twinwatch.monitors import Unreadable

LARGEST = 1 << 64
LARGEST_EXACT = 1 << 53
"""Beyond it a float64, which is what samples are, holds no integer exactly."""

NAME_CHARACTERS = 64
"""The kernel's own bounds are lower: 15 for a network interface, 31 for a disk, 127 for a mapped device."""


def lines(text: str) -> list[str]:
    """The complete lines. The kernel ends each with a newline; a last one without it was cut and is left out."""
    found = text.split("\n")
    found.pop()
    return found


def counters(path: str, words: Iterable[str]) -> tuple[int, ...]:
    """Words as integers of 0 to 2⁶⁴-1.

    Raises: Unreadable.
    """
    try:
        numbers = tuple(map(int, words))
    except ValueError as err:
        raise Unreadable(f"{path}: {str(err)[:120]}") from err
    if numbers and (min(numbers) < 0 or max(numbers) >= LARGEST):
        raise Unreadable(f"{path}: {min(numbers)} to {max(numbers)}: expected 0 to 2^64-1"[:200])
    return numbers


def decimal(path: str, word: str) -> float:
    """A word as a finite number that is not negative, below 2⁵³.

    Raises: Unreadable.
    """
    try:
        number = float(word)
    except ValueError as err:
        raise Unreadable(f"{path}: {word[:40]!r}: expected a number") from err
    if not 0 <= number < LARGEST_EXACT:  # holds for neither infinity nor NaN
        raise Unreadable(f"{path}: {word[:40]!r}: expected a number of 0 to 2^53-1")
    return number


def field(path: str, text: str, name: str) -> int | None:
    """The number after ``name`` at the start of a line; None if there is no such line.

    Found without cutting the whole text into lines: /proc/vmstat has two hundred, of which four are wanted.
    Raises: Unreadable.
    """
    start = 0 if text.startswith(name + " ") else text.find(f"\n{name} ") + 1
    if start == 0 and not text.startswith(name + " "):
        return None
    end = text.find("\n", start)
    return None if end < 0 else counters(path, (text[start + len(name) + 1 : end],))[0]


def device_name(path: str, word: str) -> str:
    """A word that can be the name of a device, and so a label.

    Raises: Unreadable.
    """
    if not word or len(word) > NAME_CHARACTERS or not word.isprintable():
        raise Unreadable(f"{path}: {word[:40]!r}: expected a device's name")
    return word
