"""A process for the length of a block."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.rig.processes import Process, process
from twinwatch.hub.embedded import die_with_parent

END_SECONDS = 10.0


@asynccontextmanager
async def running(command: Sequence[str], environment: dict[str, str], log: Path) -> AsyncIterator[Process]:
    """Started, and ended afterwards: by SIGTERM, and if that is not enough, by SIGKILL. It does not outlive us."""
    with log.open("ab") as output:
        started = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd="/",
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    try:
        yield process(started.pid)
    finally:
        if started.returncode is None:
            started.terminate()
        try:
            async with asyncio.timeout(END_SECONDS):
                await started.wait()
        except TimeoutError:
            started.kill()
            await started.wait()
