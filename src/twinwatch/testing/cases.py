"""Cases: a monitor with its options, and what its sources said at two moments, as text.

A source is named as the door names it: ``/proc/stat`` (a file), ``GET http://127.0.0.1:9100/metrics`` (a request),
``$ /usr/bin/check_disk -w 10`` (a program), ``tcp …``, ``dns …``, ``ping …`` (packets), ``bus …`` (D-Bus), ``sql …``,
``s3 …``, ``pushed …`` (what a service pushed). Since each is text, each can be cut, replaced by noise or taken away,
and the monitor must stay lawful.

On the disk a case is a capture (``captures.py``) whose ``capture.json`` also has ``monitor``, ``options`` and, for what
is no file of the host, ``sources``: the source's name to the file in ``first/`` and ``second/`` that holds its text. A
capture that names no monitor is a recorded machine, for the ``system`` monitor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from twinwatch.monitors import Moment, Monitor
from twinwatch.monitors.options import options_of, schema_of
from twinwatch.testing.captures import SNAPSHOTS, captures
from twinwatch.testing.paper import PaperClock, PaperCommands, PaperHost, PaperHttp, PaperPushes
from twinwatch.testing.paper_bus import PaperBus
from twinwatch.testing.paper_net import PaperNet
from twinwatch.testing.paper_objects import PaperObjects
from twinwatch.testing.paper_postgres import PaperPostgres
from twinwatch.world.doors import World
from twinwatch.world.space import Space

MACHINE = "system"
"""The monitor that a capture without one is for."""
EPOCH = 1_700_000_000_000
AT_SECONDS = 1000.0


@dataclass(frozen=True)
class Snapshot:
    """What every source said at one moment. ``spaces`` are the file systems by mount point."""

    sources: Mapping[str, str]
    spaces: Mapping[str, Space] = field(default_factory=dict)
    refused: bool = False
    """The sources are there, but may not be read."""
    hangs: bool = False
    """No source ever answers."""

    def but(self, source: str, text: str | None) -> Snapshot:
        """The same with one source changed, or without it if ``text`` is None."""
        sources = {**self.sources, source: text or ""}
        if text is None:
            del sources[source]
        return replace(self, sources=sources)

    def world(self, moment: Moment) -> World:
        """The doors that lead to these sources, at this moment."""
        files = {name: text for name, text in self.sources.items() if name.startswith("/")}
        host = PaperHost(files, self.spaces, hangs=self.hangs)
        host.refused = set(files) if self.refused else set()
        reached = {} if self.refused else self.sources
        return World(
            clock=PaperClock(moment.time, moment.monotonic_seconds),
            host=host,
            http=(http := PaperHttp(reached, hangs=self.hangs)),
            unverified_http=http,
            commands=PaperCommands(reached, hangs=self.hangs),
            net=PaperNet(reached, hangs=self.hangs),
            bus=PaperBus(reached, hangs=self.hangs),
            postgres=PaperPostgres(reached, hangs=self.hangs),
            objects=PaperObjects(reached, hangs=self.hangs),
            pushed=PaperPushes(reached),
        )


@dataclass(frozen=True)
class Case:
    """A configured monitor and its sources at two moments, ``seconds`` apart. ``options`` are as in the YAML file."""

    name: str
    kind: type[Monitor]
    first: Snapshot
    second: Snapshot
    options: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 15.0

    def made(self) -> Monitor:
        """A fresh instance of the monitor."""
        return self.kind(options_of(self.kind, self.options))

    @cached_property
    def secrets(self) -> list[str]:
        """The values among the options that nobody may be shown."""
        return secrets_in(self.options, schema_of(self.kind))

    def snapshots(self) -> tuple[Snapshot, Snapshot]:
        """Both."""
        return self.first, self.second

    def moments(self) -> tuple[Moment, Moment]:
        """When they were taken, on a clock that begins with the first."""
        later = Moment(EPOCH + round(self.seconds * 1000), AT_SECONDS + self.seconds)
        return Moment(EPOCH, AT_SECONDS), later


def cases_in(folder: Path, kinds: Mapping[str, type[Monitor]]) -> list[Case]:
    """The cases in a folder of captures, by name. Captures of monitors that are not among ``kinds`` are left out."""
    found = []
    for capture in captures(folder):
        about = json.loads((capture.folder / "capture.json").read_text())
        kind = kinds.get(about.get("monitor", MACHINE))
        if kind is None:
            continue
        named = about.get("sources", {})
        first, second = (_snapshot(capture.folder / name, named) for name in SNAPSHOTS)
        found.append(Case(capture.name, kind, first, second, about.get("options", {}), capture.seconds))
    return found


def _snapshot(folder: Path, named: Mapping[str, str]) -> Snapshot:
    files = {f"/{path.relative_to(folder)}": path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
    files.pop("/kernel.json", None)
    spaces = {path: Space(**space) for path, space in json.loads(files.pop("/statvfs.json", "{}")).items()}
    sources = {name: files.pop(f"/{file}") for name, file in named.items() if f"/{file}" in files}
    return Snapshot(files | sources, spaces)


def secrets_in(options: Any, schema: Mapping[str, Any]) -> list[str]:
    """The values among these options that the JSON Schema says are secret."""
    definitions = schema.get("$defs", {})

    def search(value: Any, part: Mapping[str, Any]) -> list[str]:
        if "$ref" in part:
            part = definitions[part["$ref"].rpartition("/")[2]]
        branches: Sequence[Mapping[str, Any]] = part.get("anyOf", [part])
        if isinstance(value, str):
            return [value] if any(branch.get("format") == "password" for branch in branches) else []
        found: list[str] = []
        for branch in branches:
            if isinstance(value, Mapping):
                inner = branch.get("properties", {})
                rest = branch.get("additionalProperties")
                for name, one in value.items():
                    found += search(one, inner.get(name) or (rest if isinstance(rest, Mapping) else {}))
            elif isinstance(value, Sequence) and isinstance(branch.get("items"), Mapping):
                for one in value:
                    found += search(one, branch["items"])
        return found

    return search(options, schema)
