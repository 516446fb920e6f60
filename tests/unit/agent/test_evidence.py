"""What is collected when a critical alert fires: in a moment, in order, without secrets, within its bounds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.agent.buffer import Tick
from twinwatch.agent.evidence.figures import course_of
from twinwatch.agent.evidence.gathering import JOURNAL_LINES, LATER_SECONDS, MOMENT_SECONDS, About, Gatherer
from twinwatch.agent.evidence.masking import masked
from twinwatch.protocol.alerts import EVIDENCE_BYTES, Evidence
from twinwatch.protocol.rules import Rule
from twinwatch.protocol.samples import SeriesKey, shape_of
from twinwatch.testing.fakes import EPOCH, VirtualClock
from twinwatch.testing.paper import PaperCommands, PaperHost, paper_world
from twinwatch.testing.story import until
from twinwatch.world.commands import Ended
from twinwatch.world.host import Host
from twinwatch.world.space import Space

UNIT = Rule("unit", severity="critical", check="systemd:*")
CPU = Rule("cpu", severity="critical", metric="system.cpu.utilization", above=0.9)
JOURNAL = "$ journalctl --unit={} --lines=20 --output=short-iso --no-pager --quiet"
STAT = "{pid} ({comm}) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 3 0 {pid} 0 {pages} 0 0 0 0\n"
FILES = {
    "/proc/loadavg": "3.21 2.10 1.05 4/512 9999\n",
    "/proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 500000 kB\nDirty: 12 kB\n"
    "SwapTotal: 1000 kB\nSwapFree: 0 kB\n",
    "/proc/uptime": "90061.12 1.0\n",
    "/proc/pressure/cpu": "some avg10=91.50 avg60=40.00 avg300=10.00 total=1\nfull avg10=0 avg60=0 avg300=0 total=0\n",
    "/proc/pressure/io": "some avg10=1.00 avg60=2.00 avg300=3.00 total=1\nfull avg10=0.10 avg60=0 avg300=0 total=0\n",
    "/proc/self/mountinfo": "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n26 25 8:2 / /var rw - ext4 /dev/sda2 rw\n"
    "27 25 8:3 / /srv rw - ext4 /dev/sda3 rw\n",
    "/proc/812/cgroup": "0::/system.slice/nginx.service\n",
}
SPACES = {
    "/": Space(4096, 1000, 900, 850, 100, 90),
    "/var": Space(4096, 1000, 20, 10, 100, 50),
    "/srv": Space(4096, 1000, 500, 500, 0, 0),
}


class BusyHost(PaperHost):
    """Its processes have used more with each look."""

    def __init__(self) -> None:
        super().__init__(FILES, SPACES)
        self.looks = 0
        self._turn()

    def _turn(self) -> None:
        self.looks += 1
        for pid, comm, share, pages in ((1, "systemd", 0, 500), (812, "nginx", 25, 9_000), (900, "redis", 5, 90_000)):
            text = STAT.format(pid=pid, comm=comm, ticks=100 + share * self.looks, pages=pages)
            self.files[f"/proc/{pid}/stat"] = text

    def list(self, path: str) -> list[str]:
        if path == "/proc":
            self._turn()
        return super().list(path)


class SlowCommands(PaperCommands):
    """Programs take so long."""

    seconds = 0.0

    async def run(self, arguments: Any, **given: Any) -> Ended:
        await asyncio.sleep(self.seconds)
        return await super().run(arguments, **given)


class Bench:
    def __init__(self, host: Host | None = None) -> None:
        self.clock = VirtualClock()
        lines = "".join(f"2026-01-01T00:00:{n:02} web-1 web[1]: line {n}\n" for n in range(JOURNAL_LINES))
        self.commands = SlowCommands({JOURNAL.format("web.service"): f"exit 0\n{lines}"})
        self.world = paper_world(host or BusyHost(), clock=self.clock, commands=self.commands)
        self.ticks: list[Tick] = []
        self.later: list[Evidence] = []
        self.gatherer = Gatherer(self.world, self._recent)

    async def _recent(self, metric: str, since: int, until: int) -> Iterable[Tick]:
        return [tick for tick in self.ticks if since <= tick.time < until]

    async def collect(self, about: About) -> dict[str, list[str]]:
        return (await self.gatherer.collect(about, self.later.append)).parts


async def test_a_failed_unit_comes_with_its_journal_first_and_how_the_host_stood() -> None:
    bench = Bench()
    parts = await bench.collect(About(UNIT, "systemd:web.service"))
    assert list(parts) == [
        "Journal of web.service", "Load and memory", "Pressure", "Processes by CPU", "Processes by memory",
        "File systems",
    ]  # fmt: skip
    assert len(parts["Journal of web.service"]) == JOURNAL_LINES
    assert parts["Load and memory"][0] == "load 3.21, 2.10, 1.05 (1, 5, 15 min); 4 of 512 tasks ready to run"
    assert parts["Load and memory"][1].startswith("memory: 7.2 GB of 7.6 GB used, 488 MB available")
    assert parts["Load and memory"][-1] == "running for 1 d 1 h"
    assert parts["Pressure"][0].startswith("cpu: some waited 91.50 % of the last 10 s")
    assert re.fullmatch(r"\d+% of a core: nginx \(pid 812, nginx\.service\), 3 threads", parts["Processes by CPU"][0])
    assert len(parts["Processes by CPU"]) == 2, "who does nothing is not listed"
    assert parts["Processes by memory"][0].startswith("352 MB: redis (pid 900), 3 threads")
    assert parts["File systems"][0] == "/var: 99.0% used, 40.0 kB left; inodes 50.0% used"
    assert bench.later == []


async def test_a_value_comes_with_its_course_and_the_last_good_one() -> None:
    bench = Bench()
    labels = {"cpu.mode": "user"}
    shape = shape_of("system", (SeriesKey("system.cpu.utilization", labels), SeriesKey("system.cpu.utilization")))
    await asyncio.sleep(600)
    now = bench.clock.now()
    bench.ticks = [Tick(shape, now - 15_000 * n, [0.95 if n < 4 else 0.2 + n / 100, 0.0]) for n in range(20)]
    parts = await bench.collect(About(CPU, "system.cpu.utilization", labels, "system.cpu.utilization", 0.95))
    course = parts["Course of the value"]
    assert next(iter(parts)) == "Course of the value"
    assert course[0] == "fired at 0.95"
    assert course[1] == "last good: 0.24 at 00:09:00 UTC, 1 min before"
    assert course[2] == "in the 4 min 45 s before: 0.24 to 0.95, 0.442 on average, 20 samples"
    assert course[-1] == "00:10:00 UTC  0.95"


async def test_a_full_disk_puts_the_file_systems_before_the_rest() -> None:
    parts = await Bench().collect(About(UNIT, "system:filesystem:/var"))
    assert next(iter(parts)) == "File systems"


async def test_what_hangs_holds_up_nothing_and_what_comes_later_follows() -> None:
    bench = Bench()
    bench.commands.seconds = 3.0
    loop = asyncio.get_running_loop()
    began = loop.time()
    parts = await bench.collect(About(UNIT, "systemd:web.service"))
    assert loop.time() - began == pytest.approx(MOMENT_SECONDS, abs=0.01)
    assert "Journal of web.service" not in parts
    assert "Load and memory" in parts
    assert await until(lambda: bench.later, 5) < 3
    (whole,) = bench.later
    assert next(iter(whole.parts)) == "Journal of web.service"
    assert list(whole.parts)[1:] == list(parts)


async def test_what_never_comes_is_left_out_and_nothing_goes_on_for_it() -> None:
    bench = Bench()
    bench.commands.hangs = True
    parts = await bench.collect(About(UNIT, "systemd:web.service"))
    await asyncio.sleep(LATER_SECONDS + 1)
    assert bench.later == []
    assert "Pressure" in parts
    assert {task.get_name() for task in asyncio.all_tasks()} & {"evidence"} == set()


async def test_its_end_ends_what_is_still_being_collected() -> None:
    bench = Bench()
    bench.commands.hangs = True
    await bench.collect(About(UNIT, "systemd:web.service"))
    bench.gatherer.close()
    await asyncio.sleep(0.1)
    assert {task.get_name() for task in asyncio.all_tasks()} & {"evidence"} == set()


async def test_many_alerts_at_once_look_at_the_host_once() -> None:
    host = BusyHost()
    bench = Bench(host)
    before = host.looks
    await asyncio.gather(*(bench.collect(About(UNIT, f"systemd:web{n}.service")) for n in range(30)))
    assert host.looks - before == 2


async def test_a_host_of_which_nothing_can_be_read_gives_nothing_and_raises_nothing() -> None:
    bench = Bench(PaperHost({}))
    assert await bench.collect(About(UNIT, "other:thing")) == {}
    refused = PaperHost({"/proc/loadavg": "rubbish", "/proc/uptime": "x", "/proc/meminfo": "MemTotal: many"})
    bench = Bench(refused)
    assert await bench.collect(About(UNIT, "other:thing")) == {}


async def test_however_much_there_is_it_fits_an_event() -> None:
    bench = Bench()
    noise = "ä\x07" * 9_000
    long = "".join(f"x{n} {noise}\n" for n in range(JOURNAL_LINES))
    bench.commands.sources[JOURNAL.format("web.service")] = f"exit 0\n{long}"
    parts = await bench.collect(About(UNIT, "systemd:web.service"))
    assert len(msgspec.json.encode(parts)) <= EVIDENCE_BYTES
    assert parts["Journal of web.service"][0].endswith("…")
    assert all(line.isprintable() for lines in parts.values() for line in lines)


async def test_this_machine_can_be_collected(tmp_path: Path) -> None:
    bench = Bench(Host())
    evidence = await bench.gatherer.collect(About(UNIT, "other:thing"), bench.later.append)
    assert evidence.at >= EPOCH
    await until(lambda: bench.later or "Processes by memory" in evidence.parts, 10)
    parts = bench.later[-1].parts if bench.later else evidence.parts
    assert {"Load and memory", "Processes by memory"} <= parts.keys()


def test_without_samples_there_is_no_course() -> None:
    assert course_of([], "a", {}, CPU, None, EPOCH) == []
    assert course_of([], "a", {}, CPU, 1.0, EPOCH) == ["fired at 1"]


SECRETS = [
    "postgres://app:hunter2@db/x",
    "password=hunter2",
    'DB_PASSWORD: "hunter2 is long"',
    '{"api_key": "hunter2"}',
    "--password hunter2",
    "Authorization: Bearer hunter2hunter2",
    "Cookie: session=hunter2",
    "using bearer hunter2hunter2",
    "client_secret => hunter2,",
    "AWS_SECRET_ACCESS_KEY=hunter2",
    "token:hunter2",
    "eyJhbGciOiJIUzI1NiJ9.eyJhunter2.hunter2",
    "key tws_hunter2hunter2hunter2",
    "xoxb-1234-hunter2hunter2",
]


@pytest.mark.parametrize("line", SECRETS)
def test_what_looks_like_a_secret_is_masked(line: str) -> None:
    assert "hunter2" not in masked(f"Jan 01 web[1]: {line} and more")
    assert "***" in masked(line)


@pytest.mark.parametrize(
    "line",
    [
        "Main process exited, code=killed, status=9/KILL",
        "GET https://example.org/health?page=2 200 0.004",
        "Failed password for root from 10.0.0.1 port 22 ssh2",
        "the token bucket is empty; key: value",
        "connection to host db.example.org:5432 timed out",
    ],
)
def test_what_does_not_is_left(line: str) -> None:
    assert masked(line) == line


@given(st.text(max_size=300))
def test_masking_takes_any_text(line: str) -> None:
    masked(line)
