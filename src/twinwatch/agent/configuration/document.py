"""A YAML file as plain values of which each knows its line and column.

It is read from the parser's events, so that no input makes a deep stack or a large tree: bytes, nodes (aliases
expanded) and depth are bounded. Plain scalars mean what YAML 1.2's core schema says, and ``yes``, ``no``, ``on`` and
``off`` are flags as in 1.1; times and dates stay texts.

Source: https://yaml.org/spec/1.2.2/, chapter 10.3; merge keys https://yaml.org/type/merge.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from twinwatch.agent.configuration.problems import Misconfigured, Path, Problems
from twinwatch.agent.configuration.references import resolved

FILE_BYTES = 1 << 20
NODES = 20_000
DEPTH = 32

_CORE = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})\Z")
_PREFIXED = re.compile(r"0x[0-9a-fA-F]{1,16}\Z|0o[0-7]{1,21}\Z")
_REAL = re.compile(r"(?=.*[.eE])[-+]?(?:\.[0-9]+|[0-9]{1,40}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?\Z")
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True, eq=False)
class _Node:
    line: int
    column: int
    value: Any
    """A scalar, a list of nodes, or a mapping of keys to nodes."""
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """The content of a file. ``value`` has references resolved, ``written`` has not."""

    name: str
    value: Any = None
    written: Any = None
    literals: dict[Path, str] = field(default_factory=dict)
    """What stands in the file itself of those texts that hold references."""
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path) -> str:
        """``file:line:column`` of the value there, or of the nearest that holds it."""
        return self._spelled(self.values, path)

    def key_place(self, path: Path) -> str:
        """``file:line:column`` of the key there; of the value where it has none."""
        return self._spelled(self.keys if path in self.keys else self.values, path)

    def _spelled(self, marks: Mapping[Path, tuple[int, int]], path: Path) -> str:
        while path and path not in marks:
            path = path[:-1]
        line, column = marks.get(path) or self.values.get(path, (1, 1))
        return f"{self.name}:{line}:{column}"


def parsed(content: bytes, name: str, environment: Mapping[str, str]) -> tuple[Document, Problems]:
    """The document, and what is wrong with it; ``name`` is how places begin.

    Raises: Misconfigured if it is no YAML or exceeds a bound, so that there is no document.
    """
    if len(content) > FILE_BYTES:
        raise Misconfigured(f"{name}: {len(content)} bytes; expected at most {FILE_BYTES}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise Misconfigured(f"{name}:{line}:1: not UTF-8 text") from None
    text = text.removeprefix("\ufeff")
    if found := _UNREADABLE.search(text):
        line, column = _position(text, found.start())
        raise Misconfigured(f"{name}:{line}:{column}: a character that no text file has (U+{ord(found[0]):04X})")
    problems = Problems()
    document = Document(name)
    root = _tree(text, name, problems)
    if root is not None:
        _Planting(document, environment, problems).plant(root)
    return document, problems


def scalar_of(text: str) -> Any:
    """What an unquoted text means."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in (text.lower(), text.upper(), text.capitalize()) and text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    if _INTEGER.match(text):
        return int(text)
    if _PREFIXED.match(text):
        return int(text, 0)
    if _REAL.match(text) and isfinite(real := float(text)):
        return real
    return text


