"""What the hub holds of the moment in which a critical alert fired, though the host may be gone since."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.story.alert_stage import Scene
from twinwatch.testing.paper import PaperHost
from twinwatch.testing.story import until
from twinwatch.world.space import Space

FILES = {"/proc/loadavg": "9.00 2.10 1.05 4/512 9999\n", "/proc/uptime": "61.12 1.0\n"}


class SlowHost(PaperHost):
    """Its file systems take two seconds to answer."""

    async def statvfs(self, paths: Sequence[str], *, timeout_seconds: float) -> dict[str, Space]:
        """See ``Host``."""
        await asyncio.sleep(2.0)
        return await super().statvfs(paths, timeout_seconds=timeout_seconds)


async def test_a_critical_alert_takes_along_how_the_host_stood(tmp_path: Path) -> None:
    scene = Scene(tmp_path, host=PaperHost(FILES))
    await scene.begin()
    scene.gauge.checks["pump"] = "down"
    took = await until(lambda: scene.told("ops"), 20)
    await until(scene.events, 5)
    fired = scene.hub.server.events[0]
    assert fired.evidence is not None
    assert fired.evidence.parts["Load and memory"][0].startswith("load 9.00")
    assert "  load 9.00, 2.10, 1.05" in "\n".join(scene.office.heard("ops")[0].note.subjects[0].evidence)
    assert took < 17
    scene.gauge.value = 0.95  # a warning
    await until(lambda: len(scene.hub.server.events) > 3 and scene.hub.server.events[-1].severity == "warning", 60)
    assert all(event.evidence is None for event in scene.hub.server.events[1:])
    await scene.agent.stop()


async def test_a_host_that_hangs_delays_nobody_and_what_was_late_follows(tmp_path: Path) -> None:
    files = {**FILES, "/proc/self/mountinfo": "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"}
    scene = Scene(tmp_path, host=SlowHost(files, {"/": Space(4096, 1000, 10, 10, 0, 0)}))
    await scene.begin()
    scene.gauge.checks["pump"] = "down"
    await until(lambda: scene.told("ops"), 20)
    await until(lambda: [event for event in scene.hub.server.events if event.evidence and event.kind == "told"], 10)
    first, late = (event for event in scene.hub.server.events if event.evidence is not None)
    assert first.evidence is not None
    assert late.evidence is not None
    assert "File systems" not in first.evidence.parts
    assert late.evidence.parts["File systems"] == ["/: 99.0% used, 40.0 kB left"]
    assert late.key == first.key
    await scene.agent.stop()
