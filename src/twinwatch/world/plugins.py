"""What a folder of this package and an entry point group offer, monitors and channels alike.

Nothing registers itself. A plug-in that cannot be had becomes a ``Flaw`` that says why, and the others are found all
the same. A plug-in cannot take a name that a built-in one has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@dataclass(frozen=True, slots=True)
class Flaw:
    """A plug-in that was found but is of no use. ``source`` is its module or entry point, ``reason`` is for people."""

    source: str
    reason: str


def gather(
    room: ModuleType | None,
    group: str,
    plugins: Iterable[EntryPoint] | None,
    *,
    means_to_be_one: Callable[[type], bool],
    flaw_of: Callable[[object], str | None],
) -> tuple[dict[str, Any], tuple[Flaw, ...]]:
    """The usable classes of the room's folder and the group, by their ``name``, and what was wrong with the rest.

    ``room`` None is no folder; ``plugins`` stands for the installed entry points of the group.
    Cost: imports every module of the folder. A plug-in's import may do anything, so whatever it raises is caught here.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - half a megabyte, for who looks

    found: dict[str, Any] = {}
    flaws: list[Flaw] = []
    installed = entry_points(group=group) if plugins is None else plugins
    for source, candidate in _candidates(room, means_to_be_one, installed):
        if isinstance(candidate, Flaw):
            flaws.append(candidate)
        elif (reason := flaw_of(candidate)) or not isinstance(candidate, type):
            flaws.append(Flaw(source, reason or "expected a class"))
        else:
            one: Any = candidate
            taken = found.setdefault(one.name, one)
            if taken is not one:
                by = f"{taken.__module__}.{taken.__qualname__}"
                flaws.append(Flaw(source, f"the name {one.name!r} is taken by {by}"))
    return found, tuple(flaws)


def is_name(name: object) -> bool:
    """Whether it can be the name of a kind in files: letters, digits, ``-`` and ``_``."""
    return isinstance(name, str) and name.isascii() and name.replace("-", "").replace("_", "").isalnum()


def _candidates(
    room: ModuleType | None, means_to_be_one: Callable[[type], bool], plugins: Iterable[EntryPoint]
) -> Iterator[tuple[str, object]]:
    """Where from, and the candidate, or a ``Flaw`` if there is none. Built-in ones first."""
    import pkgutil  # noqa: PLC0415 - for who looks

    for module in pkgutil.iter_modules(room.__path__, room.__name__ + ".") if room is not None else ():
        try:
            members = vars(import_module(module.name)).values()
        except ImportError as err:  # an extra of pip that is not installed
            yield module.name, Flaw(module.name, f"cannot be imported: {err}")
            continue
        for member in list(members):
            if isinstance(member, type) and member.__module__ == module.name and means_to_be_one(member):
                yield f"{module.name}.{member.__qualname__}", member
    for plugin in sorted(plugins, key=lambda plugin: plugin.name):
        source = f"entry point {plugin.name} = {plugin.value}"
        try:
            yield source, plugin.load()
        except Exception as err:  # noqa: BLE001 - foreign code; one plug-in fails alone
            yield source, Flaw(source, f"cannot be loaded: {type(err).__name__}: {err}")
