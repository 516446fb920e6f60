"""The process that sends one message with Apprise: ``python -P -m twinwatch.notify.apprise_child``, with an order on
standard input, and an answer on standard output.

Where the order is guarded, an audit hook stands before the interpreter's own connecting, whatever library asks for it:
only addresses that the guard admits are connected to, each at the moment when it is (so a name that changes its answer
gains nothing), no socket of this machine is, no program is started, and no file is read but those of Python, of its
libraries and of the system that names and TLS need.

Invariants: redirects are not followed; nothing secret is on the command line or in the environment; what is said holds
no part of the address.
Source: PEP 578 and the table of audit events of the Python library.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import unquote, unquote_plus

import msgspec

from twinwatch.world.guard import Guard, NotAllowed

LOCAL = frozenset({"blink1", "dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})
"""Services of Apprise that show messages on the machine that it runs on."""
SAID = 20
LEAST_SECRET = 4
CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
STARTING = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn"}
    | {"ctypes.dlopen", "syslog.syslog", "syslog.openlog"}
)
CHANGING = frozenset(
    {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown"}
)
READABLE = (
    "/dev/null",
    "/dev/urandom",
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/usr/lib/ssl",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
)


class Order(msgspec.Struct, frozen=True):
    """What is to be sent, and what may be connected to."""

    url: str
    title: str
    body: str
    kind: Literal["info", "success", "warning", "failure"]
    guarded: bool = False
    private: bool = True
    own: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What became of it. ``said`` is what Apprise and its services said."""

    outcome: Literal["sent", "failed", "unknown", "missing", "blocked"]
    said: tuple[str, ...] = ()


class Warden:
    """Judges what the interpreter is about to do. ``refused`` is what it has not let pass but files, ``unread`` those;
    ``connected`` counts what it has."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._readable = tuple(dict.fromkeys(_readable()))
        self.refused: list[str] = []
        self.unread: list[str] = []
        self.connected = 0

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        """The audit hook."""
        if event in CONNECTING:
            self._connects(given[1])
        elif event in STARTING and given[:1] != (None,):  # ctypes opens what is running when it is imported
            self._refuse(self.refused, f"{event} is not allowed: the hub starts nothing for it")
        elif event == "open":
            self._opens(given[0], given[2])
        elif event in CHANGING:
            self._refuse(self.unread, "no file of this machine is changed for it")

    def _connects(self, address: Any) -> None:
        if address is None:  # sendmsg on a socket that is connected
            return
        if not isinstance(address, tuple):
            self._refuse(self.refused, "sockets of this machine are not connected to")
        try:
            self._guard.check(str(address[0]))
        except NotAllowed as err:
            self._refuse(self.refused, str(err))
        self.connected += 1

    def _opens(self, path: Any, flags: Any) -> None:
        if isinstance(path, int):
            return
        place = os.path.realpath(os.fsdecode(path))
        writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) and place != os.devnull
        if writes or not place.startswith(self._readable):
            self._refuse(self.unread, "no file of this machine is read for it")

    def _refuse(self, where: list[str], why: str) -> NoReturn:
        where.append(why)
        raise PermissionError(why)


def main() -> int:
    """Take the order, send, answer."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with redirect_stdout(sys.stderr):
        answer = sent(order)
    sys.stdout.buffer.write(msgspec.json.encode(answer))
    return 0


def sent(order: Order) -> Answer:
    """Send it in this process, which is guarded from then on if the order says so."""
    try:
        import apprise  # noqa: PLC0415 - an extra
        import requests  # noqa: PLC0415
    except ImportError as err:
        return Answer("missing", (str(err),))
    _stay_put(requests)
    os.environ["NETRC"] = os.devnull  # whose passwords requests would send along
    schema = order.url.partition("://")[0].lower()
    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    logger.setLevel(logging.WARNING)
    warden = Warden(Guard(private=order.private, own=order.own))
    if order.guarded:
        if schema.rstrip("s") in LOCAL or schema in LOCAL:
            return Answer("blocked", (f"{schema}:// would show the message on the hub's machine",))
        # What is imported later might read or start what it may not by then: every service, and the encoding of names.
        apprise.Apprise.instantiate("json://localhost")
        "x".encode("idna")
        sys.dont_write_bytecode = True
        sys.addaudithook(warden)
    try:
        service = apprise.Apprise.instantiate(order.url)
        if service is None:
            outcome: Literal["sent", "failed", "unknown"] = "unknown"
        else:
            services = apprise.Apprise()
            services.add(service)
            done = services.notify(
                title=order.title, body=order.body, notify_type=order.kind, body_format=apprise.NotifyFormat.TEXT
            )
            outcome = "sent" if done else "failed"
    except Exception as err:  # noqa: BLE001 - foreign code, and this process ends next
        outcome, heard.said = "failed", [*heard.said, f"{type(err).__name__}: {err}"]
    refused = (*warden.refused, *warden.unread)
    said = tuple(dict.fromkeys((*refused, *(hidden_parts(one, order.url) for one in heard.said))))[:SAID]
    if refused and not warden.connected and outcome != "sent":
        return Answer("blocked", said)
    return Answer(outcome, said)


def hidden_parts(text: str, url: str) -> str:
    """The text without any part of the address that may be secret: user, password, host, path and query are."""
    parts = re.split(r"[/:@?&=,+]+", url.partition("://")[2])
    spellings = {spelling for part in parts for spelling in (part, unquote(part), unquote_plus(part))}
    for secret in sorted(spellings, key=len, reverse=True):
        if len(secret) >= LEAST_SECRET:
            text = text.replace(secret, "***")
    return text.replace(url, "***")


class _Heard(logging.Handler):
    """Keeps what Apprise logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def _stay_put(requests: Any) -> None:
    """Let no request follow a redirect, whatever its caller says."""
    send = requests.Session.send

    def sent_once(session: Any, request: Any, **options: Any) -> Any:
        return send(session, request, **{**options, "allow_redirects": False})

    requests.Session.send = sent_once


def _readable() -> Iterator[str]:
    """Beginnings of the paths that may be read: of Python and its libraries, and of the system."""
    import sysconfig  # noqa: PLC0415 - for the process alone

    paths = sysconfig.get_paths()
    for folder in (*(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), *sys.path):
        if folder and Path(folder).is_dir():
            yield os.path.realpath(folder) + os.sep
    for place in READABLE:
        yield from (place, os.path.realpath(place))


if __name__ == "__main__":
    sys.exit(main())
