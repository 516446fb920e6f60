"""Where settings come from: arguments, else the environment, else the file, else defaults. The environment's names:

``TWINWATCH_CONFIG`` (set but empty: no file), ``TWINWATCH_HUB``, ``TWINWATCH_ENROLMENT_KEY``,
``TWINWATCH_ENROLMENT_KEY_FILE``, ``TWINWATCH_STATE_DIR``, ``TWINWATCH_SERVER_NAME``, ``TWINWATCH_ALLOW_PLAIN_HTTP``,
``TWINWATCH_CA_FILE``, ``TWINWATCH_LOCAL`` (an address or ``off``), ``TWINWATCH_LOG_FORMAT``, and for the intervals
(``15s``, ``5m``) ``TWINWATCH_HEARTBEAT_INTERVAL``, ``TWINWATCH_PUSH_INTERVAL``, ``TWINWATCH_MONITOR_INTERVAL``.

Invariant: a key is never an argument, because every user of the machine can read those.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, cast

from twinwatch.agent.alerting.addressing import FileAlerts
from twinwatch.agent.configuration.content import Content, read_content
from twinwatch.agent.configuration.entries import Entry, Kinds, Outcome, judge
from twinwatch.agent.configuration.problems import Misconfigured, Problems
from twinwatch.agent.configuration.settings import (
    ROOT_STATE_DIR,
    BufferSettings,
    LogSettings,
    Remote,
    Settings,
    UplinkSettings,
    default_state_dir,
    hub_address,
    path_of,
    seconds_between,
    server_name_of,
)
from twinwatch.agent.local.settings import LISTEN, LocalSettings, problem_of
from twinwatch.agent.watching.settings import HubWatchSettings
from twinwatch.protocol import limits
from twinwatch.protocol.rules import Rule
from twinwatch.world.secret import Secret, SecretUnreadable, read_secret

ETC_FILE = "/etc/twinwatch/agent.yaml"
USER_FILE = "twinwatch/agent.yaml"
"""Below the user's configuration home."""

T = TypeVar("T")

