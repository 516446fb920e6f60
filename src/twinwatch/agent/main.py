"""The agent's composition root: the real doors, signals, the log and the exit code.

Exit codes: 0 stopped as asked; 1 a defect of the agent (with its traceback); 2 a setting that cannot be; 3 a state
directory that cannot be used; 4 an enrolment that the hub refuses. Restarting helps after 1 and 3 only.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from twinwatch import __version__
from twinwatch.agent.buffer import BufferUnusable
from twinwatch.agent.configuration import Misconfigured, Settings, add_arguments, settings_from
from twinwatch.agent.daemon import Agent
from twinwatch.agent.identity import IdentityUnusable
from twinwatch.agent.uplink.enrolment import EnrolmentRefused
from twinwatch.monitors import Monitor
from twinwatch.monitors.discover import discover
from twinwatch.monitors.options import options_of
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp

_log = logging.getLogger("twinwatch.agent")


class Exit(IntEnum):
    """What the process says with its exit code."""

    STOPPED = 0
    MISCONFIGURED = 2
    STATE_UNUSABLE = 3
    ENROLMENT_REFUSED = 4


class StateUnusable(Exception):
    """The state directory cannot be made, written or had for oneself."""


async def run(settings: Settings) -> int:
    """Run an agent of this machine until SIGTERM or SIGINT. The result is the exit code; its reason is logged."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    http = AiohttpHttp(connections=4)
    try:
        with state_dir_of_our_own(settings.state_dir):
            world = World(clock=SystemClock(), http=http, host=Host())
            _log.info("twinwatch agent %s: %s, state in %s", __version__, settings.hub, settings.state_dir)
            await Agent(settings, world, found_monitors(), started=gc.freeze).run(stop)
    except Misconfigured as err:
        return _end(Exit.MISCONFIGURED, err)
    except (StateUnusable, IdentityUnusable, BufferUnusable) as err:
        return _end(Exit.STATE_UNUSABLE, err)
    except EnrolmentRefused as err:
        return _end(Exit.ENROLMENT_REFUSED, err)
    finally:
        await http.close()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    return Exit.STOPPED


def command(args: argparse.Namespace) -> int:
    """``twinwatch agent run`` with parsed arguments; the result is the exit code."""
    open_log()
    os.umask(0o077)
    try:
        settings = settings_from(args)
    except Misconfigured as err:
        return _end(Exit.MISCONFIGURED, err)
    return asyncio.run(run(settings))


def main(arguments: list[str] | None = None) -> int:
    """``python -m twinwatch.agent``."""
    parser = argparse.ArgumentParser("twinwatch agent run", description="Watch this machine and bring it to a hub.")
    add_arguments(parser)
    return command(parser.parse_args(arguments))


def found_monitors() -> list[Monitor]:
    """An instance of every monitor of this installation; flaws of plug-ins are logged."""
    found = discover()
    for flaw in found.flaws:
        _log.warning("monitor %s is left out: %s", flaw.source, flaw.reason)
    kind = found.monitors["system"]
    return [kind(options_of(kind, {}))]


@contextmanager
def state_dir_of_our_own(path: Path) -> Iterator[None]:
    """The folder, made if it is missing, and no other agent's while this lasts.

    Raises: StateUnusable.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise StateUnusable(
            f"state directory {path}: {(err.strerror or str(err)).lower()}; "
            "give one that this user may write with --state-dir or TWINWATCH_STATE_DIR"
        ) from err
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            holder = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
            raise StateUnusable(f"state directory {path}: in use by another agent (process {holder})") from err
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def open_log() -> None:
    """Log to standard error: with the time, or with journald's priorities where journald dates the lines itself."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class _JournalFormatter(logging.Formatter):
    """Source: sd-daemon(3), the ``<priority>`` prefix of a line."""

    def format(self, record: logging.LogRecord) -> str:
        priority = 3 if record.levelno >= logging.ERROR else 4 if record.levelno >= logging.WARNING else 6
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def _end(code: Exit, err: Exception) -> int:
    _log.error("%s", err)
    return code
