"""The one thread that blocking work of the agent (SQLite) lives on, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs calls one after the other, in the order given. ``inline`` runs them on the spot: for virtual time."""

    def __init__(self, *, inline: bool = False) -> None:
        self._executor = None if inline else ThreadPoolExecutor(1, thread_name_prefix="twinwatch-buffer")

    async def do(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result. Cancelled while it waits, the call still takes place."""
        if self._executor is None:
            return work(*args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(work, *args, **kwargs))

    def close(self) -> None:
        """Wait for what is in hand and end the thread."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=False)
