"""``twinwatch hub copy-samples`` beside a running hub: there, on with what came meanwhile, and what it says."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from twinwatch.hub.copy_samples import copy_samples
from twinwatch.hub.settings import Misconfigured, Settings
from twinwatch.testing.hub_stage import HandClock, HubStage
from twinwatch.testing.ports import free_port
from twinwatch.testing.postgres import SECRET
from twinwatch.testing.victoria import PROGRAM, is_there, single_node
from twinwatch.world.http import AiohttpHttp


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(owner_url=database_url, data_dir=tmp_path / "data", secret=SECRET)


async def exported(node: str) -> int:
    """How many samples it has."""
    http = AiohttpHttp()
    asked = (
        f"{node}/api/v1/query?nocache=1&query=sum(count_over_time(twinwatch_sample[10y]))&time={int(time.time()) + 60}"
    )
    answer = await http.request("GET", asked, timeout_seconds=5)
    await http.close()
    return int(answer.body.decode().split('"')[-2])


@pytest.mark.skipif(not is_there(), reason=f"{PROGRAM} is not installed: apt-get install {PROGRAM}")
async def test_samples_are_copied_while_the_hub_runs_and_once_more_what_came_meanwhile(
    settings: Settings, tmp_path: Path
) -> None:
    clock = HandClock(round(time.time() * 1000))
    stage = HubStage(settings.owner_url, tmp_path, clock=clock)
    with single_node() as node:
        async with stage:
            cast = await stage.cast()
            now = clock.now()
            await cast.agent.push(*((now - n * 60_000, (float(n), 0.5)) for n in range(60, 0, -1)))
            out = io.StringIO()
            assert await copy_samples(settings, "blocks", f"victoriametrics:{node}", out) == 0
            assert "100%" in out.getvalue()
            assert "120 samples copied, given back and the same by count and checksum" in out.getvalue()
            await cast.agent.push((now, (1.0, 2.0)))
            assert await copy_samples(settings, "blocks", f"victoriametrics:{node}", io.StringIO()) == 0
            assert await exported(node) == 122


async def test_a_store_that_is_away_ends_it_with_a_line(settings: Settings, tmp_path: Path) -> None:
    clock = HandClock(round(time.time() * 1000))
    async with HubStage(settings.owner_url, tmp_path, clock=clock) as stage:
        cast = await stage.cast()
        await cast.agent.push((clock.now(), (1.0, 2.0)))
        out = io.StringIO()
        target = f"victoriametrics:http://127.0.0.1:{free_port()}"
        assert await copy_samples(settings, "blocks", target, out) == 1
        assert "ended early: VictoriaMetrics" in out.getvalue()


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("blocks", "blocks", "the same"),
        ("timescale", "timescale", "the same"),
        ("rows", "blocks", "--from: expected blocks"),
        ("blocks", "", "--to: which engine"),
        ("blocks", "timescale", "this PostgreSQL has no TimescaleDB"),
        ("blocks", "victoriametrics:x", "--to: an address"),
    ],
)
async def test_a_way_that_is_none_is_refused(settings: Settings, source: str, target: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        await copy_samples(settings, source, target, io.StringIO())


async def test_a_data_folder_that_cannot_be_written_is_named(settings: Settings) -> None:
    settings.data_dir.write_text("a file")
    with pytest.raises(Misconfigured, match="--data-dir"):
        await copy_samples(settings, "blocks", "victoriametrics:http://vm", io.StringIO())
