"""A figure: what was measured, in which unit, against which budget and beside whom. Printed as a line of JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Peer(msgspec.Struct, frozen=True):
    """The same figure of another program, taken on this machine in the same run."""

    name: str
    value: float


class Figure(msgspec.Struct, frozen=True):
    """One figure. ``unit`` is UCUM (``s``, ``By``, ``1`` for a share); ``budget`` is the most, or with ``/s`` the
    least, that DESIGN.md section 6 allows. ``peer`` is None where there is none on this machine; never a guess."""

    bench: str
    figure: str
    value: float
    unit: str
    budget: float | None = None
    peer: Peer | None = None


def line(figure: Figure) -> str:
    """The figure as it is printed; numbers bear six significant digits, since no measurement here bears more."""
    peer = None if figure.peer is None else msgspec.structs.replace(figure.peer, value=rounded(figure.peer.value))
    return msgspec.json.encode(
        msgspec.structs.replace(figure, value=rounded(figure.value), peer=peer),
    ).decode()


def rounded(value: float) -> float:
    """Six significant digits; whole numbers stay whole."""
    if isinstance(value, int) or value == 0 or not math.isfinite(value):
        return value
    return round(value, 5 - math.floor(math.log10(abs(value))))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed (nearest rank, nothing made up).

    Raises: ValueError without values, or for a share outside 0 to 1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"percentile {share} of {len(values)} values")
    rank = math.ceil(share * len(values))
    return sorted(values)[max(rank, 1) - 1]
