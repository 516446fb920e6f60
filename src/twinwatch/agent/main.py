"""The agent's composition root: the real doors, signals, the log and the exit code.

Exit codes: 0 stopped as asked; 1 a defect of the agent (with its traceback); 2 a setting that cannot be; 3 a state
directory that cannot be used; 4 an enrolment that the hub refuses. Restarting helps after 1 and 3 only.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import fcntl
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import IntEnum
from pathlib import Path

from twinwatch import __version__
from twinwatch.agent.alerting.channels import Telling
from twinwatch.agent.buffer import BufferUnusable
from twinwatch.agent.configuration import Misconfigured, add_arguments
from twinwatch.agent.configuration.configurator import Configurator
from twinwatch.agent.configuration.sources import Sources
from twinwatch.agent.daemon import Agent
from twinwatch.agent.identity import IdentityUnusable
from twinwatch.agent.installed import Installed, installed
from twinwatch.agent.logs import open_log
from twinwatch.agent.uplink.enrolment import EnrolmentRefused
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import Outside, World
from twinwatch.world.heap import give_back, keep_small
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp
from twinwatch.world.late import late
from twinwatch.world.shelf import FOLDER, FolderShelf
from twinwatch.world.supervisor import Supervisor

MONITORS_CONNECTIONS = 64
SETTLE_SECONDS = (3.5, 30.0)
"""After the start: once every monitor has run twice, and once everything was sent to the hub."""
GIVE_BACK_SECONDS = 600.0
MONITORS_ANSWER_BYTES = 8 << 20
"""Exporters of large machines say megabytes."""

_log = logging.getLogger("twinwatch.agent")


class Exit(IntEnum):
    """What the process says with its exit code."""

    STOPPED = 0
    MISCONFIGURED = 2
    STATE_UNUSABLE = 3
    ENROLMENT_REFUSED = 4


class StateUnusable(Exception):
    """The state directory cannot be made, written or had for oneself."""


async def run(args: argparse.Namespace) -> int:
    """Run an agent of this machine until SIGTERM or SIGINT. The result is the exit code; its reason is logged."""
    gc.collect()  # what the imports left: the holes are filled from now on
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _nothing)  # the configuration is about to be read anyway
    to_hub: AiohttpHttp | None = None
    to_people: AiohttpHttp | None = None
    world = World(clock=SystemClock(), http=monitors_http(), host=Host())
    try:
        monitors = installed_monitors()
        configurator = Configurator(Sources(args), monitors.found)
        settings = configurator.settings
        open_log(settings.log.format, settings.log.level)
        world = replace(world, shelf=FolderShelf(settings.state_dir / FOLDER))
        to_hub = AiohttpHttp(ca_file=settings.ca_file, connections=6, proxies=True)
        to_people = AiohttpHttp(ca_file=settings.ca_file, proxies=True)
        with state_dir_of_our_own(settings.state_dir):
            where = settings.hub or "no hub"
            _log.info("twinwatch agent %s: %s, state in %s", __version__, where, settings.state_dir)
            agent = Agent(
                configurator,
                world,
                to_hub=to_hub,
                kinds=monitors.kinds,
                supervisor=Supervisor(),
                started=_started,
                telling=Telling(Outside(to_people, late("mail", "SmtpMail", ca_file=settings.ca_file))),
            )
            loop.add_signal_handler(signal.SIGHUP, _hung_up, agent, stop, sys.stderr.isatty())
            await agent.run(stop)
    except Misconfigured as err:
        return _end(Exit.MISCONFIGURED, err)
    except (StateUnusable, IdentityUnusable, BufferUnusable) as err:
        return _end(Exit.STATE_UNUSABLE, err)
    except EnrolmentRefused as err:
        return _end(Exit.ENROLMENT_REFUSED, err)
    finally:
        for door in (to_hub, to_people):
            if door is not None:
                await door.close()
        await world.close()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
    return Exit.STOPPED


def command(args: argparse.Namespace) -> int:
    """``twinwatch agent run`` with parsed arguments; the result is the exit code."""
    once = getattr(args, "once", False)
    open_log(getattr(args, "log_format", None) or "", "error" if once else "info")
    os.umask(0o077)
    keep_small()
    if once:
        from twinwatch.agent.once import run_once  # noqa: PLC0415 - nothing that an agent which stays needs

        return asyncio.run(run_once(args, installed_monitors().found))
    return asyncio.run(run(args))


def main(arguments: list[str] | None = None) -> int:
    """``python -m twinwatch.agent``."""
    parser = argparse.ArgumentParser("twinwatch agent run", description="Watch this machine and bring it to a hub.")
    add_arguments(parser)
    return command(parser.parse_args(arguments))


def monitors_http() -> AiohttpHttp:
    """The monitors' door to HTTP, apart from the hub's: targets that hang must not take a heartbeat's connection."""
    return AiohttpHttp(answer_bytes=MONITORS_ANSWER_BYTES, connections=MONITORS_CONNECTIONS, sockets=True)


def installed_monitors() -> Installed:
    """The monitors of this installation; flaws of plug-ins are logged."""
    monitors = installed()
    for flaw in monitors.found.flaws:
        _log.warning("monitor %s is left out: %s", flaw.source, flaw.reason)
    return monitors


@contextmanager
def state_dir_of_our_own(path: Path) -> Iterator[None]:
    """The folder, made if it is missing, and no other agent's while this lasts.

    One that has become read-only will do: ticks are then kept in memory. Raises: StateUnusable.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(path / "lock")
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
        with suppress(OSError):  # a full or read-only disk: nobody can read then who holds it
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def _lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        if err.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _started() -> None:
    gc.collect()  # what is frozen stays, garbage too
    gc.freeze()
    loop = asyncio.get_running_loop()
    loop.call_later(SETTLE_SECONDS[0], give_back)
    loop.call_later(SETTLE_SECONDS[1], _give_back)


def _give_back() -> None:
    """What the start, and later what a day's backlog, took of memory is not kept."""
    give_back()
    asyncio.get_running_loop().call_later(GIVE_BACK_SECONDS, _give_back)


def _nothing() -> None:
    """What a signal that comes too early does."""


def _hung_up(agent: Agent, stop: asyncio.Event, terminal: bool) -> None:
    """SIGHUP means two things: read the configuration anew, and that the terminal it ran on is gone."""
    if terminal and not sys.stderr.isatty():
        stop.set()
    else:
        agent.reload()


def _end(code: Exit, err: Exception) -> int:
    _log.error("%s", err)
    return code
