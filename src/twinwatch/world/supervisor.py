"""The service manager that started this process, told how it fares: sd_notify(3) without a library.

Invariants: nothing here raises or waits: a process that nobody supervises, or whose manager does not listen, runs as
well; a text is one line and bounded.
Source: sd_notify(3), sd_watchdog_enabled(3), systemd.service(5).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

STATUS_CHARACTERS = 200


class Supervisor:
    """The manager, as the environment names it. ``pid`` is the process that it must mean to be listened to."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        pid: int | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._monotonic_ns = monotonic_ns
        self.watchdog_seconds = _watchdog_seconds(environment, os.getpid() if pid is None else pid)
        """A sign of life is due within this; None: nobody waits for one."""

    @property
    def there(self) -> bool:
        """Whether a manager wants to be told."""
        return self._address is not None

    def ready(self, status: str = "") -> None:
        """Started, or done with reloading."""
        self._tell("READY=1", status)

    def reloading(self) -> None:
        """Began to reload; ``ready`` ends it."""
        # The clock is CLOCK_MONOTONIC, as the manager's own.
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={self._monotonic_ns() // 1000}", "reloading the configuration")

    def stopping(self) -> None:
        """Began to end."""
        self._tell("STOPPING=1", "bringing the last ticks to the hub")

    def alive(self, status: str = "") -> None:
        """The watchdog's sign of life."""
        self._tell("WATCHDOG=1", status)

    def _tell(self, state: str, status: str) -> None:
        if self._address is None:
            return
        if status:
            line = "".join(letter if letter.isprintable() else " " for letter in status)
            state += f"\nSTATUS={line[:STATUS_CHARACTERS]}"
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            ) as sender:
                sender.sendto(state.encode(), self._address)
        except OSError:
            return


def _address(text: str) -> str | None:
    """A path, or with a leading ``@`` a name in the abstract namespace. Others (``vsock:``) are none of ours."""
    if len(text) < 2 or text[0] not in "/@":
        return None
    return "\0" + text[1:] if text[0] == "@" else text


def _watchdog_seconds(environment: Mapping[str, str], pid: int) -> float | None:
    text, meant = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (text.isascii() and text.isdigit() and int(text) > 0) or (meant and meant != str(pid)):
        return None
    return int(text) / 1_000_000
