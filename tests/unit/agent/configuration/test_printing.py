from __future__ import annotations

import json
from pathlib import Path

import pytest

from twinwatch import cli

from .kinds import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("TWINWATCH_STATE_DIR", str(tmp_path / "state"))
    return Desk(tmp_path)


def test_check_config_prints_what_would_run(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write_monitors("- {type: system, interval: 30s}")
    assert cli.main(["agent", "check-config", "--config", str(desk.file)]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.splitlines() == [
        f"{desk.file}: well, hub https://h",
        "",
        "monitor  type    from  interval  state",
        "system   system  file  30s       runs",
    ]


def test_check_config_prints_every_problem(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write_monitors("- {type: system, intervall: 30s}", "- {type: sytem}")
    assert cli.main(["agent", "check-config", "--config", str(desk.file)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    first, second = told.err.splitlines()
    assert first.startswith(f"{desk.file}:3:20: unknown key intervall: did you mean interval?")
    assert second.startswith(f"{desk.file}:4:6: unknown type 'sytem': did you mean system?")


def test_config_prints_origins_and_no_secret(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write_monitors("- {type: system, metrics: [cpu]}", head="api_key: hidden\nrules: [{name: r, check: 'a:*'}]\n")
    assert cli.main(["agent", "config", "--config", str(desk.file)]) == 0
    table = capsys.readouterr().out
    assert 'metrics: ["cpu"]' in table
    assert cli.main(["agent", "config", "--json", "--config", str(desk.file)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["settings"]["enrolment_key"] == {"value": "***", "origin": f"{desk.file}:2:1"}
    assert document["monitors"][0]["origin"] == "file"
    assert document["rules"][0]["name"] == "r"
    assert "hidden" not in table + json.dumps(document)
