"""Options judged: all that is wrong with them, each at its own place, where msgspec tells of the first only.

What is found wrong is taken out and the rest judged again, until nothing more is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from twinwatch.agent.configuration.document import scalar_of
from twinwatch.agent.configuration.problems import Path, Problems, Where, instead, spelled_path, veiled
from twinwatch.agent.configuration.shapes import MASK, Shape
from twinwatch.monitors import Monitor
from twinwatch.monitors.options import options_of
from twinwatch.notify import Channel

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
TRIES = 50


@dataclass(slots=True)
class _Working:
    """A copy of the options to take things out of. ``numbers`` has each list's original positions."""

    value: dict[str, Any]
    numbers: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> _Working:
        working = cls({})
        working.value = working._copied(given)
        return working

    def original(self, path: Path) -> Path:
        """The path that this one was before things were taken out."""
        found: list[str | int] = []
        node: Any = self.value
        for step in path:
            if isinstance(node, list) and isinstance(step, int) and step < len(node):
                found.append(self.numbers[id(node)][step])
                node = node[step]
            elif isinstance(node, dict) and step in node:
                found.append(step)
                node = node[step]
            else:
                found.append(step)
                node = None
        return tuple(found)

    def get(self, path: Path) -> Any:
        node: Any = self.value
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return None
        return node

    def put(self, path: Path, value: Any) -> None:
        self.get(path[:-1])[path[-1]] = value

    def take_out(self, path: Path) -> bool:
        """Whether there was something to take out."""
        within = self.get(path[:-1]) if path else None
        step = path[-1] if path else None
        if isinstance(within, dict) and step in within:
            del within[step]
            return True
        if isinstance(within, list) and isinstance(step, int) and step < len(within):
            del within[step]
            del self.numbers[id(within)][step]
            return True
        return False

    def _copied(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._copied(child) for key, child in value.items()}
        if isinstance(value, list | tuple):
            copy = [self._copied(child) for child in value]
            self.numbers[id(copy)] = list(range(len(copy)))
            return copy
        return value


def judged(
    kind: type[Monitor] | type[Channel],
    given: Mapping[str, Any],
    shape: Shape,
    *,
    read: Callable[[Any, Mapping[str, Any]], Any] = options_of,
    where: Where,
    problems: Problems,
    templates: Mapping[Path, str] | None = None,
    beside: Collection[str] = (),
) -> Any:
    """The options that these values mean, or None after ``problems`` was told what is wrong with them.

    ``read`` makes them of what is left. ``templates`` has the texts as written of those that held references: such a
    text may also stand for a number or a flag, and its value is never shown. ``beside`` are the keys that stand in the
    same mapping and are no options.
    """
    templates = templates or {}
    working = _Working.of(given)
    taken_out: set[Path] = set()
    retyped: set[Path] = set()
    before = len(problems.found)
    for _ in range(TRIES):
        try:
            options = read(kind, working.value)
        except msgspec.ValidationError as err:
            message, path = _understood(str(err))
        except Exception as err:  # noqa: BLE001 - foreign code: the options of one plug-in fail alone
            problems.add(where(()), f"the options of {kind.name} cannot be judged: {type(err).__name__}")
            return None
        else:
            return options if len(problems.found) == before else None
        origin = working.original(path)
        value = working.get(path)
        if origin in templates and origin not in retyped and isinstance(value, str) and scalar_of(value) != value:
            retyped.add(origin)
            working.put(path, scalar_of(value))
            continue
        missing = re.search(r"missing required field `([^`]*)`", message)
        if missing and (*origin, missing[1]) in taken_out:
            pass  # only because it was taken out for being wrong itself
        elif unknown := re.search(r"unknown field `([^`]*)`", message):
            path = (*path, unknown[1])
            origin = (*origin, unknown[1])
            known = {*shape.names(origin[:-1]), *(beside if len(origin) == 1 else ())}
            problems.add(where(origin), f"unknown key {unknown[1]}: {instead(unknown[1], known)}")
        elif missing:
            problems.add(where(origin), f"{missing[1]} is missing")
        else:
            said = _for_people(message, shape.choices(origin))
            if origin in templates:
                said = veiled(said, templates[origin])
            elif shape.is_secret(origin) and isinstance(value, str) and value:
                said = said.replace(value, MASK)
            problems.add(where(origin), f"{_named(origin)}: {said}" if origin else said)
        if not working.take_out(path):
            break
        taken_out.add(origin)
    if len(problems.found) == before:
        problems.add(where(()), f"the options of {kind.name} cannot be judged")
    return None


def _understood(text: str) -> tuple[str, Path]:
    """The message, and the path that it ends with; up to a key that msgspec does not name."""
    message, at, place = text.rpartition(" - at `")
    if not at:
        return text, ()
    path: list[str | int] = []
    for name, number in _STEP.findall(place.removesuffix("`").rpartition("$")[2]):
        if number == "...":
            break
        path.append(int(number) if number else name)
    return message, tuple(path)


def _named(path: Path) -> str:
    """The last key and what follows it: ``metrics[1]``."""
    last = max((number for number, step in enumerate(path) if isinstance(step, str)), default=0)
    return spelled_path(path[last:])


def _for_people(message: str, choices: list[str]) -> str:
    if found := re.match(r"Invalid enum value (.*)\Z", message, re.DOTALL):
        return f"{found[1]}: {instead(found[1].strip(chr(39)), choices)}" if choices else message
    if found := re.match(r"Expected `(.*?)`(?:, got `(.*)`| (.*))\Z", message):
        expected, got, bound = found.groups()
        spelled = " or ".join(_KINDS.get(one.strip(), one.strip()) for one in expected.split("|"))
        if bound:
            return f"expected {spelled} {bound}"
        hint = ": put it in quotes" if "str" in expected.split("|") and got in ("int", "float", "bool") else ""
        return f"expected {spelled}, not {_KINDS.get(got, got)}{hint}"
    return message
