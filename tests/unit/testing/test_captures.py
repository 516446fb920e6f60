from __future__ import annotations

from pathlib import Path

import pytest

from twinwatch.monitors import Reading
from twinwatch.monitors.system import System
from twinwatch.monitors.system.options import SystemOptions
from twinwatch.testing.captures import BOOT_ID, HOST_NAME, captures, main, record
from twinwatch.testing.paper import paper_world
from twinwatch.world.host import Host


async def test_a_recorded_machine_can_be_monitored(tmp_path: Path) -> None:
    record(tmp_path / "here", seconds=0.0)
    (capture,) = captures(tmp_path)
    assert capture.name == "here"
    monitor = System(SystemOptions())
    for host, moment in zip(capture.hosts(), capture.moments(), strict=True):
        readings = await monitor.read(paper_world(host), moment)
    found = {one.metric for one in readings if isinstance(one, Reading)}
    assert {"system.memory.utilization", "system.uptime"} <= found


def test_a_record_does_not_name_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", str(tmp_path / "here"), "--seconds", "0"]) == 0
    assert "two snapshots" in capsys.readouterr().out
    (capture,) = captures(tmp_path)
    real = Host()
    for host in capture.hosts():
        assert host.hostname() == HOST_NAME
        assert host.boot_id() == BOOT_ID
    recorded = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in recorded if real.boot_id() in text]
