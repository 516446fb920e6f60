"""An agent of a server of its own: a real process with its configuration file, asked over its socket."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bench.rig import Failed
from bench.rig.processes import Process
from bench.rig.running import running
from bench.rig.up import Up, bare_environment
from twinwatch.agent.status import SOCKET_FILE, Status

READY_SECONDS = 90.0
LOOK_SECONDS = 0.05


class Watched:
    """A server with its agent."""

    def __init__(self, up: Up, name: str, folder: Path, process: Process) -> None:
        self._up = up
        self.name = name
        self.folder = folder
        self._process = process

    async def status(self) -> Status | None:
        """What its agent says; None while it does not answer."""
        connector = aiohttp.UnixConnector(str(self.folder / SOCKET_FILE))
        try:
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.get("http://agent/api/v1/status") as answer,
            ):
                return msgspec.json.decode(await answer.read(), type=Status)
        except (aiohttp.ClientError, OSError):
            return None

    async def server(self) -> dict[str, Any]:
        """What the hub says of it; empty before it is registered."""
        servers = (await self._up.person.ask("GET", "/api/v1/servers"))["servers"]
        return next((one for one in servers if one["name"] == self.name), {})

    async def until_status(self, admits: Callable[[Status], object]) -> Status:
        """Its status, once it is so.

        Raises: Failed if it never is.
        """
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            status = await self.status()
            if status is not None and admits(status):
                return status
            await asyncio.sleep(LOOK_SECONDS)
        raise Failed(f"agent {self.name} was not ready within {READY_SECONDS:g} s\n{self._log_end()}")

    async def heard_anew(self, *, times: int = 1) -> None:
        """Returns right after the hub has heard it, for the so-manieth time from now.

        Raises: Failed if it does not.
        """
        end = time.monotonic() + READY_SECONDS
        before = (await self.server()).get("last_heartbeat_at")
        while times and time.monotonic() < end:
            await asyncio.sleep(LOOK_SECONDS)
            heard = (await self.server()).get("last_heartbeat_at")
            if heard != before:
                before, times = heard, times - 1
        if times:
            raise Failed(f"agent {self.name} was not heard within {READY_SECONDS:g} s\n{self._log_end()}")

    def kill(self) -> float:
        """Ends the agent with SIGKILL; the moment on the loop's clock."""
        at = asyncio.get_running_loop().time()
        os.kill(self._process.pid, signal.SIGKILL)
        return at

    def _log_end(self) -> str:
        return (self.folder.parent / f"{self.folder.name}.log").read_text(errors="replace")[-2000:]


@asynccontextmanager
async def watched(
    up: Up, name: str, configuration: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> AsyncIterator[Watched]:
    """A server of this name, from the start of its agent; ``configuration`` is the file's content."""
    folder = up.folder / name
    file = up.folder / f"{name}.yaml"
    file.write_bytes(msgspec.json.encode(configuration))  # JSON is YAML
    file.chmod(0o600)
    settings = {
        **bare_environment(),
        "TWINWATCH_CONFIG": str(file),
        "TWINWATCH_HUB": up.url,
        "TWINWATCH_SERVER_NAME": name,
        "TWINWATCH_ENROLMENT_KEY": await up.person.enrolment_key(),
        "TWINWATCH_STATE_DIR": str(folder),
        **(environment or {}),
    }
    command = [sys.executable, "-P", "-m", "twinwatch.agent"]
    async with running(command, settings, up.folder / f"{name}.log") as process:
        yield Watched(up, name, folder, process)
