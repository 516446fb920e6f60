"""Entries: what the file or the hub says of one monitor, and what of it can run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twinwatch.agent.configuration.judging import judged
from twinwatch.agent.configuration.problems import Misconfigured, Path, Problems, instead, veiled
from twinwatch.agent.configuration.settings import seconds_between
from twinwatch.agent.configuration.shapes import Shape
from twinwatch.agent.plan import Planned
from twinwatch.monitors import Monitor, Part
from twinwatch.monitors.discover import Found
from twinwatch.protocol.checks import Origin
from twinwatch.protocol.durations import Duration

LEAST_INTERVAL, MOST_INTERVAL = "5s", "1h"
PARTS_PER_MONITOR = 500
HEAD = ("type", "name", "enabled", "interval", "timeout")
"""The keys of an entry that are no options."""
NAME = re.compile(r"\w[\w .-]{0,62}\w\Z|\w\Z")
RESERVED = frozenset({"twinwatch", "custom"})
"""Names that the agent's own series and checks bear."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One monitor as it was asked for; its head is judged, its options not yet."""

    type: str
    name: str
    origin: Origin
    enabled: bool = True
    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Plain values, references resolved."""
    written: Mapping[str, Any] = field(default_factory=dict)
    """The same as written."""
    templates: Mapping[Path, str] = field(default_factory=dict)
    where: Callable[[Path], str] = lambda path: ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of an entry: it runs as ``planned``, or does not for a ``reason`` that is no defect of the entry."""

    entry: Entry
    planned: tuple[Planned, ...] = ()
    reason: str = ""


class Kinds:
    """The kinds of monitors of this installation, with the shapes of their options."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._shapes: dict[str, Shape] = {}
        self._flaws: dict[str, str] = {}
        for flaw in found.flaws:
            source = flaw.source.removeprefix("entry point ").partition(" = ")[0]
            self._flaws.setdefault(source.rpartition(".")[2], flaw.reason)

    def meant(self, name: str) -> str:
        """The kind that this name, maybe another name of it, stands for."""
        return self._found.aliases.get(name, name)

    def get(self, name: str) -> type[Monitor] | None:
        """The kind of this name, if it can be used."""
        return self._found.monitors.get(name)

    def shape(self, name: str) -> Shape:
        """The options of that kind; of one that is not there, nothing is known."""
        if name not in self._shapes:
            self._shapes[name] = Shape(self.get(name))
        return self._shapes[name]

    def flaw(self, name: str) -> str:
        """Why the kind of this name cannot be used, and what to do; empty if there is no such kind."""
        reason = self._flaws.get(name)
        if reason is None:
            return ""
        remedy = f"run: pip install 'twinwatch[{name}]'" if name in _extras() else "install what it needs"
        return f"the monitor {name} {reason}; {remedy}, then restart the agent"

    def unknown(self, name: str) -> str:
        """What to say of a name that no kind has."""
        known = sorted(set(self._found.monitors) | set(self._flaws))
        offer = instead(name, known)
        rest = "" if offer.startswith("expected") else f" There are: {', '.join(known)}"
        return f"unknown type {name!r}: {offer}{rest}"

    def known(self, name: str) -> bool:
        """Whether a type has this name, usable or not."""
        return name in self._found.monitors or name in self._flaws


def seconds_of(
    text: Any, place: str, key: str, problems: Problems, *, least: str, most: str, template: str = ""
) -> float | None:
    """Seconds of a duration in an entry; None after a problem, or where nothing is given.

    ``template`` is how it is written, if that is with a reference.
    """
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        remedy = f"; did you mean {text}s?" if isinstance(text, int) and not isinstance(text, bool) else ""
        problems.add(place, f"{key}: expected a duration such as 30s or 5m{remedy}")
        return None
    try:
        return seconds_between(text, least, most)
    except Misconfigured as err:
        problems.add(place, f"{key}: {veiled(str(err), template) if template else err}")
        return None


def name_of(name: Any, kind: str, place: str, kinds: Kinds, problems: Problems) -> str:
    """A monitor's name, judged; its type where none is given."""
    if name in (None, "", kind):
        return kind
    if not isinstance(name, str) or not NAME.match(name):
        problems.add(place, "name: expected 1 to 64 letters, digits, blanks, '.', '-' and '_'; without ':' and '/'")
        return kind
    if name in RESERVED or kinds.known(name):
        problems.add(place, f"name: {name} is {'taken' if name in RESERVED else 'the name of another type'}")
    return name


def judge(entry: Entry, kinds: Kinds, problems: Problems, monitor_seconds: float | None = None) -> Outcome:
    """What becomes of an entry. ``problems`` is told what is wrong with it; then it does not run.

    ``monitor_seconds`` stands for every interval where it is given.
    """
    kind = kinds.get(entry.type)
    if kind is None:
        flaw = kinds.flaw(entry.type)
        if not flaw:
            problems.add(entry.where(("type",)), kinds.unknown(entry.type))
        return Outcome(entry, reason=flaw)
    shape = kinds.shape(entry.type)
    options = judged(
        kind,
        entry.options,
        shape,
        where=entry.where,
        problems=problems,
        templates=entry.templates,
        beside=HEAD if entry.origin == "file" else (),
    )
    if options is None:
        return Outcome(entry)
    if not entry.enabled:
        return Outcome(entry, reason="switched off")
    try:
        split = getattr(kind, "split", None)
        parts = list(split(options)) if split is not None else [Part("", options)]
    except Exception as err:  # noqa: BLE001 - foreign code: one plug-in fails alone
        problems.add(entry.where(()), f"{entry.type} cannot be divided into its parts: {type(err).__name__}")
        return Outcome(entry)
    if len(parts) > PARTS_PER_MONITOR or len({part.name for part in parts}) < len(parts):
        several = f"more than {PARTS_PER_MONITOR} parts" if len(parts) > PARTS_PER_MONITOR else "parts of one name"
        problems.add(entry.where(()), f"{entry.name}: {several}")
        return Outcome(entry)
    return Outcome(entry, tuple(_planned(entry, kind, options, part, monitor_seconds, problems) for part in parts))


def _planned(
    entry: Entry, kind: type[Monitor], options: Any, part: Part, monitor_seconds: float | None, problems: Problems
) -> Planned:
    interval = part.interval_seconds or entry.interval_seconds or kind.interval_seconds
    if part.interval_seconds is not None and not 5.0 <= part.interval_seconds <= 3600.0:
        problems.add(
            entry.where(()), f"{part.name or entry.name}: an interval; expected {LEAST_INTERVAL} to {MOST_INTERVAL}"
        )
    interval = monitor_seconds or interval
    deadline = entry.timeout_seconds or kind.deadline_seconds
    own = getattr(options, "timeout", None)
    if isinstance(own, Duration) and entry.timeout_seconds is None and own >= deadline:
        deadline = own + 1.0  # what the monitor bounds itself, it may also say itself
    return Planned(
        name=entry.name,
        part=part.name,
        kind=kind,
        options=part.options,
        interval_seconds=float(interval),
        deadline_seconds=float(min(deadline, interval)),
        origin=entry.origin,
    )


def _extras() -> list[str]:
    from importlib.metadata import PackageNotFoundError, metadata  # noqa: PLC0415 - half a megabyte, for an error

    try:
        return metadata("twinwatch").get_all("Provides-Extra") or []
    except PackageNotFoundError:
        return []
