"""Why a request is refused: raised anywhere below a route, answered as a problem (RFC 9457) by the server."""

from __future__ import annotations

import msgspec

from twinwatch.protocol.problem import PROBLEM_PREFIX, Problem


class Refused(Exception):
    """A request that is not served; ``detail`` says which value, what was expected and what to do."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        *,
        limit: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = headers or {}
        self.problem = Problem(PROBLEM_PREFIX + slug, title, status, detail[:2000], limit=limit)

    @property
    def body(self) -> bytes:
        """The problem as JSON. A lone surrogate that a client sent must not make its answer unwritable."""
        detail = self.problem.detail.encode("utf-8", "replace").decode()
        return msgspec.json.encode(msgspec.structs.replace(self.problem, detail=detail))


def invalid(detail: str) -> Refused:
    """The body is not what it should be."""
    return Refused(400, "invalid", "Not understood", detail)


def too_large(detail: str, limit: int) -> Refused:
    """More than is taken at once."""
    return Refused(413, "too-large", "Too large", detail, limit=limit)
