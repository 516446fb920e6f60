"""Which values of a monitor's options are secret, and how they are taken out, kept and put back. Pure.

A value is secret if the kind's JSON Schema says ``format: password`` of it. Where the schema says nothing (an unknown
kind, a map with free keys) its key decides by its look, and a URL that carries a password is secret anywhere.

Invariants: ``restored(*masked(options, schema))`` is ``options``; a secret that is kept by writing ``***`` stays with
the element that it belonged to, also when a list was shortened or put in another order, or else is asked for again;
it stays a secret whatever the schema says by now. Time is in proportion to the options, whatever they and the schema
are: both come from strangers.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

MASK = "***"

Path = tuple[str | int, ...]
"""Keys and list places that lead to a value."""
Secrets = list[tuple[list[str | int], Any]]
"""Values by their paths, as they are sealed."""

TELLING = frozenset(
    {
        *("password", "passwd", "passphrase", "passcode", "pwd", "token", "secret", "key", "apikey", "connection"),
        *("dsn", "credential", "credentials", "authorization", "cookie"),
    }
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_URL_PASSWORD = re.compile(r"://[^/\s@:]*:[^/\s@]+@")
NAMING = ("name", "id", "url", "host", "address", "target", "path")
"""What tells an element of a list from its neighbours, in this order."""
LEADING = ("url", "host")
"""Keys, or how they end, of where something is sent."""

CHOICES = 64
"""How many alternatives of one schema are looked at; no monitor's options have as many."""

ELSEWHERE = "settings: *** keeps a secret only where it goes to the same host as before; enter the secrets again"

_FREE: dict[str, Any] = {}


class NothingKept(Exception):
    """``***`` was written where no secret is kept. ``path`` says where."""

    def __init__(self, path: Path) -> None:
        super().__init__(spelled_path(path))
        self.path = path