def _position(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _stands_at(text: str, line: int, column: int) -> str:
    lines = text.split("\n")
    return lines[line][column : column + 1] if line < len(lines) else ""


def _tree(text: str, name: str, problems: Problems) -> _Node | None:
    import yaml  # noqa: PLC0415 - only where there is a file

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Building(name, problems).built(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        said = " ".join(filter(None, (err.context, err.problem))) or "no YAML"
        is_tab = mark is not None and _stands_at(text, mark.line, mark.column) == "\t"
        hint = "; indent with spaces, not with tabs" if is_tab else ""
        if err.context_mark and err.context_mark.line != (mark.line if mark else 0):
            hint += f"; it began in line {err.context_mark.line + 1}"
        raise Misconfigured(f"{place}: {said}{hint}") from None
    except yaml.YAMLError:
        raise Misconfigured(f"{name}: no YAML") from None


class _Building:
    """From events to nodes, without recursion. Aliases share the node that they name."""

    def __init__(self, name: str, problems: Problems) -> None:
        self._name = name
        self._problems = problems
        self._anchors: dict[str, _Node] = {}
        self._open: list[_Node] = []
        self._pending: list[tuple[str, int, int] | None] = []
        self._root: _Node | None = None
        self._count = 0

    def built(self, events: Iterator[Any]) -> _Node | None:
        import yaml  # noqa: PLC0415

        documents = 0
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        raise Misconfigured(f"{self._at(event)}: a second document; expected one")
                case yaml.ScalarEvent():
                    self._scalar(event)
                case yaml.SequenceStartEvent():
                    self._enter(event, [], "seq")
                case yaml.MappingStartEvent():
                    self._enter(event, {}, "map")
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    self._open.pop()
                    self._pending.pop()
                case yaml.AliasEvent():
                    known = self._anchors.get(str(event.anchor))
                    if known is None:
                        raise Misconfigured(f"{self._at(event)}: *{event.anchor} names nothing above it")
                    if self._key_expected():
                        raise Misconfigured(f"{self._at(event)}: expected a key")
                    self._put(known)
                case _:
                    pass
        return self._root

    def _at(self, event: Any) -> str:
        return f"{self._name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"

    def _key_expected(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._pending[-1] is None

    def _node(self, event: Any, value: Any) -> _Node:
        self._count += 1
        if self._count > NODES:
            raise Misconfigured(f"{self._at(event)}: more than {NODES} values in one file")
        node = _Node(event.start_mark.line + 1, event.start_mark.column + 1, value)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _enter(self, event: Any, value: Any, kind: str) -> None:
        if self._key_expected():
            raise Misconfigured(f"{self._at(event)}: expected a key, not a list or a mapping")
        if event.tag not in (None, "!", _CORE + kind):
            self._problems.add(self._at(event), f"the tag {event.tag} has no meaning here")
        if len(self._open) >= DEPTH:
            raise Misconfigured(f"{self._at(event)}: nested deeper than {DEPTH}")
        node = self._node(event, value)
        self._put(node)
        self._open.append(node)
        self._pending.append(None)

    def _scalar(self, event: Any) -> None:
        node = self._node(event, event.value)
        if self._key_expected():
            key = event.value
            mapping = self._open[-1]
            if key in mapping.keys:
                first = mapping.keys[key][0]
                self._problems.add(self._at(event), f"{key} stands here twice; it is in line {first} already")
            mapping.keys.setdefault(key, (node.line, node.column))
            self._pending[-1] = (key, node.line, node.column)
            return
        if event.tag in (None, "!") or not event.tag.startswith(_CORE):
            if event.tag not in (None, "!"):
                self._problems.add(self._at(event), f"the tag {event.tag} has no meaning here")
            elif event.implicit[0] and event.tag is None:
                node.value = scalar_of(event.value)
        elif (kind := event.tag.removeprefix(_CORE)) != "str":
            value = scalar_of(event.value)
            kinds = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
            if kind not in kinds or not isinstance(value, kinds[kind]) or (kind == "int" and isinstance(value, bool)):  # type: ignore[arg-type]
                self._problems.add(self._at(event), f"the tag !!{kind} has no meaning here")
            else:
                node.value = value
        self._put(node)

    def _put(self, node: _Node) -> None:
        if not self._open:
            self._root = node
            return
        within = self._open[-1]
        if isinstance(within.value, list):
            within.value.append(node)
            return
        pending = self._pending[-1]
        if pending is not None:
            within.value.setdefault(pending[0], node)
            self._pending[-1] = None


class _Planting:
    """From nodes to plain values: aliases and merges are expanded, references looked up, places noted."""

    def __init__(self, document: Document, environment: Mapping[str, str], problems: Problems) -> None:
        self._document = document
        self._environment = environment
        self._problems = problems
        self._count = 0

    def plant(self, root: _Node) -> None:
        self._document.value, self._document.written = self._values(root, ())

    def _values(self, node: _Node, path: Path) -> tuple[Any, Any]:
        document = self._document
        place = f"{document.name}:{node.line}:{node.column}"
        self._count += 1
        if self._count > NODES:
            raise Misconfigured(f"{place}: more than {NODES} values in one file, aliases expanded")
        if len(path) > DEPTH:
            raise Misconfigured(f"{place}: nested deeper than {DEPTH}")
        document.values[path] = (node.line, node.column)
        if isinstance(node.value, list):
            both = [self._values(child, (*path, number)) for number, child in enumerate(node.value)]
            return [value for value, _ in both], [written for _, written in both]
        if isinstance(node.value, dict):
            values: dict[str, Any] = {}
            texts: dict[str, Any] = {}
            for key, mark, child in self._members(node, 0):
                document.keys[*path, key] = mark
                values[key], texts[key] = self._values(child, (*path, key))
            return values, texts
        if isinstance(node.value, str) and "${" in node.value:
            return self._looked_up(node.value, path, place), node.value
        return node.value, node.value

    def _members(self, node: _Node, depth: int) -> Iterator[tuple[str, tuple[int, int], _Node]]:
        """Own members, then those merged in that are not among them."""
        if depth > DEPTH:
            raise Misconfigured(f"{self._document.name}:{node.line}:{node.column}: nested deeper than {DEPTH}")
        own: dict[str, _Node] = node.value
        merged = own.get("<<")
        for key, child in own.items():
            if key != "<<":
                yield key, node.keys[key], child
        if merged is None:
            return
        seen = set(own)
        for source in merged.value if isinstance(merged.value, list) else [merged]:
            if not isinstance(source.value, dict):
                self._problems.add(
                    f"{self._document.name}:{merged.line}:{merged.column}", "<<: expected a mapping to merge"
                )
                continue
            for key, mark, child in self._members(source, depth + 1):
                self._count += 1
                if self._count > NODES:
                    raise Misconfigured(f"{self._document.name}: more than {NODES} values in one file")
                if key not in seen:
                    seen.add(key)
                    yield key, mark, child

    def _looked_up(self, text: str, path: Path, place: str) -> str:
        found = resolved(text, self._environment)
        for name in found.unset:
            self._problems.add(
                place, f"${{{name}}}: no such variable in the environment; set it, or write ${{{name}:-default}}"
            )
        if found.malformed:
            self._problems.add(
                place, "${: expected ${NAME} or ${NAME:-default}; write $${ for the characters themselves"
            )
        self._document.literals[path] = found.literal
        return found.text
