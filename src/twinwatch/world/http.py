"""The door to HTTP, a thin one over aiohttp: one request, one answer, one kind of failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Unreachable(Exception):
    """No complete answer: name, connection, TLS, time-out or a cut. The message says which, never the headers sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response. Header names are lower case."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Http(Protocol):
    """Sends requests. Redirects are not followed: the status comes back as it is."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float,
    ) -> Answer:
        """One request and its whole answer.

        Raises: Unreachable if there is none within ``timeout_seconds``.
        """
        ...
