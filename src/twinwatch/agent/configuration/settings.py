"""The agent's settings: from arguments, else from the environment, else defaults. The environment's names:

``TWINWATCH_HUB``, ``TWINWATCH_ENROLMENT_KEY``, ``TWINWATCH_ENROLMENT_KEY_FILE``, ``TWINWATCH_STATE_DIR``,
``TWINWATCH_SERVER_NAME``, ``TWINWATCH_ALLOW_PLAIN_HTTP``, and for the intervals (``15s``, ``5m``)
``TWINWATCH_HEARTBEAT_INTERVAL``, ``TWINWATCH_PUSH_INTERVAL``, ``TWINWATCH_MONITOR_INTERVAL``.

Invariant: a key is never an argument, because every user of the machine can read those.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from twinwatch.protocol import limits
from twinwatch.protocol.durations import duration
from twinwatch.world.addresses import is_loopback
from twinwatch.world.secret import Secret, SecretUnreadable, read_secret

ROOT_STATE_DIR = Path("/var/lib/twinwatch-agent")
SERVER_NAME_CHARACTERS = 200


class Misconfigured(Exception):
    """A setting that cannot be: the message names it, its value, what was expected and what to do."""


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``twinwatch agent run``."""
    parser.add_argument("--hub", metavar="URL", help="address of the hub, such as https://hub.example.org")
    parser.add_argument(
        "--enrolment-key-file",
        metavar="FILE",
        help="file with the enrolment key, for the first start; or the key in TWINWATCH_ENROLMENT_KEY",
    )
    parser.add_argument("--name", metavar="NAME", help="the server's name at the hub; default: the host name")
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        help=f"folder of identity and buffer; default: {ROOT_STATE_DIR} for root, else below the user's state home",
    )
    parser.add_argument(
        "--allow-plain-http",
        action="store_true",
        help="speak http to a hub that is not on this machine: key and samples can then be read on the way",
    )


def settings_from(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of parsed arguments.

    Raises: Misconfigured.
    """
    plain = args.allow_plain_http or _flag(environment, "TWINWATCH_ALLOW_PLAIN_HTTP")
    hub = args.hub or environment.get("TWINWATCH_HUB", "")
    if not hub:
        raise Misconfigured("no hub: give its address with --hub https://… or in TWINWATCH_HUB")
    state_dir = args.state_dir or environment.get("TWINWATCH_STATE_DIR", "")
    return Settings(
        hub=hub_address(hub, allow_plain_http=plain),
        state_dir=_path(state_dir) if state_dir else default_state_dir(environment),
        server_name=_server_name(args.name or environment.get("TWINWATCH_SERVER_NAME", "") or socket.gethostname()),
        enrolment_key=_enrolment_key(args.enrolment_key_file, environment),
        heartbeat_seconds=_interval(environment, "TWINWATCH_HEARTBEAT_INTERVAL") or limits.HEARTBEAT_SECONDS,
        push_seconds=_interval(environment, "TWINWATCH_PUSH_INTERVAL") or limits.PUSH_SECONDS,
        monitor_seconds=_interval(environment, "TWINWATCH_MONITOR_INTERVAL"),
    )


def hub_address(text: str, *, allow_plain_http: bool = False) -> str:
    """The address as requests use it: scheme, host, port and path, without a slash at its end.

    Raises: Misconfigured.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as err:
        raise Misconfigured(f"hub address {text!r}: {err}; expected https://host or https://host:port") from err
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Misconfigured(f"hub address {text!r}: expected https://host or https://host:port")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Misconfigured(f"hub address of {parts.hostname}: user, password, query and fragment have no place in it")
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
    return (Path(home) if home.startswith("/") else _path("~/.local/state")) / "twinwatch-agent"


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise Misconfigured(
            f"{text}: there is no such home folder; give a whole path, for the state with --state-dir"
        ) from None


def _enrolment_key(file: str | None, environment: Mapping[str, str]) -> Secret | None:
    file = file or environment.get("TWINWATCH_ENROLMENT_KEY_FILE")
    if file:
        try:
            return read_secret(_path(file))
        except SecretUnreadable as err:
            raise Misconfigured(f"enrolment key file {err}") from err
    key = environment.get("TWINWATCH_ENROLMENT_KEY", "").strip()
    return Secret(key) if key else None


def _server_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= SERVER_NAME_CHARACTERS or not name.isprintable():
        raise Misconfigured(f"server name {name[:40]!r}: expected 1 to {SERVER_NAME_CHARACTERS} printable characters")
    return name


def _interval(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    try:
        seconds = duration(text)
    except ValueError as err:
        raise Misconfigured(f"{name}: {err}") from err
    if not 0.1 <= seconds <= 3600:
        raise Misconfigured(f"{name}: {text!r}: expected 100ms to 1h")
    return seconds


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").strip().lower()
    if text in ("", "0", "false", "no"):
        return False
    if text in ("1", "true", "yes"):
        return True
    raise Misconfigured(f"{name}: {text!r}: expected 1 or 0")
