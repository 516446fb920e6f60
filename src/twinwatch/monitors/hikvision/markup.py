"""XML as devices write it, read without trust: names without namespaces, no declarations, everything bounded. Pure.

Invariants: a document type, and with it every entity of its own, ends the reading; depth, elements and text are
bounded, so that time and memory grow with the size of the answer only; the outcome is an element or ``NoMarkup``.
Source: XML 1.0; expat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat  # no declarations and no entities are let in below

CONTENT_BYTES = 2 << 20
DEPTH = 32
ELEMENTS = 20_000
TEXT_CHARACTERS = 4096


class NoMarkup(Exception):
    """It is no XML that is lawful here. The message says why."""


@dataclass(slots=True)
class Element:
    """One element: its name without namespace, its text, what is in it."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        """Every element of this name within, at any depth, in the order of the text; this one too."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            if one.name == name:
                yield one
            waiting += reversed(one.children)

    def child(self, name: str) -> Element | None:
        """The first element of this name directly within."""
        return next((one for one in self.children if one.name == name), None)

    def said(self, name: str) -> str:
        """The text of that child, cut and printable; empty if there is none."""
        one = self.child(name)
        return "" if one is None else printable(one.text)[:200]

    def number(self, name: str) -> float | None:
        """The number that the child holds; None if there is none, or it is not one of everyday size."""
        return number_of(self.said(name))


def element_of(content: bytes) -> Element:
    """The root.

    Raises: NoMarkup.
    """
    if len(content) > CONTENT_BYTES:
        raise NoMarkup(f"longer than {CONTENT_BYTES} bytes")
    reader = _Reader()
    try:
        reader.parser.Parse(content.lstrip(), True)
    except expat.ExpatError as err:
        raise NoMarkup(f"no XML: {expat.errors.messages.get(err.code, 'not well formed')}") from err
    except (ValueError, LookupError) as err:  # an encoding that nobody knows
        raise NoMarkup(f"no XML: {err}"[:200]) from err
    if reader.root is None:
        raise NoMarkup("no XML: empty")
    return reader.root


def number_of(text: str) -> float | None:
    """A finite number of everyday size; None for any other text."""
    if not text.isascii() or "_" in text or len(text) > 30:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1 << 53 else None


def printable(text: str) -> str:
    """The text on one line, with a blank for whatever does not print."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


class _Reader:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._declared

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > ELEMENTS or len(self._open) >= DEPTH:
            raise NoMarkup(f"more than {ELEMENTS} elements, or more than {DEPTH} within one another")
        element = Element(name.rpartition(":")[2])
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        element = self._open[-1]
        if len(element.text) < TEXT_CHARACTERS:
            element.text = (element.text + text)[:TEXT_CHARACTERS]

    def _declared(self, *_: object) -> None:
        raise NoMarkup("it declares a document type, which no device has reason to")
