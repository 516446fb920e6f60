"""Which values of a monitor's options are secret, and how they are taken out, kept and put back. Pure.

A value is secret if the kind's JSON Schema says ``format: password`` of it. Where the schema says nothing (an unknown
kind, a map with free keys) its key decides by its look, and a URL that carries a password is secret anywhere.

Invariants: ``restored(*masked(options, schema))`` is ``options``; a secret that is kept by writing ``***`` stays with
the element that it belonged to, also when a list was shortened or put in another order, or else is asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

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
_URL_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]+@")
NAMING = ("name", "id", "url", "host", "address", "target", "path")
"""What tells an element of a list from its neighbours, in this order."""

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


def masked(options: Any, schema: Mapping[str, Any] | None) -> tuple[Any, Secrets]:
    """The options with ``***`` in place of each secret, and the secrets. ``schema`` is None for an unknown kind."""
    hidden = deepcopy(options)
    secrets: Secrets = []
    for path, value in list(_secret_values(options, schema)):
        _put(hidden, path, MASK)
        secrets.append((list(path), value))
    return hidden, secrets


def restored(options: Any, secrets: Secrets) -> Any:
    """The options with their secrets in place again. A path that leads nowhere is passed over."""
    whole = deepcopy(options)
    for path, value in secrets:
        try:
            _put(whole, tuple(path), value)
        except (KeyError, IndexError, TypeError):
            continue
    return whole


def kept(new: Any, old: Any, schema: Mapping[str, Any] | None) -> Any:
    """The new options, with each ``***`` replaced by the secret that the old options (in full) have there.

    Raises: NothingKept for a ``***`` at a secret place that had no value before.
    """
    hidden, _ = masked(old, schema)
    return _kept(new, old, hidden, (), schema, schema)


def _kept(
    new: Any, old: Any, hidden: Any, path: Path, schema: Mapping[str, Any] | None, root: Mapping[str, Any] | None
) -> Any:
    """``hidden`` is ``old``, masked."""
    if new == MASK:
        if hidden == MASK and old is not None:
            return old
        if _is_secret(new, path, schema, root):
            raise NothingKept(path)
        return new
    if isinstance(new, dict):
        before = old if isinstance(old, dict) else {}
        mask = hidden if isinstance(hidden, dict) else {}
        return {
            key: _kept(value, before.get(key), mask.get(key), (*path, key), _below(schema, key, root), root)
            for key, value in new.items()
        }
    if isinstance(new, list):
        before_list = old if isinstance(old, list) else []
        mask_list = hidden if isinstance(hidden, list) else []
        result = []
        for place, value in enumerate(new):
            at = _same_element(new, place, mask_list)
            was, mask_was = (before_list[at], mask_list[at]) if at is not None else (None, None)
            result.append(_kept(value, was, mask_was, (*path, place), _below(schema, place, root), root))
        return result
    return new


def _same_element(new: list[Any], place: int, old: list[Any]) -> int | None:
    """Where this element of the new list stood in the old one; None if that cannot be told for sure."""
    element = new[place]
    if isinstance(element, dict):
        for name in NAMING:
            if name in element and element[name] != MASK:
                of_name = [at for at, one in enumerate(old) if isinstance(one, dict) and one.get(name) == element[name]]
                twins = [one for one in new if isinstance(one, dict) and one.get(name) == element[name]]
                if len(of_name) == 1 and len(twins) == 1:
                    return of_name[0]
                if not of_name:
                    return None
    if place < len(old) and old[place] == element and len(new) == len(old):
        return place
    equal = [at for at, one in enumerate(old) if one == element]
    if len(equal) == 1:
        return equal[0]
    return place if len(new) == len(old) else None


def _secret_values(options: Any, schema: Mapping[str, Any] | None) -> Iterator[tuple[Path, Any]]:
    yield from _walk(options, (), schema, schema)


def _walk(
    value: Any, path: Path, schema: Mapping[str, Any] | None, root: Mapping[str, Any] | None
) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _walk(below, (*path, key), _below(schema, key, root), root)
    elif isinstance(value, list):
        for place, below in enumerate(value):
            yield from _walk(below, (*path, place), _below(schema, place, root), root)
    elif _is_secret(value, path, schema, root):
        yield path, value


def _is_secret(value: Any, path: Path, schema: Mapping[str, Any] | None, root: Mapping[str, Any] | None) -> bool:
    if value is None or isinstance(value, bool) or value == "":
        return False
    if isinstance(value, str) and _URL_PASSWORD.search(value):
        return True
    if schema is not None and schema is not _FREE:
        return _says_password(schema, root)
    # From the last known place on, each key on the way may be the one that tells.
    keys = [step for step in path if isinstance(step, str)]
    return any(looks_secret(key) for key in keys[_known_keys(path, root) :])


def _known_keys(path: Path, root: Mapping[str, Any] | None) -> int:
    """How many keys of the path the schema has something to say about."""
    schema, count = root, 0
    for step in path:
        schema = _below(schema, step, root)
        if schema is None or schema is _FREE:
            break
        count += isinstance(step, str)
    return count


def _says_password(schema: Mapping[str, Any], root: Mapping[str, Any] | None) -> bool:
    return any(one.get("format") == "password" for one in _choices(schema, root))


def _below(
    schema: Mapping[str, Any] | None, step: str | int, root: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """The schema of what stands at this key or place; ``_FREE`` where it has no opinion, None without a schema."""
    if schema is None:
        return None
    found: list[Mapping[str, Any]] = []
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
        if isinstance(free, dict) and (_says_password(free, root) or not looks_secret(step)):
            found.append(free)
    if not found:
        return _FREE
    return found[0] if len(found) == 1 else {"anyOf": found}


def _choices(schema: Mapping[str, Any], root: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """The schema and all that it refers to or offers. A schema is what an agent sent: it may lead in a circle."""
    waiting: list[Any] = [schema]
    seen: set[int] = set()
    while waiting:
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
                waiting += offered


def _put(options: Any, path: Path, value: Any) -> None:
    for step in path[:-1]:
        options = options[step]
    last: Any = path[-1]
    if isinstance(options, list) or last in options:
        options[last] = value
