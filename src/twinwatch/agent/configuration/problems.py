"""What is wrong with a configuration: all of it, each with its place, what was expected and the nearest known name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Where in a tree of mappings and lists: ``("monitors", 2, "url")``."""

Where: TypeAlias = Callable[[Path], str]
"""The place of a path, for people: ``/etc/twinwatch/agent.yaml:12:5`` or ``hub: monitors[2].url``."""

MESSAGE_CHARACTERS = 600
PROBLEMS = 100
"""The most that are told at once; after so many the rest is noise."""


class Misconfigured(Exception):
    """Settings that cannot be. ``problems`` has each with its place, its value, what was expected and what to do."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(slots=True)
class Problems:
    """Collects what is wrong, in the order found; nothing twice."""

    found: list[str] = field(default_factory=list)

    def add(self, place: str, message: str) -> None:
        """Note one. Past ``PROBLEMS`` they are no longer told apart."""
        message = message if len(message) <= MESSAGE_CHARACTERS else f"{message[: MESSAGE_CHARACTERS - 1]}…"
        problem = f"{place}: {message}" if place else message
        if problem not in self.found and len(self.found) < PROBLEMS:
            self.found.append(problem)

    def raise_any(self) -> None:
        """Raises: Misconfigured if there are any."""
        if self.found:
            raise Misconfigured(*self.found)


def spelled_path(path: Path) -> str:
    """``monitors[2].url``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def instead(name: str, known: Iterable[str]) -> str:
    """What to offer for an unknown name: the nearest known one, and else all of them."""
    known = sorted(known)
    from difflib import get_close_matches  # noqa: PLC0415 - for an error

    nearest = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if nearest:
        return f"did you mean {nearest[0]}?"
    return f"expected one of {', '.join(known)}" if known else "nothing is expected here"


def veiled(message: str, template: str) -> str:
    """A message about a value that came from a reference: with the reference in its place, for it may be a secret."""
    _, expected, rest = message.partition("expected")
    return f"{template}: expected{rest}" if expected else f"{template}: what it stands for cannot be used here"


def shown(value: object) -> str:
    """A value in a message: short, and of a container only what it is."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return repr(value if len(value) <= 40 else value[:39] + "…")
        case _:
            return str(value)[:40]
