"""Pushes as plain JSON, for a line of curl: ``{"name": "orders.open", "value": 12}``, or a list of such."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from twinwatch.agent.local.pushed import POINTS, Intake, Pushed
from twinwatch.agent.local.refusals import invalid, too_large

EXAMPLE = '{"name": "orders.open", "value": 12}'


class JsonSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sample. ``time`` is milliseconds since 1970 (UTC); without it, the time of arrival."""

    name: str
    value: float
    labels: dict[str, str] = {}
    unit: str = ""
    time: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] | None = None
    kind: Literal["gauge", "counter"] = "gauge"
    help: str = ""


_many = msgspec.json.Decoder(list[JsonSample])
_one = msgspec.json.Decoder(JsonSample)


def from_json(body: bytes) -> Intake:
    """The samples of the body.

    Raises: Refused if it is not a sample or a list of them, or has more than ``POINTS``.
    """
    decoder: msgspec.json.Decoder[Any] = _many if body.lstrip()[:1] == b"[" else _one
    try:
        found = decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
        raise invalid(f"{err}; expected {EXAMPLE} or a list of such") from err
    samples: list[JsonSample] = found if isinstance(found, list) else [found]
    if len(samples) > POINTS:
        raise too_large(f"{len(samples)} samples in one push; at most {POINTS}", POINTS)
    return Intake(
        [Pushed(each.name, each.kind, each.value, each.labels, each.unit, each.help, each.time) for each in samples]
    )
