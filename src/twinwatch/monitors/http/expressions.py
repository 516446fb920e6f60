"""Conditions on a JSON body or on headers, as a person writes them. Pure.

A condition is ``left [length] operator value``, or ``left exists`` or ``left absent``::

    $.status == "ok"
    $.checks[0].latency_ms < 250
    $.items length >= 1
    $["odd key"].version contains 2.
    etag exists

``left`` is for JSON a path (``$``, ``.key``, ``["key"]``, ``[0]``, ``[-1]``), for headers a name. Operators: ``==``,
``!=``, ``<``, ``>``, ``<=``, ``>=``, ``contains``. The value is JSON, or a bare text. A header is compared as a number
where both sides are numbers. A path that leads nowhere fulfils ``absent`` and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Steps = tuple[str | int, ...]

_STEP = re.compile(r"""\.([\w-]+)|\[(-?\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\]""")
_PATH = re.compile(r"""\$(?:\.[\w-]+|\[-?\d{1,9}\]|\["(?:[^"\\]|\\.)*"\])*""")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REST = re.compile(r"\s+(length\s+)?(?:(==|!=|<=|>=|<|>|contains)\s*(\S.*)|(exists|absent))\s*", re.DOTALL)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}
SHOWN = 60
NOTHING = object()
"""What a path that leads nowhere leads to: JSON has a null of its own."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One, understood. ``steps`` lead into a JSON body; of a header it is the name in lower case."""

    text: str
    steps: Steps
    length: bool
    operator: str
    value: Any = None

    def failure(self, found: Any) -> str:
        """Why this value does not fulfil it: what was seen; empty if it does."""
        if self.operator in ("exists", "absent"):
            there = found is not NOTHING
            return "" if there == (self.operator == "exists") else ("it is there" if there else "it is not there")
        if found is NOTHING:
            return "it is not there"
        if self.length:
            if not isinstance(found, str | list | dict):
                return f"seen {shown(found)}, which has no length"
            found = len(found)
        return "" if _holds(found, self.operator, self.value) else f"seen {shown(found)}"


def json_condition(text: str) -> Condition:
    """A condition whose left side is a path.

    Raises: ValueError that says what is expected.
    """
    path = _PATH.match(text.strip())
    if path is None:
        raise ValueError(f'{text!r}: expected a path that begins with $, such as $.status == "ok"')
    steps: list[str | int] = []
    for key, index, quoted in _STEP.findall(path[0]):
        try:
            steps.append(int(index) if index else key or msgspec.json.decode(quoted, type=str))
        except msgspec.MsgspecError as err:
            raise ValueError(f"{text!r}: {quoted} is no JSON text") from err
    return _condition(text, path[0], tuple(steps))


def header_condition(text: str) -> Condition:
    """A condition whose left side is the name of a header.

    Raises: ValueError that says what is expected.
    """
    name = _HEADER.match(text.strip())
    if name is None:
        raise ValueError(f"{text!r}: expected a header's name, such as content-type contains json")
    return _condition(text, name[0], (name[0].lower(),))


def _condition(text: str, left: str, steps: Steps) -> Condition:
    rest = _REST.fullmatch(text.strip()[len(left) :])
    if rest is None:
        raise ValueError(
            f"{text!r}: expected after {left} one of == != < > <= >= contains and a value, or exists, or absent"
        )
    length, operator, value, presence = rest.groups()
    if presence:
        return Condition(text.strip(), steps, False, presence)
    try:
        wanted = msgspec.json.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        wanted = value.strip()
    return Condition(text.strip(), steps, bool(length), operator, wanted)


def at(document: Any, steps: Steps) -> Any:
    """What the path leads to, or ``NOTHING``."""
    for step in steps:
        if isinstance(step, int):
            if not isinstance(document, list) or not -len(document) <= step < len(document):
                return NOTHING
            document = document[step]
        elif not isinstance(document, dict) or step not in document:
            return NOTHING
        else:
            document = document[step]
    return document


def header_of(headers: Mapping[str, str], condition: Condition) -> Any:
    """The header that the condition is about: a number where it is compared with one and is one."""
    value = headers.get(str(condition.steps[0]))
    if value is None:
        return NOTHING
    if isinstance(condition.value, int | float) and not condition.length and condition.operator != "contains":
        try:
            return msgspec.json.decode(value.strip(), type=float)
        except msgspec.MsgspecError:
            return value
    return value


def shown(value: Any) -> str:
    """A value as JSON, cut."""
    try:
        text = msgspec.json.encode(value).decode("utf-8", "replace")
    except (RecursionError, TypeError, ValueError):
        text = "something that JSON cannot show"
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _holds(found: Any, operator: str, wanted: Any) -> bool:
    if operator == "contains":
        if isinstance(found, str):
            return (wanted if isinstance(wanted, str) else shown(wanted)) in found
        return isinstance(found, list | dict) and any(_equal(one, wanted) for one in found)
    if operator in ("==", "!="):
        return _equal(found, wanted) == (operator == "==")
    return _comparable(found, wanted) and _ORDER[operator](found, wanted)


def _equal(found: Any, wanted: Any) -> bool:
    """As JSON has it: 1 is 1.0, but true is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    try:
        return bool(found == wanted)
    except RecursionError:
        return False


def _comparable(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return False
    numbers = isinstance(found, int | float) and isinstance(wanted, int | float)
    return numbers or (isinstance(found, str) and isinstance(wanted, str))
