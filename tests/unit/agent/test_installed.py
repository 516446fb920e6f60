from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from twinwatch.agent import installed as module
from twinwatch.agent.installed import installed, look
from twinwatch.monitors.discover import discover


def test_it_finds_what_looking_here_finds() -> None:
    here, there = discover(), installed()
    assert dict(there.found.monitors) == dict(here.monitors)
    assert there.found.flaws == here.flaws
    assert {kind.type for kind in there.kinds} == set(here.monitors)
    assert msgspec.json.encode(there.kinds) == msgspec.json.encode(look().kinds)


def test_names_cost_no_import() -> None:
    program = (
        "import sys\n"
        "from twinwatch.agent.installed import installed\n"
        "found = installed().found\n"
        "assert 'system' in found.monitors and len(found.monitors) > 3\n"
        "print('twinwatch.monitors.exec' in sys.modules)\n"
        "found.monitors['exec']\n"
        "print('twinwatch.monitors.exec' in sys.modules, 'twinwatch.monitors.prometheus' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "True False"]


def test_where_no_process_can_be_had_it_looks_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "system" in installed().found.monitors
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "exec" in module.installed().found.monitors
