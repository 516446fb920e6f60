"""A stand-in for the process that sends with Apprise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from twinwatch.notify.apprise_child import Answer, Order
from twinwatch.world.commands import OUTPUT_BYTES, CommandFailed, Ended

TAKEN = Answer("sent")


class PaperApprise:
    """A door to programs behind which one only is: it keeps its orders, and answers this."""

    def __init__(self, answer: Answer | Ended | CommandFailed) -> None:
        self.answer = answer
        self.orders: list[Order] = []
        self.arguments: list[str] = []

    async def run(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float,
        output_bytes: int = OUTPUT_BYTES,
        content: bytes = b"",
    ) -> Ended:
        """See ``Commands``."""
        self.arguments = list(arguments)
        self.orders.append(msgspec.json.decode(content, type=Order))
        if isinstance(self.answer, Answer):
            return Ended(0, msgspec.json.encode(self.answer).decode())
        if isinstance(self.answer, CommandFailed):
            raise self.answer
        return self.answer
