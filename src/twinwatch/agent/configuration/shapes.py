"""The options of a kind of monitor by its JSON Schema: which names are known where, and which values are secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from twinwatch.agent.configuration.problems import Path
from twinwatch.monitors import Monitor
from twinwatch.monitors.options import schema_of
from twinwatch.notify import Channel

MASK = "***"
SHOWN_CHARACTERS = 1_000

_PASSWORD = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s:@]*:[^/?#\s]+@")
_HIDDEN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^/?#\s:@]*:)\S+@")
"""Wider: also a password with a slash that nobody encoded."""
_TELLING = re.compile(r"pass|secret|token|credential|private|(?:^|[_-])key$|^authorization$", re.IGNORECASE)


class Shape:
    """The options that a kind of monitor or channel declares. One of no kind, or of one without a schema, takes names
    for telling.

    The schema is made when it is first asked for: an agent without a file needs none.
    """

    def __init__(
        self, kind: type[Monitor] | type[Channel] | None, schema_of: Callable[[Any], dict[str, Any]] = schema_of
    ) -> None:
        self._kind = kind
        self._schema_of = schema_of

    @cached_property
    def _schema(self) -> dict[str, Any] | None:
        if self._kind is None:
            return None
        try:
            return self._schema_of(self._kind)
        except Exception:  # noqa: BLE001 - foreign code: one plug-in's options have no schema
            return None

    def names(self, path: Path) -> list[str]:
        """The known names in the mapping at a path."""
        return sorted({name for part in self._at(path) for name in part.get("properties", {})})

    def choices(self, path: Path) -> list[str]:
        """The values that may stand there, where they can be listed."""
        return [str(choice) for part in self._at(path) for choice in part.get("enum", ())]

    def is_secret(self, path: Path) -> bool:
        """Whether the text there is one that nobody may read back."""
        if self._schema is None:
            return any(isinstance(step, str) and _TELLING.search(step) for step in path)
        return any(part.get("format") == "password" for part in self._at(path))

    def names_a_program(self, path: Path, value: str) -> bool:
        """Whether the text there names a program to run, another than would run anyway."""
        return any(part.get("format") == "program" and part.get("default") != value for part in self._at(path))

    def _at(self, path: Path) -> list[dict[str, Any]]:
        parts = list(self._branches(self._schema or {}))
        for step in path:
            parts = [
                branch for part in parts for child in self._children(part, step) for branch in self._branches(child)
            ]
        return parts

    def _branches(self, part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if "$ref" in part:
            part = (self._schema or {}).get("$defs", {}).get(part["$ref"].rpartition("/")[2], {})
        for branch in part.get("anyOf", ()):
            yield from self._branches(branch)
        if "anyOf" not in part:
            yield dict(part)

    @staticmethod
    def _children(part: Mapping[str, Any], step: str | int) -> Iterator[Mapping[str, Any]]:
        if isinstance(step, int):
            given = part.get("prefixItems", ())
            child = given[step] if step < len(given) else part.get("items")
        else:
            child = part.get("properties", {}).get(step, part.get("additionalProperties"))
        if isinstance(child, Mapping):
            yield child


def has_password(text: str) -> bool:
    """Whether it is an address with a password in it."""
    return _PASSWORD.search(text) is not None


def masked(value: Any, shape: Shape, path: Path = ()) -> Any:
    """Options as written, without what nobody may read back. References stay: they tell only a name."""
    if isinstance(value, Mapping):
        return {key: masked(child, shape, (*path, key)) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [masked(child, shape, (*path, number)) for number, child in enumerate(value)]
    if value is not None and shape.is_secret(path):
        return MASK
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        value = value[:SHOWN_CHARACTERS] + "…@"  # what was cut in a password is hidden too
    return _HIDDEN.sub(rf"\1{MASK}@", value) if isinstance(value, str) else value


def texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in a tree of plain values, and where it is."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from texts(child, (*path, key))
    elif isinstance(value, list | tuple):
        for number, child in enumerate(value):
            yield from texts(child, (*path, number))
