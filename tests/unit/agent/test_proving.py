"""``twinwatch drill`` on a server: what people and scripts read."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from twinwatch.agent.asking import Exit
from twinwatch.agent.drilling import Drilled, PathTried
from twinwatch.agent.proving import command
from twinwatch.protocol.problem import Problem

from .test_asking import answering, arguments

GOOD = PathTried("c1", "ops", "email", "delivered", 0.84)
BAD = PathTried("c2", "chat", "slack", "refused", 0.31, "the token\x1b is revoked")


def ok(drilled: Drilled) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + msgspec.json.encode(drilled)


@pytest.mark.parametrize(
    ("paths", "code", "last"),
    [
        ((GOOD,), Exit.WELL, "1 of 1 paths deliver; the hub has noted it"),
        ((GOOD, BAD), Exit.UNWELL, "1 of 2 paths deliver; the hub has noted it"),
    ],
)
def test_it_prints_a_line_for_each_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], paths: tuple[PathTried, ...], code: Exit, last: str
) -> None:
    with answering(tmp_path, ok(Drilled("web-1", 1, paths, reported=True))):
        assert command(arguments(tmp_path), {}) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["CHANNEL", "KIND", "FROM", "OUTCOME", "TOOK"]
    assert lines[1].split() == ["ops", "email", "web-1", "delivered", "0.84", "s"]
    assert lines[-1] == last
    assert "\x1b" not in "".join(lines)


def test_programs_get_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(tmp_path, ok(Drilled("web-1", 1, (BAD,)))):
        assert command(arguments(tmp_path, as_json=True), {}) == Exit.UNWELL
    assert json.loads(capsys.readouterr().out)["paths"][0]["outcome"] == "refused"


def test_without_a_channel_it_says_where_they_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(tmp_path, ok(Drilled("web-1", 1))):
        assert command(arguments(tmp_path), {}) == Exit.UNWELL
    assert "no channel to speak on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (None, Exit.NOT_RUNNING, "no agent runs"),
        (b"HTTP/1.1 404 No\r\n\r\n", Exit.NOT_RUNNING, "restart the agent"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", Exit.NOT_RUNNING, "restart the agent"),
        (
            b"HTTP/1.1 429 No\r\n\r\n" + msgspec.json.encode(Problem("", "", 429, "12 drills; wait a while")),
            Exit.MISUSED,
            "wait a while",
        ),
    ],
)
def test_who_does_not_hold_one_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes | None, code: Exit, said: str
) -> None:
    if answer is None:
        assert command(arguments(tmp_path), {}) == code
    else:
        with answering(tmp_path, answer):
            assert command(arguments(tmp_path), {}) == code
    assert said in capsys.readouterr().err