Stamp = tuple[tuple[str, int, int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that arguments, environment and file say, judged."""

    settings: Settings
    outcomes: tuple[Outcome, ...] = ()
    """What becomes of the monitors that the file names."""
    rules: tuple[Rule, ...] = ()
    alerts: FileAlerts = field(default_factory=FileAlerts)
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where a setting was said, by its field in ``Settings``; of what nobody said, nothing."""
    file: Path | None = None


class Source(Protocol):
    """What a ``Configurator`` reads, at the start and at each reload."""

    def read(self, kinds: Kinds | None = None) -> Wanted:
        """All of it anew. Without ``kinds`` the monitors' options are not looked at.

        Raises: Misconfigured with all that is wrong.
        """
        ...

    def stamp(self) -> Stamp:
        """Something that changes when the files that were read last do. Cost: a stat per file."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """Settings that stand in no file: for tests, and for agents that are composed in a program."""

    settings: Settings
    entries: tuple[Entry, ...] = ()

    def read(self, kinds: Kinds | None = None) -> Wanted:
        """What was given.

        Raises: Misconfigured.
        """
        problems = Problems()
        outcomes = _outcomes(self.entries, kinds, self.settings, problems)
        problems.raise_any()
        return Wanted(self.settings, outcomes)

    def stamp(self) -> Stamp:
        """Never another."""
        return ()


class Sources:
    """The command line, the environment and the file of this process."""

    def __init__(self, args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> None:
        self._args = args
        self._environment = environment
        self._used: Path | None = None
        self._files: tuple[Path, ...] = ()

    @property
    def file(self) -> Path | None:
        """The file that was read last, if there is one."""
        return self._used

    def read(self, kinds: Kinds | None = None) -> Wanted:
        """All of it anew.

        Raises: Misconfigured with all that is wrong.
        """
        problems = Problems()
        content = Content()
        file = self._used
        try:
            file = self._used = self._file()
            self._files = ()
            if file is not None:
                content = read_content(file, self._environment, kinds, problems)
                self._files = content.files
        except Misconfigured as err:
            raise Misconfigured(*problems.found, *err.problems) from None
        merging = _Merging(self._args, self._environment, content, problems)
        settings = merging.settings()
        outcomes = _outcomes(content.entries, kinds, settings, problems)
        problems.found.sort(key=_line)
        problems.raise_any()
        return Wanted(settings, outcomes, content.rules, content.alerts, merging.origins, file)

    def stamp(self) -> Stamp:
        """Device, inode, size, time and rights of the file and of those that it names; zeros for one that is gone."""
        try:
            file = self._file()
        except Misconfigured:
            file = self._used
        return tuple(_stamp_of(path) for path in ([file] if file else []) + list(self._files))

    def _file(self) -> Path | None:
        """The file to read. One that was used once is expected to stay."""
        named, places = self._places
        if named:
            return places[0] if places else None
        return next((path for path in places if _is_there(path)), self._used)

    @cached_property
    def _places(self) -> tuple[bool, list[Path]]:
        """Whether somebody has named the file, and where it may be.

        Made once: the file is looked at every second, and each time a path is made Python notes its names in a table
        that only grows.
        """
        said = getattr(self._args, "config", None)
        if said is None:
            said = self._environment.get("TWINWATCH_CONFIG")
        if said is not None:
            return True, [path_of(said).absolute()] if said else []
        places = [Path(ETC_FILE)]
        if os.geteuid() != 0:
            home = self._environment.get("XDG_CONFIG_HOME", "")
            folder = Path(home) if home.startswith("/") else _home(self._environment)
            places.insert(0, folder / USER_FILE)
        return False, places


def settings_from(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of parsed arguments, environment and file; what the file says of monitors is not judged.

    Raises: Misconfigured.
    """
    return Sources(args, environment).read().settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``twinwatch agent run``."""
    add_file_argument(parser)
    parser.add_argument("--hub", metavar="URL", help="address of the hub, such as https://hub.example.org")
    parser.add_argument(
        "--enrolment-key-file",
        metavar="FILE",
        help="file with the enrolment key, for the first start; or the key in TWINWATCH_ENROLMENT_KEY",
    )
    parser.add_argument("--name", metavar="NAME", help="the server's name at the hub; default: the host name")
    add_state_argument(parser)
    parser.add_argument("--ca-file", metavar="FILE", help="certificates (PEM) to trust besides the system's")
    parser.add_argument(
        "--local", metavar="HOST:PORT", help=f"where the agent serves its own page, or off; default: {LISTEN}"
    )
    parser.add_argument("--log-format", choices=("human", "json"), help="default: human")
    parser.add_argument(
        "--allow-plain-http",
        action="store_true",
        help="speak http to a hub that is not on this machine: key and samples can then be read on the way",
    )


def add_file_argument(parser: argparse.ArgumentParser) -> None:
    """``--config`` alone."""
    parser.add_argument(
        "--config", metavar="FILE", help=f"the configuration; default: {ETC_FILE} or ~/.config/{USER_FILE} if it exists"
    )


def add_state_argument(parser: argparse.ArgumentParser) -> None:
    """``--state-dir`` alone."""
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        help=f"folder of identity and buffer; default: {ROOT_STATE_DIR} for root, else below the user's state home",
    )


def _outcomes(
    entries: tuple[Entry, ...], kinds: Kinds | None, settings: Settings, problems: Problems
) -> tuple[Outcome, ...]:
    if kinds is None:
        return ()
    return tuple(judge(entry, kinds, problems, settings.monitor_seconds) for entry in entries)


def _line(problem: str) -> tuple[int, int]:
    """Where in the file a problem is; before all lines, if it is about the whole."""
    found = re.match(r".*?:(\d+):(\d+): ", problem)
    return (int(found[1]), int(found[2])) if found else (0, 0)


class _Said(NamedTuple):
    """A value as it was said outside of the file, and where."""

    text: str
    place: str
    named: bool
    """Whether a problem begins with the place: values of arguments speak for themselves."""


class _Merging:
    def __init__(
        self, args: argparse.Namespace, environment: Mapping[str, str], content: Content, problems: Problems
    ) -> None:
        self._args = args
        self._environment = environment
        self._content = content
        self._problems = problems
        self.origins: dict[str, str] = {}

    def settings(self) -> Settings:
        content = self._content
        plain = self._plain()
        hub = self._judged("hub", self._said("hub", "TWINWATCH_HUB"), str, content.hub)
        address = ""
        key = self._enrolment_key()
        local = self._local()
        if hub is None:
            # Without a hub the agent's own page is what it is good for; a key is of no use then, but was given.
            if key is not None or not local.enabled:
                self._problems.add(
                    "", "no hub: give its address with --hub https://…, in TWINWATCH_HUB or as hub: in the file"
                )
        else:
            try:
                address = hub_address(hub, allow_plain_http=plain)
            except Misconfigured as err:
                place = content.places.get("hub", "")
                self._problems.add(place if self.origins.get("hub") == place else "", str(err))
        state_dir = self._judged(
            "state_dir", self._said("state_dir", "TWINWATCH_STATE_DIR"), path_of, content.state_dir
        )  # fmt: skip
        name = self._judged(
            "server_name", self._said("name", "TWINWATCH_SERVER_NAME"), server_name_of, content.server_name
        )  # fmt: skip
        return Settings(
            hub=address,
            state_dir=state_dir or self._default_state_dir(),
            server_name=name or self._host_name(),
            enrolment_key=key,
            heartbeat_seconds=self._seconds(
                "heartbeat_seconds", "TWINWATCH_HEARTBEAT_INTERVAL", content.heartbeat_seconds
            )
            or limits.HEARTBEAT_SECONDS,
            push_seconds=self._seconds("push_seconds", "TWINWATCH_PUSH_INTERVAL", content.push_seconds)
            or limits.PUSH_SECONDS,
            monitor_seconds=self._seconds("monitor_seconds", "TWINWATCH_MONITOR_INTERVAL", None),
            ca_file=self._judged("ca_file", self._said("ca_file", "TWINWATCH_CA_FILE"), path_of, content.ca_file),
            allow_plain_http=plain,
            precedence=self._of_file("precedence", content.precedence) or "file",
            remote=self._of_file("remote", content.remote) or Remote(),
            local=local,
            log=self._log(),
            buffer=self._of_file("buffer", content.buffer) or BufferSettings(),
            uplink=self._of_file("uplink", content.uplink) or UplinkSettings(),
            witness=self._of_file("witness", content.witness),
            hub_watch=self._of_file("hub_watch", content.hub_watch) or HubWatchSettings(),
        )

    def _said(self, argument: str, variable: str) -> _Said | None:
        if said := getattr(self._args, argument, None):
            return _Said(str(said), f"--{argument.replace('_', '-')}", named=False)
        text = self._environment.get(variable, "").strip()
        return _Said(text, variable, named=True) if text else None

    def _judged(self, name: str, said: _Said | None, judge: Callable[[str], T], of_file: T | None) -> T | None:
        if said is None:
            return self._of_file(name, of_file)
        self.origins[name] = said.place
        try:
            return judge(said.text)
        except Misconfigured as err:
            self._problems.add(said.place if said.named else "", str(err))
            return None

    def _of_file(self, name: str, value: T | None) -> T | None:
        keys = {"heartbeat_seconds": "heartbeat_interval", "push_seconds": "metrics_push_interval"}
        if value is not None and (place := self._content.places.get(keys.get(name, name))):
            self.origins[name] = place
        return value

    def _seconds(self, name: str, variable: str, of_file: float | None) -> float | None:
        text = self._environment.get(variable, "").strip()
        said = _Said(text, variable, named=True) if text else None
        return self._judged(name, said, lambda text: seconds_between(text, "100ms", "1h"), of_file)

    def _plain(self) -> bool:
        if getattr(self._args, "allow_plain_http", False):
            self.origins["allow_plain_http"] = "--allow-plain-http"
            return True
        text = self._environment.get("TWINWATCH_ALLOW_PLAIN_HTTP", "").strip()
        said = _Said(text, "TWINWATCH_ALLOW_PLAIN_HTTP", named=True) if text else None
        return self._judged("allow_plain_http", said, _flag, self._content.allow_plain_http) or False

    def _default_state_dir(self) -> Path:
        try:
            return default_state_dir(self._environment)
        except Misconfigured as err:
            self._problems.add("", str(err))
            return ROOT_STATE_DIR

    def _host_name(self) -> str:
        try:
            return server_name_of(socket.gethostname())
        except Misconfigured as err:
            self._problems.add("", str(err))
            return ""

    def _enrolment_key(self) -> Secret | None:
        file = self._said("enrolment_key_file", "TWINWATCH_ENROLMENT_KEY_FILE")
        if file is not None:
            self.origins["enrolment_key"] = file.place
            try:
                return read_secret(path_of(file.text))
            except (SecretUnreadable, Misconfigured) as err:
                self._problems.add("", f"enrolment key file {err}")
                return None
        key = self._environment.get("TWINWATCH_ENROLMENT_KEY", "").strip()
        if key:
            self.origins["enrolment_key"] = "TWINWATCH_ENROLMENT_KEY"
            return Secret(key)
        if self._content.enrolment_key is not None:
            self.origins["enrolment_key"] = self._content.places["api_key"]
        return self._content.enrolment_key

    def _local(self) -> LocalSettings:
        of_file = self._of_file("local", self._content.local) or LocalSettings()
        said = self._said("local", "TWINWATCH_LOCAL")
        if said is None:
            return of_file
        self.origins["local"] = said.place
        if said.text.lower() == "off":
            return replace(of_file, enabled=False)
        local = replace(of_file, enabled=True, listen=said.text)
        if problem := problem_of(local):
            self._problems.add(said.place, problem)
        return local

    def _log(self) -> LogSettings:
        of_file = self._of_file("log", self._content.log) or LogSettings()
        said = self._said("log_format", "TWINWATCH_LOG_FORMAT")
        form = self._judged("log", said, _log_format, None)
        return replace(of_file, format=form) if form else of_file


def _log_format(text: str) -> Literal["human", "json"]:
    if text in ("human", "json"):
        return cast('Literal["human", "json"]', text)
    raise Misconfigured(f"{text!r}: expected human or json")


def _flag(text: str) -> bool:
    if text.lower() in ("0", "false", "no"):
        return False
    if text.lower() in ("1", "true", "yes"):
        return True
    raise Misconfigured(f"{text!r}: expected 1 or 0")


def _home(environment: Mapping[str, str]) -> Path:
    home = environment.get("HOME", "")
    return Path(home) / ".config" if home.startswith("/") else Path("/nonexistent")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # its folder may not be looked into: then it is not meant for this user
        return False


def _stamp_of(path: Path) -> tuple[str, int, int, int, int, int]:
    try:
        facts: Any = path.stat()
    except (OSError, ValueError):
        return (str(path), 0, 0, 0, 0, 0)
    return (str(path), facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_mode)
