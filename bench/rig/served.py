"""A hub's real processes on a shelf's database."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.rig import Failed
from bench.rig.line import Line
from bench.rig.running import running
from bench.rig.shelf import SECRET, Shelf
from bench.rig.up import bare_environment
from twinwatch.hub.keys import new_key
from twinwatch.testing.ports import free_port

START_SECONDS = 60.0


@asynccontextmanager
async def served(one: Shelf, workers: int) -> AsyncIterator[tuple[str, str]]:
    """Its address, and a key with which servers may join."""
    organization_id = await one.organization()
    key = new_key("twe")
    await one.owner.execute(
        "insert into public.enrolment_keys (organization_id, name, prefix, hash) values (%s, 'bench', %s, %s)",
        (organization_id, key.prefix, key.digest),
    )
    port = free_port()
    environment = {
        **bare_environment(),
        "TWINWATCH_DATABASE_URL": one.owner_url,
        "TWINWATCH_SECRET": SECRET.reveal(),
        "TWINWATCH_DATA_DIR": str(one.folder / "hub"),
    }
    command = [sys.executable, "-P", "-m", "twinwatch.cli", "hub", "run", "--workers", str(workers)]
    command += ["--listen", f"127.0.0.1:{port}"]
    async with running(command, environment, one.folder / "hub.log"):
        await _answers(port)
        yield f"http://127.0.0.1:{port}", key.key


async def _answers(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        line = Line("127.0.0.1", port, "")
        answer = await line.post("samples", b"")
        line.close()
        if answer.status == 401:
            return
        await asyncio.sleep(0.2)
    raise Failed("the hub does not answer")
