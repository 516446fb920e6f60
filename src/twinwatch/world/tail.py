"""The door to answers that do not end: a server that goes on telling, piece by piece.

Invariants: opening and every piece have a deadline; a piece is bounded; only ``Unreachable`` leaves the door.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from twinwatch.world.http import FAILURES, AiohttpHttp, Answer, Began, Unreachable

PIECE_BYTES = 1 << 16
REFUSAL_BYTES = 1 << 16


class Tail(Protocol):
    """An open answer with status 200."""

    async def receive(self, *, silence_seconds: float) -> bytes:
        """The next piece, at most ``PIECE_BYTES``; empty at the end.

        Raises: Unreachable if it was cut, or nothing came for ``silence_seconds``.
        """
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class Tails(Protocol):
    """Opens answers that do not end."""

    async def open(
        self, url: str, *, headers: dict[str, str] | None = None, verify: bool = True, timeout_seconds: float
    ) -> Tail | Answer:
        """The open answer to a GET, or the whole of one that has another status than 200.

        Raises: Unreachable if there is none within ``timeout_seconds``.
        """
        ...


class HostTails:
    """The real door. Each answer has a connection of its own."""

    async def open(
        self, url: str, *, headers: dict[str, str] | None = None, verify: bool = True, timeout_seconds: float
    ) -> Tail | Answer:
        """See ``Tails``."""
        http = AiohttpHttp(verify=verify, connections=1)
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await http.began("GET", url, headers)
                if response.status == 200:
                    return _HostTail(http, response)
                body = await response.content.read(REFUSAL_BYTES)
                fields = {name.lower(): value for name, value in response.headers.items()}
                answer = Answer(response.status, body, fields)
        except TimeoutError as err:
            await http.close()
            raise Unreachable(f"no answer within {timeout_seconds:g} s") from err
        except FAILURES as err:
            await http.close()
            raise Unreachable(f"{type(err).__name__}: {err}"[:200]) from err
        except BaseException:
            await http.close()
            raise
        await http.close()
        return answer


class _HostTail:
    def __init__(self, http: AiohttpHttp, response: Began) -> None:
        self._http = http
        self._response = response

    async def receive(self, *, silence_seconds: float) -> bytes:
        try:
            async with asyncio.timeout(silence_seconds):
                return await self._response.content.readany()
        except TimeoutError as err:
            raise Unreachable(f"nothing was heard for {silence_seconds:g} s") from err
        except FAILURES as err:
            raise Unreachable(f"{type(err).__name__}: {err}"[:200]) from err

    async def close(self) -> None:
        self._response.close()
        await self._http.close()
