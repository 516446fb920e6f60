"""Reading a mapping of the file key by key: what is asked for is known, the rest is refused at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any, TypeVar

from twinwatch.agent.configuration.document import Document, scalar_of
from twinwatch.agent.configuration.problems import Misconfigured, Path, Problems, instead, shown, veiled
from twinwatch.world.secret import Secret, SecretUnreadable, read_secret

T = TypeVar("T")


class Section:
    """One mapping of the document. ``path`` is where it is; absent or empty is a mapping without keys."""

    def __init__(self, document: Document, path: Path, value: Any, problems: Problems) -> None:
        self.document = document
        self.path = path
        self.problems = problems
        self._known: set[str] = set()
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            problems.add(document.place(path), f"{self._name()}expected a mapping, not {shown(value)}")
            value = {}
        self._value: Mapping[str, Any] = value

    def __contains__(self, key: str) -> bool:
        return key in self._value

    def place(self, key: str) -> str:
        """Where the key stands; where the section does, if it is not given."""
        return self.document.key_place((*self.path, key))

    def spelled(self, key: str) -> str:
        """The key with the sections that it is in."""
        return ".".join(str(step) for step in (*self.path, key) if not isinstance(step, int) and step != "monitors")

    def wrong(self, key: str, message: str) -> None:
        """Note a problem of a key's value."""
        message = self.veiled(key, message)
        self.problems.add(self.document.place((*self.path, key)), f"{self.spelled(key)}: {message}")

    def veiled(self, key: str, message: str) -> str:
        """The message; without the value, if that came from a reference."""
        if (*self.path, key) not in self.document.literals:
            return message
        written = self.document.written
        for step in (*self.path, key):
            written = written[step]
        return veiled(message, str(written))

    def any(self, *names: str) -> Any:
        """The value of the first of these names that is given; a second one is a problem. None: not given."""
        self._known.update(names)
        given = [name for name in names if name in self._value]
        for second in given[1:]:
            self.problems.add(self.place(second), f"{second} says the same as {given[0]}; expected one of them")
        value = self._value[given[0]] if given else None
        if isinstance(value, str) and (*self.path, given[0]) in self.document.literals:
            return value.strip() or None
        return value

    def first(self, *names: str) -> str:
        """The name under which it is given, else the first."""
        return next((name for name in names if name in self._value), names[0])

    def text(self, *names: str) -> str | None:
        """A text."""
        value = self.any(*names)
        if value is None or isinstance(value, str):
            return value
        quotes = ": put it in quotes" if isinstance(value, int | float) else ""
        self.wrong(self.first(*names), f"expected a text, not {self._named(value)}{quotes}")
        return None

    def flag(self, name: str) -> bool | None:
        """true or false."""
        value = self._typed(name)
        if value is None or isinstance(value, bool):
            return value
        self.wrong(name, f"expected true or false, not {shown(value)}")
        return None

    def number(self, name: str, least: int, most: int) -> int | None:
        """A whole number within bounds."""
        value = self._typed(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(name, f"expected a whole number of {least} to {most}, not {shown(value)}")
            return None
        return value

    def choice(self, name: str, *choices: str) -> str | None:
        """One of several words."""
        value = self.text(name)
        if value is None or value in choices:
            return value
        self.wrong(name, f"{shown(value)}: expected {' or '.join(choices)}")
        return None

    def judged(self, judge: Callable[[str], T], *names: str) -> T | None:
        """A text that ``judge`` makes something of, or raises Misconfigured."""
        value = self.text(*names)
        if value is None:
            return None
        try:
            return judge(value)
        except Misconfigured as err:
            self.wrong(self.first(*names), str(err))
            return None

    def secret(self, *names: str) -> tuple[Secret | None, FilePath | None]:
        """A secret from its text or from the file that ``<name>_file`` names, and that file."""
        files = tuple(f"{name}_file" for name in names)
        text, file = self.text(*names), self.text(*files)
        if file is None:
            return (Secret(text.strip()) if text and text.strip() else None), None
        if text is not None:
            key = self.first(*files)
            self.problems.add(self.place(key), f"{key} says the same as {self.first(*names)}; expected one of them")
            return None, None
        try:
            path = beside(file, self.document.name)
            return read_secret(path), path
        except (SecretUnreadable, Misconfigured) as err:
            self.wrong(self.first(*files), str(err))
            return None, None

    def section(self, name: str) -> Section:
        """The mapping within."""
        return Section(self.document, (*self.path, name), self.any(name), self.problems)

    def items(self, name: str) -> list[Any]:
        """The list within."""
        value = self.any(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(name, f"expected a list (lines that begin with '-'), not {shown(value)}")
            return []
        return value

    def rest(self) -> dict[str, Any]:
        """What nobody has asked for."""
        return {key: value for key, value in self._value.items() if key not in self._known}

    def done(self, known: Iterable[str] = ()) -> None:
        """Refuse what nobody has asked for. ``known`` could be asked for too."""
        for key in self.rest():
            self.problems.add(self.place(key), f"unknown key {key[:60]}: {instead(key, {*self._known, *known})}")

    def _typed(self, name: str) -> Any:
        """The value; of a reference, what its text means."""
        value = self.any(name)
        return scalar_of(value) if (*self.path, name) in self.document.literals and value is not None else value

    def _named(self, value: Any) -> str:
        return "a number" if isinstance(value, int | float) and not isinstance(value, bool) else shown(value)

    def _name(self) -> str:
        return f"{self.path[-1]}: " if self.path and isinstance(self.path[-1], str) else ""


def beside(text: str, file: str) -> FilePath:
    """The path of a file that the configuration names: whole, from home, or from the configuration's own folder.

    Raises: Misconfigured.
    """
    if "\0" in text or not text:
        raise Misconfigured("expected a path")
    try:
        return FilePath(file).parent / FilePath(text).expanduser()
    except RuntimeError:
        raise Misconfigured(f"{text}: there is no such home folder") from None
