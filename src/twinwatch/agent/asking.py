"""``twinwatch agent status``: asks the running agent over its unix socket and prints what it says.

Exit codes: 0 all is well; 1 a check is down or degraded, a monitor fails, the hub refuses this server's key, the disk
or the configuration is in trouble; 2 called wrongly, or without the right to ask; 3 no agent runs there, or it does not
answer. A hub that is away is no failure: what is kept is delivered later.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

import msgspec

from twinwatch.agent.alerting.standing import AlertStatus
from twinwatch.agent.configuration import Misconfigured, default_state_dir, settings_from
from twinwatch.agent.plain import plain
from twinwatch.agent.status import SOCKET_FILE, LinkStatus, Status
from twinwatch.agent.tables import in_columns, size, span
from twinwatch.protocol.durations import spelled
from twinwatch.protocol.problem import Problem

TIMEOUT_SECONDS = 5.0
ANSWER_BYTES = 8 << 20
_BADNESS = {"down": 0, "degraded": 1, "unknown": 2, "up": 3}


class Exit(IntEnum):
    """What the command says with its exit code."""

    WELL = 0
    UNWELL = 1
    MISUSED = 2
    NOT_RUNNING = 3


class NotRunning(Exception):
    """There is nobody to ask, or no answer."""


class NotAllowed(Exception):
    """The socket is another user's."""


