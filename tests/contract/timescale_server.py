"""A real TimescaleDB for tests: the one in WebAssembly that ``timescale/server.mjs`` puts behind a port.

It compresses, has policies and community functions. What it has not: a second session (connections take turns, by
transactions), background workers (a policy runs when its job is called), and ``timescaledb.license``, which is read
from a configuration file that it never opens.
"""

from __future__ import annotations

import asyncio
import select
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import psycopg
import pytest

from twinwatch.hub.migrations import migrate
from twinwatch.testing.postgres import EMPTY, SECRET

FOLDER = Path(__file__).with_name("timescale")
START_SECONDS = 60.0


class TimescaleServer:
    """A process with one database: the extension, today's schema, and nothing in it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        """Of the superuser."""
        self.serving_url = ""
        """Of the hub's own role, which here is nobody's password."""

    def __enter__(self) -> TimescaleServer:
        node = _installed()
        self._process = subprocess.Popen(
            [node, "server.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        heard, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        port = self._process.stdout.readline().decode().strip() if heard else ""
        assert port.isdecimal(), f"TimescaleDB does not start: exit code {self._process.poll()}"
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable&gssencmode=disable"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("create schema extensions")  # where Supabase has it: nothing may depend on public
            connection.execute("create extension timescaledb with schema extensions")
        with ThreadPoolExecutor(1) as beside:  # whoever asks for it may be in a loop
            self.serving_url = beside.submit(lambda: asyncio.run(migrate(self.url, SECRET))).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def empty(self) -> None:
        """Removes every row, and what the engine made."""
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            connection.execute("drop table if exists samples.readings")
            connection.execute("drop table if exists samples.ended_series")
            connection.execute("drop function if exists samples.note_ended_series() cascade")
            connection.execute(EMPTY)


def _installed() -> str:
    """Node, and what it needs from ``package-lock.json``, installed if it is not there yet."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not there")
    if not (FOLDER / "node_modules/@electric-sql/pglite").is_dir():
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=FOLDER, check=True, capture_output=True, timeout=300)
    return node
