"""What one agent runs on, apart from its monitors, and the judgement of single values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from twinwatch.agent.configuration.problems import Misconfigured
from twinwatch.agent.local.settings import LocalSettings
from twinwatch.agent.watching.settings import HubWatchSettings, WitnessSettings
from twinwatch.protocol import limits
from twinwatch.protocol.durations import duration
from twinwatch.world.addresses import is_loopback
from twinwatch.world.secret import Secret

ROOT_STATE_DIR = Path("/var/lib/twinwatch-agent")
SERVER_NAME_CHARACTERS = 200
BUFFER_BYTES = 256 << 20
LEAST_BUFFER_BYTES = 8 << 20
BYTES_PER_SECOND = 1 << 20
LEAST_BYTES_PER_SECOND = 16 << 10

Precedence = Literal["file", "hub"]
LogFormat = Literal["", "human", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Remote:
    """What the hub may configure here. ``exec``: programs to run; ``secrets``: ``${VAR}`` and ``*_file``."""

    taken: bool = True
    exec: bool = False
    secrets: bool = False


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the agent logs. An empty format: for people on a terminal, for journald where that reads."""

    format: LogFormat = ""
    level: LogLevel = "info"


@dataclass(frozen=True, slots=True)
class BufferSettings:
    """The bounds of the buffer file."""

    most_bytes: int = BUFFER_BYTES


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """How fast a backlog leaves for the hub, compressed."""

    bytes_per_second: int = BYTES_PER_SECOND


@dataclass(frozen=True, slots=True)
class Settings:
    """What one agent runs on. ``monitor_seconds`` stands for every monitor's own interval where it is given."""

    hub: str
    state_dir: Path
    server_name: str
    enrolment_key: Secret | None = None
    heartbeat_seconds: float = limits.HEARTBEAT_SECONDS
    push_seconds: float = limits.PUSH_SECONDS
    monitor_seconds: float | None = None
    ca_file: Path | None = None
    """Certificates (PEM) to trust besides the system's; None: only those."""
    allow_plain_http: bool = False
    precedence: Precedence = "file"
    """Who wins where the file and the hub name the same monitor."""
    remote: Remote = Remote()
    local: LocalSettings = field(default_factory=LocalSettings)
    log: LogSettings = LogSettings()
    buffer: BufferSettings = BufferSettings()
    uplink: UplinkSettings = UplinkSettings()
    witness: WitnessSettings | None = None
    """What the agent looks at when the hub asks; None: at what is lawful, if the hub may configure anything here."""
    hub_watch: HubWatchSettings = field(default_factory=HubWatchSettings)


LIVE = frozenset({"monitor_seconds", "precedence", "remote"})
"""The settings that a reload changes in a running agent; the others wait for a restart, and that is said."""


def hub_address(text: str, *, allow_plain_http: bool = False) -> str:
    """The address as requests use it: scheme, host, port and path, without a slash at its end.

    Raises: Misconfigured.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as err:
        raise Misconfigured(f"hub address {text!r}: {err}; expected https://host or https://host:port") from err
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Misconfigured(f"hub address of {parts.hostname}: user, password, query and fragment have no place in it")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not text.isprintable():
        raise Misconfigured(f"hub address {text!r}: expected https://host or https://host:port")
    if parts.scheme == "http" and not is_loopback(parts.hostname) and not allow_plain_http:
        raise Misconfigured(
            f"hub address {text!r}: over plain http keys and samples can be read on the way; use https://, "
            "or say --allow-plain-http (TWINWATCH_ALLOW_PLAIN_HTTP=1) if the network is trusted"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def default_state_dir(environment: Mapping[str, str]) -> Path:
    """Where state lives when nobody says: for root in /var/lib, else in the user's state home."""
    if os.geteuid() == 0:
        return ROOT_STATE_DIR
    home = environment.get("XDG_STATE_HOME", "")
    return (Path(home) if home.startswith("/") else path_of("~/.local/state")) / "twinwatch-agent"


def path_of(text: str) -> Path:
    """A path as people write it, ``~`` included.

    Raises: Misconfigured.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise Misconfigured(
            f"{text}: there is no such home folder; give a whole path, for the state with --state-dir"
        ) from None
    if "\0" in text:
        raise Misconfigured(f"{text!r}: expected a path")
    return path


def server_name_of(name: str) -> str:
    """A server's name, trimmed.

    Raises: Misconfigured.
    """
    name = name.strip()
    if not 0 < len(name) <= SERVER_NAME_CHARACTERS or not name.isprintable():
        raise Misconfigured(f"server name {name[:40]!r}: expected 1 to {SERVER_NAME_CHARACTERS} printable characters")
    return name


def seconds_between(text: str, least: str, most: str) -> float:
    """Seconds of ``30s`` that lie within bounds, which are written the same way.

    Raises: Misconfigured.
    """
    try:
        seconds = duration(text.strip())
    except ValueError:
        raise Misconfigured(f"{text!r}: expected a duration of {least} to {most}, such as 15s or 5m") from None
    if not duration(least) <= seconds <= duration(most):
        raise Misconfigured(f"{text!r}: expected {least} to {most}")
    return float(seconds)


def bytes_of(text: str, least: int) -> int:
    """Bytes of ``256MB``, ``1GiB`` or ``1000000``; a prefix stands for a power of 1024.

    Raises: Misconfigured.
    """
    number = text.strip().upper().removesuffix("B").removesuffix("I")
    shift = {"K": 10, "M": 20, "G": 30}.get(number[-1:], 0)
    number = (number[:-1] if shift else number).strip()
    if not (number.isascii() and number.isdigit() and len(number) <= 15):
        raise Misconfigured(f"{text!r}: expected a size such as 256MB or 1GB")
    size = int(number) << shift
    if size < least:
        raise Misconfigured(f"{text!r}: expected at least {f'{least >> 20}MB' if least >> 20 else f'{least >> 10}KB'}")
    return size
