"""The hub's bundle: kept in the state directory, used without the hub as well, and judged entry by entry.

The file is ``configuration.json``, mode 0600, replaced atomically; one that is damaged is set aside, never deleted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import msgspec

from twinwatch.agent.configuration.entries import LEAST_INTERVAL, MOST_INTERVAL, Entry, Kinds, name_of, seconds_of
from twinwatch.agent.configuration.problems import Path, Problems, spelled_path
from twinwatch.agent.configuration.references import has_reference, resolved
from twinwatch.agent.configuration.settings import Remote
from twinwatch.agent.configuration.shapes import Shape, texts
from twinwatch.protocol import limits
from twinwatch.protocol.configuration import Configuration, MonitorEntry
from twinwatch.world.secret import SecretUnreadable, read_secret

FILE = "configuration.json"
DEPTH = 32


class _Kept(msgspec.Struct, frozen=True):
    """The content of the file. A bundle of another hub is none of ours."""

    hub: str
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry that is not taken from a hub here, and why."""

    name: str
    problem: str


def load_bundle(state_dir: FilePath, hub: str, problems: Problems, *, set_aside: bool = True) -> Configuration:
    """The bundle that was kept of this hub; an empty one where there is none.

    ``problems`` is told of a file that is damaged or cannot be read.
    """
    path = state_dir / FILE
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return Configuration()
    except OSError as err:
        problems.add(str(path), (err.strerror or str(err)).lower())
        return Configuration()
    except (msgspec.MsgspecError, RecursionError) as err:
        aside = path.with_suffix(".damaged")
        said = f"damaged ({type(err).__name__}); the hub's configuration is fetched again"
        if set_aside:
            try:
                path.replace(aside)
                said += f", the file is now {aside.name}"
            except OSError:
                said += ", the file could not be set aside"
        problems.add(str(path), said)
        return Configuration()
    return kept.configuration if kept.hub == hub else Configuration()


def keep_bundle(state_dir: FilePath, hub: str, configuration: Configuration) -> None:
    """Replace the file, on the disk when this returns.

    Raises: OSError.
    """
    path = state_dir / FILE
    fresh = path.with_name(f"{FILE}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(_Kept(hub, configuration)))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def entries_of(
    configuration: Configuration,
    kinds: Kinds,
    remote: Remote,
    environment: Mapping[str, str],
    problems: Problems,
) -> tuple[list[Entry], list[Refusal]]:
    """The entries of a bundle, and those that may not come from a hub here. ``problems`` is told what is wrong."""
    entries: list[Entry] = []
    refusals: list[Refusal] = []
    if len(configuration.monitors) > limits.MONITORS_PER_SERVER:
        problems.add(
            "hub: monitors",
            f"{len(configuration.monitors)} monitors; expected at most {limits.MONITORS_PER_SERVER}",
        )
        return entries, refusals
    for number, given in enumerate(configuration.monitors):
        place = f"hub: {spelled_path(('monitors', number))}"
        given = msgspec.structs.replace(given, type=kinds.meant(given.type))  # noqa: PLW2901 - the same, spelled out
        name = name_of(given.name, given.type, f"{place}.name", kinds, problems)
        if any(other.name == name for other in entries):
            problems.add(place, f"a second monitor named {name}; give it a name of its own")
        if refused := _refused(given, kinds, remote):
            refusals.append(Refusal(name, f"{place}: {refused}"))
            continue
        if _depth(given.options) > DEPTH:
            problems.add(place, f"nested deeper than {DEPTH}")
            continue
        options = _looked_up(given.options, kinds.shape(given.type), place, (), environment, problems)
        entries.append(
            Entry(
                type=given.type,
                name=name,
                origin="hub",
                enabled=given.enabled,
                interval_seconds=seconds_of(
                    given.interval, f"{place}.interval", "interval", problems, least=LEAST_INTERVAL, most=MOST_INTERVAL
                ),
                timeout_seconds=seconds_of(
                    given.timeout, f"{place}.timeout", "timeout", problems, least="100ms", most=MOST_INTERVAL
                ),
                options=options,
                written=given.options,
                templates={path: text for path, text in texts(given.options) if "${" in text},
                where=lambda path, place=place: f"{place}.{spelled_path(path)}" if path else place,  # type: ignore[misc]
            )
        )
    return entries, refusals


def _refused(given: MonitorEntry, kinds: Kinds, remote: Remote) -> str:
    """Why this entry may not come from a hub here; empty if it may."""
    if given.type == "exec" and not remote.exec:
        return "exec runs programs and is not taken from the hub; to allow it, say remote: {exec: true} in the file"
    shape = kinds.shape(given.type)
    programs = [path for path, text in texts(given.options) if shape.names_a_program(path, text)]
    if programs and not remote.exec:
        return (
            f"{spelled_path(programs[0])} names a program to run, which is not taken from the hub; "
            "to allow it, say remote: {exec: true} in the file"
        )
    if remote.secrets:
        return ""
    references = [path for path, text in texts(given.options) if has_reference(text)]
    references += [path for path, _ in texts(given.options) if _names_a_secret_file(path, shape)]
    if references:
        return (
            f"{spelled_path(references[0])} refers to a secret of this server, which is not looked up for the hub; "
            "to allow it, say remote: {secrets: true} in the file"
        )
    return ""


def _names_a_secret_file(path: Path, shape: Shape) -> bool:
    key = path[-1]
    if not isinstance(key, str) or not key.endswith("_file") or key in shape.names(path[:-1]):
        return False
    return shape.is_secret((*path[:-1], key.removesuffix("_file")))


def _looked_up(
    value: Any, shape: Shape, place: str, path: Path, environment: Mapping[str, str], problems: Problems
) -> Any:
    """The options with references resolved, and ``<name>_file`` replaced by what that file says."""
    where = f"{place}.{spelled_path(path)}"
    if isinstance(value, str) and "${" in value:
        found = resolved(value, environment)
        for name in found.unset:
            problems.add(where, f"${{{name}}}: no such variable in the agent's environment")
        if found.malformed:
            problems.add(where, "${: expected ${NAME}; write $${ for the characters themselves")
        return found.text
    if isinstance(value, list):
        return [
            _looked_up(child, shape, place, (*path, number), environment, problems)
            for number, child in enumerate(value)
        ]  # fmt: skip
    if not isinstance(value, Mapping):
        return value
    made: dict[str, Any] = {}
    for key, child in value.items():
        if isinstance(child, str) and _names_a_secret_file((*path, key), shape):
            try:
                made[key.removesuffix("_file")] = read_secret(FilePath(child)).reveal()
            except (SecretUnreadable, ValueError) as err:
                problems.add(f"{place}.{spelled_path((*path, key))}", str(err))
                made[key.removesuffix("_file")] = "-"
        else:
            made[key] = _looked_up(child, shape, place, (*path, key), environment, problems)
    return made


def _depth(value: Any) -> int:
    """How deep it is nested, found without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        children = node.values() if isinstance(node, Mapping) else node if isinstance(node, list | tuple) else ()
        waiting += [(child, depth + 1) for child in children]
    return deepest
