"""``${VAR}`` and ``${VAR:-default}`` in texts; ``$${`` stands for ``${`` itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

# A default ends before the next reference: so it is read once, however many begin and never end.
_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]{0,255})(?::-((?:[^}$]|\$(?!\{))*))?\})?")


class Resolved(NamedTuple):
    """A text after its references were looked up."""

    text: str
    literal: str
    """What is left of the text for one who does not know the environment: defaults and what is no reference."""
    unset: tuple[str, ...] = ()
    """Variables that are not set and have no default."""
    malformed: bool = False
    """Whether a ``${`` begins no reference."""


def has_reference(text: str) -> bool:
    """Whether there is anything to look up in it."""
    return any(found[0] != "$${" for found in _REFERENCE.finditer(text))


def resolved(text: str, environment: Mapping[str, str]) -> Resolved:
    """The text with what the environment says in place of each reference."""
    unset: list[str] = []
    malformed = False

    def literal(found: re.Match[str]) -> str:
        return "${" if found[0] == "$${" else found[2] or ""

    def value(found: re.Match[str]) -> str:
        nonlocal malformed
        if found[0] == "$${":
            return "${"
        name, default = found[1], found[2]
        if name is None:
            malformed = True
            return ""
        known = environment.get(name)
        if default is not None:
            return known or default
        if known is None:
            unset.append(name)
        return known or ""

    return Resolved(_REFERENCE.sub(value, text), _REFERENCE.sub(literal, text), tuple(unset), malformed)
