"""Policies, silences and channels as the database has them, and whom a step means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from twinwatch.hub.stores.log import milliseconds
from twinwatch.protocol.policies import Policy, Silence

ANY_OF_KIND = "kind:"
"""``kind:slack`` in a policy's step: every channel of that kind; ``kind:*``: every channel."""


class Addressee(NamedTuple):
    """A channel that is on. ``direct``: agents speak on it too."""

    id: UUID
    kind: str
    direct: bool


def expanded(named: Sequence[str], channels: Iterable[DictRow]) -> list[Addressee]:
    """The channels that a step names, by id or by kind, that are on; each once, in the step's order."""
    there = [row for row in channels if row["enabled"]]
    found: dict[UUID, Addressee] = {}
    for name in named:
        for row in there:
            if name in (str(row["id"]), f"{ANY_OF_KIND}{row['kind']}", f"{ANY_OF_KIND}*"):
                found.setdefault(row["id"], Addressee(row["id"], row["kind"], row["direct"]))
    return list(found.values())


def policy_of(row: DictRow) -> Policy:
    """A row of ``policies``."""
    return msgspec.convert({**row["body"], "id": str(row["id"]), "name": row["name"]}, Policy)


def silence_of(row: DictRow) -> Silence:
    """A row of ``silences``."""
    times = {"since": milliseconds(row["starts_at"]), "until": ms_or_none(row["ends_at"]) or 0}
    return msgspec.convert({**row["body"], "id": str(row["id"]), **times}, Silence)


def ms_or_none(at: Any) -> int | None:
    """ms UTC of a ``timestamptz``, None for null."""
    return None if at is None else milliseconds(at)
