"""``twinwatch agent status`` and ``run --once``: what people and scripts read."""

from __future__ import annotations

import argparse
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from twinwatch.agent.asking import Exit, command, described
from twinwatch.agent.logs import JsonFormatter
from twinwatch.agent.once import described as described_once
from twinwatch.agent.once import glance
from twinwatch.agent.status import SOCKET_FILE, BufferStatus, LinkStatus, Status
from twinwatch.agent.tables import in_columns, size, span
from twinwatch.monitors import Check, Finding, Reading
from twinwatch.protocol.checks import CheckStanding, ConfigurationStanding, MonitorStanding
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.paper import paper_world
from twinwatch.testing.planning import plan_of

from .scripted import Scripted, hangs

NOW = 1_700_000_000_000
WELL = Status(
    version="1.0",
    server_name="web-1",
    time=NOW,
    uptime_seconds=93_784.0,
    pid=42,
    link=LinkStatus("up", "https://hub.example", NOW - 60_000, control=True),
    delivery=Delivery(100, 90, 10, 0, 5_000, NOW - 30_000),
    buffer=BufferStatus("/var/lib/x/buffer.sqlite3", 12 << 20, 256 << 20),
    monitors=(MonitorStanding("system", "system", "default", "ok", "", 15.0, NOW - 5_000),),
    checks=(
        CheckStanding("systemd:a.service", "systemd", "up", since=NOW - 1000),
        CheckStanding("systemd:z.service", "systemd", "unknown", "not judged", since=NOW - 1000),
    ),
)
UNWELL = msgspec.structs.replace(
    WELL,
    link=LinkStatus("away", "https://hub.example", NOW - 60_000, "connection refused", 90.0),
    monitors=(*WELL.monitors, MonitorStanding("http", "http", "file", "failing", "no\x1b[2Jroute", 60.0, NOW)),
    checks=(*WELL.checks, CheckStanding("systemd:m.service", "systemd", "down", "it crashed", "crash", NOW - 7_000)),
    configuration=ConfigurationStanding(7, 8, ("hub: version 8 is refused",)),
)


def arguments(state_dir: Path, *, as_json: bool = False) -> argparse.Namespace:
    return argparse.Namespace(config=None, state_dir=str(state_dir), json=as_json)


@contextmanager
def answering(state_dir: Path, answer: bytes) -> Iterator[None]:
    """One answer on the agent's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(state_dir / SOCKET_FILE))
        listening.listen()

        def serve() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(4096)
                line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)


def ok(status: Status) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + msgspec.json.encode(status)


@pytest.mark.parametrize(("status", "code"), [(WELL, Exit.WELL), (UNWELL, Exit.UNWELL)])
def test_it_prints_what_the_agent_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: Status, code: Exit
) -> None:
    with answering(tmp_path, ok(status)):
        assert command(arguments(tmp_path), {}) == code
    told = capsys.readouterr().out
    assert "web-1, up 1 d 2 h (process 42)" in told
    with answering_again(tmp_path, ok(status)):
        assert command(arguments(tmp_path, as_json=True), {}) == code
    assert msgspec.json.decode(capsys.readouterr().out, type=Status) == status


@contextmanager
def answering_again(state_dir: Path, answer: bytes) -> Iterator[None]:
    (state_dir / SOCKET_FILE).unlink()
    with answering(state_dir, answer):
        yield


def test_the_worst_is_first_and_nothing_moves_the_cursor() -> None:
    lines = described(UNWELL)
    text = "\n".join(lines)
    assert "https://hub.example: away for 1 min (connection refused); this machine's clock is 1 min 30 s ahead" in text
    assert "100 kept, 90 delivered, 10 waiting (the oldest for 30 s), 0 lost" in text
    assert "12.0 MB of 256 MB" in text
    assert "configuration 7 of the hub is in force" in text
    assert "configuration: hub: version 8 is refused" in text
    order = [text.index(name) for name in ("http  ", "system  ", "systemd:m", "systemd:z", "systemd:a")]
    assert order == sorted(order)
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "no agent runs with the state directory"),
        (b"", "not as this version does"),
        (b"HTTP/1.1 500 No\r\n\r\n", "not as this version does"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "not this version's"),
    ],
)
def test_who_does_not_answer_is_not_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes | None, said: str
) -> None:
    if answer is None:
        assert command(arguments(tmp_path), {}) == Exit.NOT_RUNNING
    else:
        with answering(tmp_path, answer):
            assert command(arguments(tmp_path), {}) == Exit.NOT_RUNNING
    assert said in capsys.readouterr().err


def test_a_socket_that_was_left_behind_is_nobody(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(tmp_path / SOCKET_FILE))
    assert command(arguments(tmp_path), {}) == Exit.NOT_RUNNING


async def test_once_shows_rates_checks_and_what_fails() -> None:
    async def counts(run: int) -> list[Finding]:
        return [Reading("a", run * 1.5, {"disk": "sda"}), Check("door", "down", "ajar")]

    seen = await glance(plan_of(Scripted(counts), Scripted(hangs)), paper_world(clock=VirtualClock()))
    assert not seen.well
    assert [(one.metric, one.labels, one.value, one.unit) for one in seen.series if one.monitor == "scripted"] == [
        ("a", {"disk": "sda"}, 3.0, "1")
    ]
    text = "\n".join(described_once(seen))
    assert "scripted:door  down   ajar" in text
    assert "scripted-2  failing  an earlier run has not ended" in text or "cut off at its deadline" in text
    json.loads(msgspec.json.encode(seen))


def test_spans_sizes_and_columns() -> None:
    assert [span(seconds) for seconds in (-5, 0, 59.6, 3600, 90_061)] == ["0 s", "0 s", "1 min", "1 h", "1 d 1 h"]
    assert [size(count) for count in (0, 1023, 1536, 300 << 20, 5 << 40)] == [
        "0 B", "1023 B", "1.5 kB", "300 MB", "5120 GB",
    ]  # fmt: skip
    assert in_columns(("A", "B"), []) == []
    assert in_columns(("A", "B"), [("xyz", "")]) == ["A    B", "xyz"]


def test_a_line_of_json_is_one_line_whatever_it_says() -> None:
    import logging
    import sys

    try:
        raise ValueError("multi\nline \ud800")
    except ValueError:
        record = logging.LogRecord("a.b", logging.WARNING, "", 1, "said %s", ("x\ny",), sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert (said["level"], said["logger"], said["message"]) == ("warning", "a.b", "said x\ny")
    assert said["time"].endswith("+00:00")
    assert "ValueError" in said["error"]
