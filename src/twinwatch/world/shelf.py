"""The door to what a monitor must know over a restart of the agent: small files in its state directory.

Invariants: a file is whole or as it was before; of several who change one, each sees what the one before has
written, in other processes too; what was written is on the disk when ``change`` returns; nobody but the agent's user
may read it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

FOLDER = "monitors"
"""Of the agent's state directory."""
CONTENT_BYTES = 64 << 10
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


class ShelfBroken(Exception):
    """It cannot be read or written. The message says which file and why."""


class Shelf(Protocol):
    """Keeps contents by name: lower-case letters, digits and ``-``, the monitor's name first."""

    async def read(self, name: str) -> bytes:
        """What is kept; empty if nothing is.

        Raises: ShelfBroken.
        """
        ...

    async def change(self, name: str, how: Callable[[bytes], bytes]) -> None:
        """Keep what ``how`` makes of what is kept. ``how`` is called once, and nobody else changes it meanwhile.

        Raises: ShelfBroken; then what was kept is still there. What ``how`` raises.
        """
        ...


class MemoryShelf:
    """One that forgets everything with the process."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    async def read(self, name: str) -> bytes:
        """See ``Shelf``."""
        return self.contents.get(_lawful(name), b"")

    async def change(self, name: str, how: Callable[[bytes], bytes]) -> None:
        """See ``Shelf``."""
        self.contents[_lawful(name)] = how(self.contents.get(name, b""))


class FolderShelf:
    """A file each in ``folder``, which is made when something is first kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, name: str) -> bytes:
        """See ``Shelf``."""
        return await asyncio.to_thread(self._read, self._folder / _lawful(name))

    async def change(self, name: str, how: Callable[[bytes], bytes]) -> None:
        """See ``Shelf``. Once begun it is done to the end, whoever is cancelled."""
        await asyncio.shield(asyncio.to_thread(self._change, self._folder / _lawful(name), how))

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                content = file.read(CONTENT_BYTES + 1)
        except FileNotFoundError:
            return b""
        except OSError as err:
            raise ShelfBroken(f"{path}: {(err.strerror or str(err)).lower()}") from err
        if len(content) > CONTENT_BYTES:
            raise ShelfBroken(f"{path}: larger than {CONTENT_BYTES} bytes; remove it")
        return content

    def _change(self, path: Path, how: Callable[[bytes], bytes]) -> None:
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as err:
            raise ShelfBroken(f"{path}: {(err.strerror or str(err)).lower()}") from err
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._read(path)
            after = how(before)
            if after != before:
                _write(path, after)
        except OSError as err:
            raise ShelfBroken(f"{path}: {(err.strerror or str(err)).lower()}") from err
        finally:
            os.close(lock)


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lawful(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r}: expected lower-case letters, digits and -")
    return name
