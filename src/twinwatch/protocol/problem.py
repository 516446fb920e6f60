"""The one error shape of the API: problem details, RFC 9457, as ``application/problem+json``.

``type`` is ``urn:twinwatch:problem:<slug>``; the slug is what programs compare, title and detail are for people:
what is wrong with which value, what was expected, what to do.
"""

from __future__ import annotations

import msgspec

PROBLEM_PREFIX = "urn:twinwatch:problem:"
PROBLEM_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One refused request. ``limit`` is the bound that was met; ``shapes`` are the ids the hub does not know."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str = ""
    limit: int | None = None
    shapes: list[str] = []

    @property
    def slug(self) -> str:
        """The part of ``type`` that programs compare, such as ``clock-skew``."""
        return self.type.removeprefix(PROBLEM_PREFIX)
