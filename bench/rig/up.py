"""``twinwatch up`` as a person has it: real processes, in a temporary folder, on a free port.

Invariant: whatever happens inside, everything is ended and the folder removed; what is left of either is a failure.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from bench.rig import Failed
from bench.rig.person import Person
from bench.rig.processes import Process, descendants, naming, process
from twinwatch.hub.embedded import die_with_parent
from twinwatch.testing.ports import free_port

START_SECONDS = 90.0
STOP_SECONDS = 45.0
LINGER_SECONDS = 10.0
LINGER_LOOKS = 100
LOG_LINES = 30

SETUP_LINK = re.compile(r"/setup/\?token=(\S+)")


class Up:
    """A running Twinwatch; a context manager. ``agent`` is whether it watches this machine, ``settings`` are
    ``TWINWATCH_…`` variables of the hub."""

    def __init__(self, *, agent: bool, settings: Mapping[str, str] | None = None) -> None:
        self._agent = agent
        self._settings = dict(settings or {})
        self._folder = Path()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._said: list[str] = []
        self._greeted = asyncio.Event()
        self._all: list[Process] = []
        self.began = 0.0
        """When it was started, on the clock of ``time.monotonic``."""
        self.up_seconds = 0.0
        """From its start until it had greeted, with everything running."""
        self.url = ""
        self.person: Person
        """The first owner, signed in."""

    @property
    def folder(self) -> Path:
        """All that it writes is below; gone afterwards. Its modes let the database's own user through."""
        return self._folder

    @property
    def pid(self) -> int:
        """Of the process that was started: all others come from it."""
        assert self._process is not None
        return self._process.pid

    @property
    def hub(self) -> Process:
        """The hub's process."""
        return self._named("hub run")

    @property
    def agent(self) -> Process:
        """The agent's process."""
        return self._named("agent run")

    async def __aenter__(self) -> Up:
        """Started, set up and signed in."""
        self._folder = temporary_folder()
        try:
            await self._start()
        except BaseException as err:
            await self._end(err)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ended, and looked after."""
        await self._end(err)

    async def _start(self) -> None:
        listen = f"127.0.0.1:{free_port()}"
        self.url = f"http://{listen}"
        command = [sys.executable, "-P", "-m", "twinwatch.cli", "up"]
        command += ["--data-dir", str(self._folder / "data"), "--listen", listen]
        command += [] if self._agent else ["--no-agent"]
        self.began = time.monotonic()
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=bare_environment() | self._settings,
                cwd="/",
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        self._reader = asyncio.create_task(self._listen())
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._greeted.wait()
        except TimeoutError:
            raise self._failed(f"`twinwatch up` was not up within {START_SECONDS:g} s") from None
        link = next((found for found in map(SETUP_LINK.search, self._said) if found), None)
        if link is None:
            raise self._failed("`twinwatch up` ended, or printed no set-up link")
        self._all = [process(self._process.pid), *descendants(self._process.pid)]
        self.person = Person(self.url)
        await self.person.set_up(link[1])

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            text = raw.decode(errors="replace").rstrip()
            self._said.append(text)
            if " is up after " in text:
                self.up_seconds = time.monotonic() - self.began
            if "Ctrl-C" in text:
                self._greeted.set()
        self._greeted.set()

    async def _end(self, err: BaseException | None) -> None:
        """Everything down. A failure inside is worth more than one while tidying up."""
        trouble = []
        try:
            if hasattr(self, "person"):
                await self.person.close()
            if self._process is not None:
                trouble += await self._stop(self._process)
            log = self._ends_of_logs()
            await self._gone()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        trouble += [f"process {one.pid} is left: {one.command()}" for one in self._left()]
        if self._folder.exists():
            trouble.append(f"folder {self._folder} is left")
        if err is None and trouble:
            raise Failed("; ".join(trouble) + log)
        if isinstance(err, Exception) and not (isinstance(err, Failed) and err.has_logs):
            said = str(err) if isinstance(err, Failed) else f"{type(err).__name__}: {err}"
            raise Failed(said + log) from err

    async def _stop(self, running: asyncio.subprocess.Process) -> list[str]:
        self._all += [one for one in descendants(running.pid) if one not in self._all]
        with suppress(ProcessLookupError):
            running.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await running.wait()
        except TimeoutError:
            running.kill()  # the kernel ends its children
            await running.wait()
            return [f"`twinwatch up` did not end within {STOP_SECONDS:g} s of SIGTERM"]
        if self._reader is not None:
            await self._reader
        return [] if code == 0 else [f"`twinwatch up` ended with exit code {code}"]

    async def _gone(self) -> None:
        """Waits for those that outlive a parent that was killed: they are on their way out."""
        for _ in range(LINGER_LOOKS):
            if not self._left():
                return
            await asyncio.sleep(LINGER_SECONDS / LINGER_LOOKS)

    def _left(self) -> list[Process]:
        known = [one for one in self._all if one.is_running()]
        return known + [one for one in naming(str(self._folder)) if one not in known]

    def _named(self, words: str) -> Process:
        assert self._process is not None
        found = [one for one in descendants(self._process.pid) if words in one.command()]
        if len(found) != 1:
            raise self._failed(f"{len(found)} processes of `twinwatch {words}`")
        return found[0]

    def _failed(self, reason: str) -> Failed:
        return Failed(reason + self._ends_of_logs(), has_logs=True)

    def _ends_of_logs(self) -> str:
        said = "".join(f"\n  stdout  {text}" for text in self._said[-LOG_LINES:] if text)
        for path in (self._folder / "log", self._folder / "data" / "postgres.log"):
            with suppress(OSError):
                ends = path.read_text(errors="replace").splitlines()[-LOG_LINES:]
                said += "".join(f"\n  {path.name}  {text}" for text in ends)
        return SETUP_LINK.sub("/setup/?token=…", said)


def temporary_folder() -> Path:
    """A folder that others may pass through, on a disk rather than in memory where there is a choice."""
    roomy = Path("/var/tmp")
    above = roomy if "TMPDIR" not in os.environ and os.access(roomy, os.W_OK) else Path(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="twinwatch-bench-", dir=above))
    folder.chmod(0o755)
    return folder


def bare_environment() -> dict[str, str]:
    """Ours, without what would set Twinwatch or its database otherwise than a fresh machine has them."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TWINWATCH_", "PG"))}
