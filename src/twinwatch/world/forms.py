"""What a person fills in, of a monitor or a channel: from plain values (YAML, JSON) to its struct, and to the JSON
Schema that forms are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec

from twinwatch.protocol.durations import Duration, duration, spelled
from twinwatch.world.secret import Secret

SecretText = Annotated[Secret, msgspec.Meta(extra_json_schema={"type": "string", "format": "password"})]
"""The type of a field that nobody may read back. In YAML it is a text, ``${VAR}``, or ``<name>_file: path``."""

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class _Lasting:
    value: Duration

    def __call__(self) -> Duration:
        return self.value


def lasting(text: str) -> Any:
    """The default of a field of type ``Duration``: ``timeout: Duration = lasting("10s")``."""
    return msgspec.field(default_factory=_Lasting(duration(text)))


def filled(form: type[S], given: Mapping[str, Any]) -> S:
    """The struct that these values mean. References to secrets are already resolved.

    Raises: msgspec.ValidationError, whose message ends with the place (``- at `$.endpoints[0].url```).
    """
    return msgspec.convert(dict(given), form, dec_hook=_read)


def schema_for(form: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of its fields, ``$defs`` included."""
    _, found = msgspec.json.schema_components([form], schema_hook=_schema, ref_template="#/$defs/{name}")
    for struct in _structs(form):
        properties = found[struct.__name__].get("properties", {})
        for field in msgspec.structs.fields(struct):
            if isinstance(field.default_factory, _Lasting):
                properties[field.encode_name]["default"] = spelled(field.default_factory.value)
    root: dict[str, Any] = found.pop(form.__name__)
    return {**root, "$defs": found} if found else root


def _structs(root: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The struct and those in its fields."""
    found: list[type[msgspec.Struct]] = []
    waiting: list[Any] = [msgspec.inspect.type_info(root)]
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                continue
            found.append(info.cls)
            waiting += [field.type for field in info.fields]
        for name in ("type", "item_type", "key_type", "value_type"):
            if hasattr(info, name):
                waiting.append(getattr(info, name))
        waiting += getattr(info, "types", ()) + getattr(info, "item_types", ())
    return found


def _read(kind: type, value: Any) -> Any:
    if kind is Duration:
        if isinstance(value, str):
            return duration(value)
        raise ValueError("expected a duration such as 15s, 5m or 1h")
    if kind is Secret:
        if isinstance(value, str):
            return Secret(value)
        raise ValueError("expected a text")
    raise NotImplementedError(f"a field of type {kind.__name__}")


def _schema(kind: type) -> dict[str, Any]:
    if kind is Duration:
        return {"type": "string", "format": "duration", "examples": ["30s", "5m"]}
    if kind is Secret:
        return {"type": "string", "format": "password"}
    raise NotImplementedError(f"a field of type {kind.__name__}")
