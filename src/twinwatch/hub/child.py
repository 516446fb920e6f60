"""A process that is kept running: started again when it dies, unless it dies at once and again and again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping

from twinwatch.hub.embedded import die_with_parent

STOP_SECONDS = 15.0
RESTARTS = 5
RESTARTS_WITHIN_SECONDS = 60.0


class Child:
    """One process. Without ``vital`` the others go on when this one cannot."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        environment: Mapping[str, str],
        say: Callable[[str], None],
        *,
        pointless: tuple[int, ...] = (),
        vital: bool = True,
    ) -> None:
        self._pointless = pointless
        self._vital = vital
        self._name = name
        self._arguments = arguments
        self._environment = environment
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._starts: list[float] = []
        self._starting = asyncio.Lock()
        self._stopping = False

    async def start(self) -> None:
        """Starts it, unless it was stopped; it inherits our standard error for its log."""
        async with self._starting:
            if self._stopping:
                return
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                env=dict(self._environment),
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C on the terminal is for us: the children are ended one after the other.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
            self._starts.append(time.monotonic())

    @property
    def exit_code(self) -> int | None:
        """Set once it has ended."""
        return None if self._process is None else self._process.returncode

    async def keep(self) -> int:
        """Starts it again whenever it ends; returns its exit code when that has become pointless and it is vital."""
        while True:
            assert self._process is not None  # noqa: S101
            code = await self._process.wait()
            if self._stopping:
                return 0
            recent = [start for start in self._starts if time.monotonic() - start < RESTARTS_WITHIN_SECONDS]
            if code in self._pointless or len(recent) > RESTARTS:
                self._say(f"{self._name} ended with exit code {code}; giving up")
                if not self._vital:
                    await asyncio.Event().wait()
                return code or 1
            self._say(f"{self._name} ended unexpectedly (exit code {code}); starting it again")
            await asyncio.sleep(min(len(recent), 5))
            await self.start()

    async def stop(self) -> None:
        """Asks it to end, and sees to it."""
        self._stopping = True
        async with self._starting:
            pass  # who is being started is known from here on
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._say(f"{self._name} did not end within {STOP_SECONDS:g} s: killed")
            self._process.kill()
            await self._process.wait()