def spelled_path(path: Path) -> str:
    """For people: ``auth.password``, ``endpoints[0].token``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def looks_secret(key: str) -> bool:
    """Whether a key of this name is likely to hold a credential: ``api_key`` is, ``keyword`` is not."""
    return any(word.lower() in TELLING for word in _WORD.findall(key))


def masked(options: Any, schema: Mapping[str, Any] | None, also: Collection[Path] = ()) -> tuple[Any, Secrets]:
    """The options with ``***`` in place of each secret, and the secrets. ``schema`` is None for an unknown kind.

    What stands at the places of ``also`` is secret whatever the schema says.
    """
    hidden = deepcopy(options)
    secrets: Secrets = []
    for path, value in list(_walk(options, (), schema, schema, told=False, also=also)):
        _put(hidden, path, MASK)
        secrets.append((list(path), value))
    return hidden, secrets


def places(options: Any, path: Path = ()) -> Iterator[Path]:
    """Where ``***`` is written."""
    if isinstance(options, dict):
        for key, below in options.items():
            yield from places(below, (*path, key))
    elif isinstance(options, list):
        for place, below in enumerate(options):
            yield from places(below, (*path, place))
    elif options == MASK:
        yield path


def restored(options: Any, secrets: Secrets) -> Any:
    """The options with their secrets in place again. A path that leads nowhere is passed over."""
    whole = deepcopy(options)
    for path, value in secrets:
        try:
            _put(whole, tuple(path), value)
        except (KeyError, IndexError, TypeError):
            continue
    return whole


def kept(new: Any, old: Any, schema: Mapping[str, Any] | None, stored: Any = None) -> Any:
    """The new options, with each ``***`` replaced by the secret that the old options (in full) have there.

    ``stored`` are the old ones as they were masked when they were saved, maybe by another schema.

    Raises: NothingKept for a ``***`` at a secret place that had no value before.
    """
    hidden, _ = masked(old if stored is None else stored, schema)
    return _kept(new, old, hidden, (), schema, schema, told=False)


def leads_elsewhere(new: Mapping[str, Any], old: Mapping[str, Any], schema: Mapping[str, Any] | None) -> bool:
    """Whether what is set now is sent to another host than before (both in full): a secret that nobody may read back is
    not to be had by naming an own host beside ``***``."""
    properties = (schema or _FREE).get("properties", _FREE)

    def place(options: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = options.get(key, properties.get(key, _FREE).get("default"))
        return _origin(value) if isinstance(value, str) else ()

    keys = [key for key in {*new, *old} if _leads(key)]
    if any(place(new, key) != place(old, key) for key in keys):
        return True
    # Further in, elements of lists come and go: none may lead to where nothing went before.
    return not _further_in(new) <= _further_in(old)


def _leads(key: str) -> bool:
    return key in LEADING or key.endswith(tuple(f"_{name}" for name in LEADING))


def _further_in(options: Mapping[str, Any]) -> set[tuple[str, ...]]:
    return _origins([value for value in options.values() if not isinstance(value, str)])


def _origins(value: Any) -> set[tuple[str, ...]]:
    """Wherever something is sent, at any depth."""
    if isinstance(value, Mapping):
        found: set[tuple[str, ...]] = set()
        for key, inner in value.items():
            found |= {_origin(inner)} if _leads(key) and isinstance(inner, str) else _origins(inner)
        return found
    if isinstance(value, list):
        return {one for inner in value for one in _origins(inner)}
    return set()


def _origin(place: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(place)
        return (parts.scheme, parts.hostname or "", str(parts.port or "")) if parts.scheme else (place.lower(),)
    except ValueError:
        return (place,)


def _kept(
    new: Any,
    old: Any,
    hidden: Any,
    path: Path,
    schema: Mapping[str, Any] | None,
    root: Mapping[str, Any] | None,
    *,
    told: bool,
) -> Any:
    """``hidden`` is ``old``, masked."""
    if new == MASK:
        if hidden == MASK and old is not None:
            return old
        if _is_secret(new, schema, root, told=told):
            raise NothingKept(path)
        return new
    if isinstance(new, dict):
        before = old if isinstance(old, dict) else {}
        mask = hidden if isinstance(hidden, dict) else {}
        return {
            key: _kept(value, before.get(key), mask.get(key), (*path, key), below, root, told=tells)
            for key, value, below, tells in _members(new, schema, root, told=told)
        }
    if isinstance(new, list):
        before_list = old if isinstance(old, list) else []
        mask_list = hidden if isinstance(hidden, list) else []
        partners = _partners(new, mask_list)
        result = []
        for place, value, below, tells in _elements(new, schema, root, told=told):
            at = partners[place]
            was, mask_was = (before_list[at], mask_list[at]) if at is not None else (None, None)
            result.append(_kept(value, was, mask_was, (*path, place), below, root, told=tells))
        return result
    return new


def _partners(new: list[Any], old: list[Any]) -> list[int | None]:
    """Where each element of the new list stood in the old one, no place twice; None if that cannot be told for sure."""
    found: list[int | None] = [None] * len(new)
    open_places = set(range(len(new)))
    taken: set[int] = set()

    def settle(place: int, at: int | None) -> None:
        found[place] = at
        open_places.discard(place)
        if at is not None:
            taken.add(at)

    for name in NAMING:
        old_spots, new_spots = _spots_by_name(old, name), _spots_by_name(new, name)
        for text, here in new_spots.items():
            there = old_spots.get(text, [])
            for place in here:
                if place in open_places and not there:
                    settle(place, None)
            if len(here) == len(there) == 1 and here[0] in open_places and there[0] not in taken:
                settle(here[0], there[0])
    old_spots, new_spots = _spots(enumerate(old)), _spots(enumerate(new))
    aligned = len(new) == len(old)
    for text, here in new_spots.items():
        there = old_spots.get(text, [])
        same = set(there)
        for place in here:
            if aligned and place in same and place in open_places and place not in taken:
                settle(place, place)
        if len(here) == len(there) == 1 and here[0] in open_places and there[0] not in taken:
            settle(here[0], there[0])
    for place in sorted(open_places):
        settle(place, place if aligned and place not in taken else None)
    return found


def _spots_by_name(elements: list[Any], name: str) -> dict[str, list[int]]:
    named = ((at, one[name]) for at, one in enumerate(elements) if isinstance(one, dict) and name in one)
    return _spots((at, value) for at, value in named if value != MASK)


def _spots(values: Iterable[tuple[int, Any]]) -> dict[str, list[int]]:
    """Where each value stands, by its JSON."""
    spots: defaultdict[str, list[int]] = defaultdict(list)
    for at, value in values:
        spots[json.dumps(value, sort_keys=True)].append(at)
    return spots


_Below = tuple[Any, Any, Mapping[str, Any] | None, bool]
"""Step, value, its schema, and whether what stands above tells already that it is secret."""


def _members(
    value: dict[str, Any], schema: Mapping[str, Any] | None, root: Mapping[str, Any] | None, *, told: bool
) -> Iterator[_Below]:
    password = schema is not None and _says_password(schema, root)
    for key, one in value.items():
        below = _below(schema, key, root)
        unknown = below is None or below is _FREE
        # From the last known place on, each key on the way may be the one that tells.
        yield key, one, below, told or (unknown and (password or looks_secret(key)))


def _elements(
    value: list[Any], schema: Mapping[str, Any] | None, root: Mapping[str, Any] | None, *, told: bool
) -> Iterator[_Below]:
    password = schema is not None and _says_password(schema, root)
    prefixes = [one.get("prefixItems") for one in _choices(schema, root)] if schema is not None else []
    own = max((len(one) for one in prefixes if isinstance(one, list)), default=0)
    rest = _below(schema, own, root)
    for place, one in enumerate(value):
        below = _below(schema, place, root) if place < own else rest
        unknown = below is None or below is _FREE
        yield place, one, below, told or (unknown and password)


def _walk(
    value: Any,
    path: Path,
    schema: Mapping[str, Any] | None,
    root: Mapping[str, Any] | None,
    *,
    told: bool,
    also: Collection[Path],
) -> Iterator[tuple[Path, Any]]:
    """Every secret and its place."""
    if isinstance(value, dict):
        for key, one, below, tells in _members(value, schema, root, told=told):
            yield from _walk(one, (*path, key), below, root, told=tells, also=also)
    elif isinstance(value, list):
        for place, one, below, tells in _elements(value, schema, root, told=told):
            yield from _walk(one, (*path, place), below, root, told=tells, also=also)
    elif _is_secret(value, schema, root, told=told or (path in also and value != MASK)):
        yield path, value


def _is_secret(value: Any, schema: Mapping[str, Any] | None, root: Mapping[str, Any] | None, *, told: bool) -> bool:
    if value is None or isinstance(value, bool) or value == "":
        return False
    if told or (isinstance(value, str) and _URL_PASSWORD.search(value)):
        return True
    return schema is not None and schema is not _FREE and _says_password(schema, root)


def _says_password(schema: Mapping[str, Any], root: Mapping[str, Any] | None) -> bool:
    return any(one.get("format") == "password" for one in _choices(schema, root))


def _below(
    schema: Mapping[str, Any] | None, step: str | int, root: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """The schema of what stands at this key or place; ``_FREE`` where it has no opinion, None without a schema."""
    if schema is None:
        return None
    found: list[Mapping[str, Any]] = []
    telling = isinstance(step, str) and looks_secret(step)
    for one in _choices(schema, root):
        if isinstance(step, int):
            prefix = one.get("prefixItems")
            items = one.get("items")
            if isinstance(prefix, list) and step < len(prefix):
                items = prefix[step]
            if isinstance(items, dict):
                found.append(items)
            continue
        properties = one.get("properties")
        if isinstance(properties, dict) and isinstance(properties.get(step), dict):
            found.append(properties[step])
            continue
        free = one.get("additionalProperties")
        # A map with keys of the user's own: what a key is called tells more than that its values are texts.
        if isinstance(free, dict) and (not telling or _says_password(free, root)):
            found.append(free)
    if not found:
        return _FREE
    return found[0] if len(found) == 1 else {"anyOf": found}


def _choices(schema: Mapping[str, Any], root: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """The schema and all that it refers to or offers. A schema is what an agent sent: it may lead in a circle."""
    waiting: list[Any] = [schema]
    seen: set[int] = set()
    for _ in range(CHOICES):
        if not waiting:
            return
        one = waiting.pop()
        if not isinstance(one, dict) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        reference = one.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/") and root is not None:
            definitions = root.get("$defs")
            if isinstance(definitions, dict):
                waiting.append(definitions.get(reference.removeprefix("#/$defs/")))
        for word in ("anyOf", "oneOf", "allOf"):
            offered = one.get(word)
            if isinstance(offered, list):
                waiting += offered[:CHOICES]


def _put(options: Any, path: Path, value: Any) -> None:
    for step in path[:-1]:
        options = options[step]
    last: Any = path[-1]
    if isinstance(options, list) or last in options:
        options[last] = value
