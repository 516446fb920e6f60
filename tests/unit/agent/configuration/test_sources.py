"""The look at the configuration's file that is taken every second: it leaves nothing behind."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pytest

from twinwatch.agent.configuration import sources as module
from twinwatch.agent.configuration.sources import Sources


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("user", [0, 1000])
def test_a_look_makes_no_paths_anew(named: bool, user: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, ...]] = []

    def making(*parts: Any) -> Path:
        made.append(parts)
        return Path(*parts)

    monkeypatch.setattr(module, "Path", making)
    monkeypatch.setattr(module, "path_of", making)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    environment = {"TWINWATCH_CONFIG": str(tmp_path / "agent.yaml")} if named else {"HOME": str(tmp_path)}
    looked_at = Sources(argparse.Namespace(), environment)
    looked_at.stamp()
    assert made
    made.clear()
    for _ in range(3):
        looked_at.stamp()
    assert made == []


def test_a_file_that_comes_is_found_and_one_that_was_used_is_expected_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    looked_at = Sources(argparse.Namespace(), {"HOME": str(tmp_path)})
    without = looked_at.stamp()
    file = tmp_path / ".config/twinwatch/agent.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("server_name: one\n")
    there = looked_at.stamp()
    assert there != without
    assert looked_at.read().settings.server_name == "one"
    file.unlink()
    assert looked_at.stamp() not in (without, there)
    assert looked_at.file == file
