"""A network namespace with a cable to this machine that can be cut: for agents whose network is lost.

Source: ip-netns(8), veth(4). Takes root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def lacking() -> str:
    """What this machine lacks for it; empty if nothing."""
    if os.geteuid() != 0:
        return "root"
    if shutil.which("ip") is None:
        return "ip (iproute2)"
    name = f"twinwatch-{os.getpid()}-try"
    if error := _ip("netns", "add", name):
        return f"network namespaces ({error})"
    _ip("netns", "delete", name)
    return ""


class Cable:
    """``host`` is this machine's address at its end; ``within`` runs a command at the other end."""

    def __init__(self, name: str, end: str, host: str) -> None:
        self.host = host
        self.within = ("ip", "netns", "exec", name)
        self._end = end

    def cut(self) -> None:
        """Nothing goes through any more, and nobody is told."""
        _must("link", "set", self._end, "down")

    def mend(self) -> None:
        """It goes through again."""
        _must("link", "set", self._end, "up")


@contextmanager
def cable() -> Iterator[Cable]:
    """One that works, for as long as the block."""
    number = os.getpid()
    name, end, other = f"twinwatch-{number}", f"twh{number}", f"twn{number}"
    network = f"10.{200 + number % 50}.{number // 50 % 250}"
    _must("netns", "add", name)
    try:
        _must("link", "add", end, "type", "veth", "peer", "name", other, "netns", name)
        _must("address", "add", f"{network}.1/30", "dev", end)
        _must("link", "set", end, "up")
        _must("-n", name, "address", "add", f"{network}.2/30", "dev", other)
        for one in (other, "lo"):
            _must("-n", name, "link", "set", one, "up")
        _must("-n", name, "route", "add", "default", "via", f"{network}.1")
        yield Cable(name, end, f"{network}.1")
    finally:
        _ip("link", "delete", end)
        _ip("netns", "delete", name)


def _must(*arguments: str) -> None:
    error = _ip(*arguments)
    assert not error, f"ip {' '.join(arguments)}: {error}"


def _ip(*arguments: str) -> str:
    """What went wrong; empty if nothing."""
    ended = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    return "" if ended.returncode == 0 else ended.stderr.strip() or f"exit code {ended.returncode}"
