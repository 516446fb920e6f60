"""The door to programs of the host: an argument list, never a shell; time and output are bounded.

Invariants: nothing of a program outlives the call, its children included (they share a process group, which is killed);
the environment is small and known; standard input is what was given, else empty.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

OUTPUT_BYTES = 64 << 10
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REAP_SECONDS = 1.0


class CommandFailed(Exception):
    """The program could not be started, or did not end in time. The message says which."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. ``code`` is negative for the signal that killed it; ``cut``: there was more output."""

    code: int
    output: str
    errors: str = ""
    cut: bool = False


class Commands(Protocol):
    """Runs programs."""

    async def run(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float,
        output_bytes: int = OUTPUT_BYTES,
        content: bytes = b"",
    ) -> Ended:
        """The program's end and what it wrote; bytes that are not UTF-8 become replacement characters. ``content`` is
        its standard input: what nobody is to see who lists the processes.

        Raises: CommandFailed.
        """
        ...


class HostCommands:
    """The real door."""

    async def run(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float,
        output_bytes: int = OUTPUT_BYTES,
        content: bytes = b"",
    ) -> Ended:
        """As ``Commands`` says."""
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=PIPE if content else DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                env={"PATH": PATH, "LANG": "C.UTF-8", **(environment or {})},
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as err:
            reason = err.strerror.lower() if isinstance(err, OSError) and err.strerror else str(err)
            raise CommandFailed(f"{arguments[0]}: {reason}") from err
        try:
            async with asyncio.timeout(timeout_seconds):
                (output, cut), (errors, _), _ = await asyncio.gather(
                    _read(process.stdout, output_bytes),
                    _read(process.stderr, output_bytes),
                    _write(process.stdin, content),
                )
                code = await process.wait()
        except TimeoutError:
            raise CommandFailed(f"{arguments[0]}: not ended within {timeout_seconds:g} s") from None
        finally:
            await _end(process)
        return Ended(code, output, errors, cut)


async def _read(stream: asyncio.StreamReader | None, most: int) -> tuple[str, bool]:
    """What was written, the rest read and dropped, so that the writer never blocks on a full pipe."""
    if stream is None:
        return "", False
    kept = bytearray()
    cut = False
    while piece := await stream.read(1 << 14):
        cut = cut or len(kept) + len(piece) > most
        kept += piece[: max(most - len(kept), 0)]
    return kept.decode("utf-8", "replace"), cut


async def _write(stream: asyncio.StreamWriter | None, content: bytes) -> None:
    """Hand it over. A program that does not read it all is not to blame."""
    if stream is None:
        return
    with suppress(ConnectionError):
        stream.write(content)
        await stream.drain()
    stream.close()


async def _end(process: Process) -> None:
    """Kill whatever is left of the process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        with suppress(TimeoutError):
            async with asyncio.timeout(REAP_SECONDS):
                await process.wait()