def command(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> int:
    """Ask, print, and say with the exit code how it stands."""
    try:
        path = socket_of(args, environment)
        answer = ask(path, "GET", "/api/v1/status")
        status = msgspec.json.decode(answer, type=Status)
    except (Misconfigured, NotAllowed) as err:
        return _end(Exit.MISUSED, err)
    except NotRunning as err:
        return _end(Exit.NOT_RUNNING, err)
    except msgspec.MsgspecError:
        return _end(Exit.NOT_RUNNING, f"{path}: the answer is not this version's; restart the agent")
    _out(answer.decode() if args.json else "\n".join(described(status)))
    return Exit.WELL if status.well else Exit.UNWELL


def ask(path: Path, method: str, route: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> bytes:
    """What the agent on this socket answers, JSON.

    Raises: NotRunning; NotAllowed.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(timeout_seconds)
            line.connect(os.fspath(path))
            empty = "" if method == "GET" else "Content-Length: 0\r\n"
            line.sendall(f"{method} {route} HTTP/1.1\r\nHost: agent\r\n{empty}Connection: close\r\n\r\n".encode())
            answer = bytearray()
            while piece := line.recv(1 << 16):
                answer += piece
                if len(answer) > ANSWER_BYTES:
                    raise NotRunning(f"{path}: the answer has no end")
    except PermissionError as err:
        raise NotAllowed(f"{path}: this user may not ask the agent; ask as its own user, or as root") from err
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as err:
        raise NotRunning(
            f"no agent runs with the state directory {path.parent}; "
            "name another with --state-dir, or start one with: twinwatch agent run"
        ) from err
    except OSError as err:
        raise NotRunning(f"{path}: the agent does not answer ({str(err) or type(err).__name__})") from err
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] == [b"429"]:
        raise NotAllowed(msgspec.json.decode(body, type=Problem).detail)
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise NotRunning(f"{path}: answers, but not as this version does; restart the agent")
    return body


def described(status: Status) -> list[str]:
    """The status as lines for people, the worst first."""
    lines = [
        f"twinwatch agent {status.version} on {status.server_name}, "
        f"up {span(status.uptime_seconds)} (process {status.pid})",
        "",
        *in_columns(("", ""), [("hub", _hub(status.link, status.time)), *_stores(status)])[1:],
    ]
    if status.configuration.version:
        lines.append(f"configuration {status.configuration.version} of the hub is in force")
    lines += [f"configuration: {problem}" for problem in status.configuration.problems]
    monitors = [
        (one.name, one.type, one.state, spelled(one.interval_seconds), _since(one.since, status.time), one.reason)
        for one in sorted(status.monitors, key=lambda one: (one.state != "failing", one.name))
    ]
    checks = [
        (one.name, one.state, _since(one.since, status.time), one.message)
        for one in sorted(status.checks, key=lambda one: (_BADNESS.get(one.state, 0), one.name))
    ]
    for table in (
        *_alerting(status),
        in_columns(("MONITOR", "TYPE", "STATE", "EVERY", "FOR", ""), monitors),
        in_columns(("CHECK", "STATE", "FOR", ""), checks),
    ):
        lines += ["", *table] if table else []
    return [plain(line, 1_000) for line in lines]


def _alerting(status: Status) -> list[list[str]]:
    """Open alerts and channels, each as a table."""
    alerting = status.alerting
    alerts = [
        (one.severity, _since(one.since, status.time), _told(one), one.title, one.message) for one in alerting.open
    ]
    channels = [
        (one.name, one.kind, _since(one.delivered_at, status.time) or "-", one.trouble) for one in alerting.channels
    ]
    return [
        in_columns(("ALERT", "FOR", "TOLD", "", ""), alerts),
        in_columns(("CHANNEL", "TYPE", "LAST TAKEN", ""), channels),
    ]


def _told(alert: AlertStatus) -> str:
    """Who was told of it, or who is to tell."""
    if alert.told:
        return ", ".join(alert.told)
    return {"theirs": "by the hub", "hub": "left to the hub", "held": "held back", "nobody": "nobody here"}.get(
        alert.stance, "being told"
    )


def _hub(link: LinkStatus, now: int) -> str:
    if link.state == "none":
        return "none configured"
    said = f"{link.hub}: {link.state}"
    if link.since:
        said += f" for {_since(link.since, now)}"
    if link.error:
        said += f" ({link.error})"
    if link.state == "up" and not link.control:
        said += "; no control connection, changes come with the next heartbeat"
    ahead = link.clock_ahead_seconds
    if ahead is not None and abs(ahead) >= 2:
        said += f"; this machine's clock is {span(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
    return said


def _stores(status: Status) -> list[tuple[str, str]]:
    delivery, buffer = status.delivery, status.buffer
    waiting = f"{delivery.pending} waiting"
    if delivery.oldest_pending is not None:
        waiting += f" (the oldest for {_since(delivery.oldest_pending, status.time)})"
    bound = f" of {size(buffer.most_bytes)}" if buffer.most_bytes else ""
    said = f"{delivery.collected} kept"
    if status.link.state != "none":
        said += f", {delivery.delivered} delivered, {waiting}, {delivery.dropped} lost"
    return [
        ("runs", said),
        ("buffer", f"{size(buffer.size_bytes)}{bound}, {buffer.path}" + (f": {buffer.trouble}" * bool(buffer.trouble))),
        ("alerts", _alerts(status)),
        ("time", datetime.fromtimestamp(status.time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
    ]


def _alerts(status: Status) -> str:
    alerting = status.alerting
    said = f"{len(alerting.open)} open, {alerting.rules} rules, {len(alerting.channels)} channels"
    if alerting.last_delivery_at:
        said += f", last told {_since(alerting.last_delivery_at, status.time)} ago"
    if alerting.bundle_issued_at:
        said += f", the hub's rules and channels are {_since(alerting.bundle_issued_at, status.time)} old"
    if alerting.trouble:
        said += f"; remembered in memory only: {alerting.trouble}"
    return said


def _since(since: int, now: int) -> str:
    return span((now - since) / 1000) if since else ""


def socket_of(args: argparse.Namespace, environment: Mapping[str, str]) -> Path:
    """Where the agent that these arguments would start has its socket. A broken configuration hides it not."""
    try:
        folder = settings_from(args, environment).state_dir
    except Misconfigured:
        said = args.state_dir or environment.get("TWINWATCH_STATE_DIR", "")
        folder = Path(said).expanduser() if said else default_state_dir(environment)
    return folder / SOCKET_FILE


def _out(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _end(code: Exit, reason: object) -> int:
    sys.stderr.write(f"twinwatch: {reason}\n")
    return code
