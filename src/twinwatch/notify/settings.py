"""Settings of a channel: from plain values (YAML, JSON) to its struct, and to the JSON Schema that forms are made of;
and the checks that several of them make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from twinwatch.notify import Channel
from twinwatch.world.addresses import is_loopback
from twinwatch.world.forms import filled, schema_for
from twinwatch.world.secret import Secret

_URL = re.compile(r"[!-~]+")


def settings_of(kind: type[Channel], given: Mapping[str, Any]) -> Any:
    """The settings that these values mean, a ``kind.Settings``. References to secrets are already resolved.

    Raises: msgspec.ValidationError, whose message ends with the place, where it is about one field.
    """
    return filled(kind.Settings, given)


def schema_of(kind: type[Channel]) -> dict[str, Any]:
    """The JSON Schema of its settings, ``$defs`` included."""
    return schema_for(kind.Settings)


def secrets_of(settings: msgspec.Struct) -> tuple[Secret, ...]:
    """Every secret in these settings that is not empty."""
    return tuple(_secrets(msgspec.structs.asdict(settings)))


def check_url(name: str, url: str, *, secure: bool = True) -> None:
    """Raises: ValueError unless it is a lawful address: https, or http within this machine; without ``secure`` http
    elsewhere too."""
    parts = urlsplit(url) if _URL.fullmatch(url) else None
    try:
        lawful = parts is not None and parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        lawful = None
    if parts is None or not lawful:
        raise ValueError(f"{name}: expected an address such as https://example.org/path")
    if secure and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"{name}: expected https: what is sent there is secret")


def place_of(url: str) -> str:
    """Where it leads, without what may be secret in it: ``https://example.org/…``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def _secrets(value: Any) -> Iterator[Secret]:
    match value:
        case Secret():
            if value:
                yield value
        case msgspec.Struct():
            yield from _secrets(msgspec.structs.asdict(value))
        case Mapping():
            for inner in value.values():
                yield from _secrets(inner)
        case list() | tuple():
            for inner in value:
                yield from _secrets(inner)
