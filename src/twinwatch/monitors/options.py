"""Options of a monitor: from plain values (YAML, JSON) to its struct, and to the JSON Schema that forms are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twinwatch.monitors import Monitor
from twinwatch.world.forms import filled, lasting, schema_for

__all__ = ["lasting", "options_of", "schema_of"]


def options_of(kind: type[Monitor], given: Mapping[str, Any]) -> Any:
    """The options that these values mean, a ``kind.Options``. References to secrets are already resolved.

    Raises: msgspec.ValidationError, whose message ends with the place (``- at `$.endpoints[0].url```).
    """
    return filled(kind.Options, given)


def schema_of(kind: type[Monitor]) -> dict[str, Any]:
    """The JSON Schema of its options, ``$defs`` included."""
    return schema_for(kind.Options)
