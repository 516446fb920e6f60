"""Which regular expressions and which expected statuses are taken. Pure."""

from __future__ import annotations

import re

SEARCHED = 16 << 10
"""So many characters of a body are searched by a pattern that repeats something without bound: its time may grow with
the square of them, or worse, and nothing else runs meanwhile."""
PATTERN_CHARACTERS = 500

_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\*|\+|\{\d*,\d*\}|[()|]|.", re.DOTALL)


def pattern_of(text: str) -> re.Pattern[str]:
    """The compiled pattern.

    Raises: ValueError if it is none, or its time may double with every letter: something repeated within what is
    itself repeated, as in ``(a+)+``. A pattern may come from the hub, and the text from anybody.
    """
    if len(text) > PATTERN_CHARACTERS:
        raise ValueError(f"regex: longer than {PATTERN_CHARACTERS} characters")
    if _repeats_repetition(text):
        raise ValueError(f"regex {text!r}: a repetition within a repetition, as in (a+)+, may take for ever")
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as err:
        raise ValueError(f"regex {text!r}: {err}") from err


def searched(pattern: re.Pattern[str], text: str) -> str:
    """So much of the text as this pattern is let loose on."""
    unbound = any(sign in ("*", "+") or sign.endswith(",}") for sign in _signs(pattern.pattern))
    return text[:SEARCHED] if unbound else text


def _signs(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _repeats_repetition(text: str) -> bool:
    """Whether a group that is repeated holds a repetition or alternatives."""
    risky = [False]
    closed_risky = False
    for sign in _signs(text):
        if sign == "(":
            risky.append(False)
        elif sign == ")" and len(risky) > 1:
            closed_risky = risky.pop()
            risky[-1] = risky[-1] or closed_risky
            continue
        elif sign in ("*", "+") or (sign[0] == "{" and len(sign) > 1):
            if closed_risky:
                return True
            risky[-1] = True
        elif sign == "|":
            risky[-1] = True
        closed_risky = False
    return False


def statuses_of(expected: int | str | tuple[int | str, ...]) -> tuple[tuple[int, int], ...]:
    """Ranges of status codes: of ``200``, ``"2xx"``, ``"200-299"`` or several of them.

    Raises: ValueError.
    """
    each = expected if isinstance(expected, tuple) else (expected,)
    found = []
    for one in (part.strip() for entry in each for part in str(entry).split(",")):
        if match := re.fullmatch(r"([1-5])[xX]{2}", one):
            found.append((int(match[1]) * 100, int(match[1]) * 100 + 99))
        elif match := re.fullmatch(r"([1-9][0-9]{2})(?:-([1-9][0-9]{2}))?", one):
            found.append((int(match[1]), int(match[2] or match[1])))
        else:
            raise ValueError(f"expected_status {one!r}: expected a status such as 200, a class 2xx or a range 200-299")
    if not found or any(low > high for low, high in found):
        raise ValueError("expected_status: expected at least one status, and ranges from low to high")
    return tuple(found)
