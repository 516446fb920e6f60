"""What every monitor owes, whoever wrote it: run on every monitor that is found and every captured machine, unasked."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinwatch.monitors import Absent, Finding, Moment, Monitor, Reading, Unreadable
from twinwatch.monitors.discover import discover, flaw_of
from twinwatch.monitors.options import options_of
from twinwatch.protocol import limits
from twinwatch.testing.captures import Capture, captures
from twinwatch.testing.paper import PaperHost, paper_world
from twinwatch.world.host import Host
from twinwatch.world.space import Space

FOUND = discover()
MONITORS = sorted(FOUND.monitors.values(), key=lambda monitor: monitor.name)
CAPTURES = captures(Path(__file__).parents[1] / "captures")
SERIES_PER_MONITOR = 1_000
"""Cap for the largest captured machine."""
CPU_SECONDS_PER_RUN = 0.075
"""0.5 % of a core at a run every 15 s, for the largest captured machine."""

NEVER_NEGATIVE = ("By", "/s", "}")

each_monitor = pytest.mark.parametrize("kind", MONITORS, ids=lambda kind: kind.name)
each_capture = pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)


def made(kind: type[Monitor]) -> Monitor:
    return kind(options_of(kind, {}))


def only_readings(found: Sequence[Finding]) -> list[Reading]:
    return [one for one in found if isinstance(one, Reading)]


async def runs(kind: type[Monitor], hosts: Sequence[PaperHost], moments: Sequence[Moment]) -> list[list[Reading]]:
    """The readings of one monitor on one host after another. A run that refuses lawfully yields none."""
    monitor = made(kind)
    readings = []
    for host, moment in zip(hosts, moments, strict=True):
        try:
            readings.append(only_readings(await monitor.read(paper_world(host), moment)))
        except (Absent, Unreadable):
            readings.append([])
    return readings


def assert_lawful(kind: type[Monitor], readings: list[Reading]) -> None:
    units = {metric.name: metric.unit for metric in kind.metrics}
    for reading in readings:
        assert reading.metric in units, f"{reading.metric} is not declared"
        assert isinstance(reading.value, int | float), reading
        assert isfinite(reading.value), reading
        assert abs(reading.value) < 1 << 63, f"no encoding holds {reading}"
        if units[reading.metric] == "1":
            assert 0 <= reading.value <= 1, reading
        if units[reading.metric].endswith(NEVER_NEGATIVE):
            assert reading.value >= 0, reading
        assert len(reading.labels) <= limits.LABELS_PER_SERIES
        for name, value in reading.labels.items():
            assert 0 < len(name) <= limits.LABEL_NAME_CHARACTERS
            assert 0 < len(value) <= limits.LABEL_VALUE_CHARACTERS, reading
            assert value.isprintable(), reading
    series = [(reading.metric, *sorted(reading.labels.items())) for reading in readings]
    assert len(series) == len(set(series)), "a series has two values at one time"
    assert len(series) <= limits.SERIES_PER_SHAPE


def papers(capture: Capture) -> tuple[PaperHost, PaperHost]:
    first, second = (PaperHost.of(capture.folder / snapshot) for snapshot in ("first", "second"))
    return first, second


PAPERS = {capture.name: papers(capture) for capture in CAPTURES}


def test_no_monitor_is_found_flawed() -> None:
    assert FOUND.flaws == ()
    assert MONITORS
    assert CAPTURES


@each_monitor
def test_its_declaration_is_lawful(kind: type[Monitor]) -> None:
    assert flaw_of(kind) is None
    assert 0 < kind.deadline_seconds <= kind.interval_seconds
    for metric in kind.metrics:
        assert metric.help.endswith("."), f"{metric.name}: help is a sentence"
        assert metric.unit


@each_monitor
@each_capture
async def test_its_readings_are_lawful(kind: type[Monitor], capture: Capture) -> None:
    for readings in await runs(kind, PAPERS[capture.name], capture.moments()):
        assert_lawful(kind, readings)
        assert len(readings) <= SERIES_PER_MONITOR


@each_monitor
async def test_every_declaration_is_seen_on_some_capture(kind: type[Monitor]) -> None:
    seen: dict[str, list[Reading]] = {metric.name: [] for metric in kind.metrics}
    for capture in CAPTURES:
        for readings in await runs(kind, PAPERS[capture.name], capture.moments()):
            for reading in readings:
                seen[reading.metric].append(reading)
    assert [name for name, readings in seen.items() if not readings] == []
    for chart in kind.charts:
        drawn = [reading for metric in chart.metrics for reading in seen[metric]]
        for reading in drawn:
            assert set(chart.by) <= reading.labels.keys(), f"{chart.title}: a line without its name"
        values = {value for reading in drawn for value in reading.labels.values()}
        assert set(chart.mirror) <= values, f"{chart.title}: nothing to mirror"


@each_monitor
@each_capture
async def test_the_same_machine_reads_the_same_through_files(kind: type[Monitor], capture: Capture) -> None:
    """The paper host of these tests is no other machine than the captured one."""
    monitor = made(kind)
    expected = await runs(kind, PAPERS[capture.name], capture.moments())
    for host, moment, readings in zip(capture.hosts(), capture.moments(), expected, strict=True):
        assert await monitor.read(paper_world(host), moment) == readings


@each_monitor
async def test_without_its_source_it_is_absent(kind: type[Monitor]) -> None:
    monitor = made(kind)
    for moment in CAPTURES[0].moments():
        with pytest.raises(Absent):
            await monitor.read(paper_world(), moment)


@each_monitor
async def test_a_source_that_may_not_be_read_is_unreadable(kind: type[Monitor]) -> None:
    host = PaperHost(PAPERS[CAPTURES[0].name][0].files)
    host.refused = set(host.files)
    with pytest.raises(Unreadable, match="Permission denied"):  # a refusal says why
        await made(kind).read(paper_world(host), CAPTURES[0].moments()[0])


@each_monitor
@each_capture
async def test_a_missing_file_takes_its_own_readings_only(kind: type[Monitor], capture: Capture) -> None:
    full = {
        reading.metric for readings in await runs(kind, PAPERS[capture.name], capture.moments()) for reading in readings
    }
    for path in PAPERS[capture.name][0].files:
        hosts = [paper.but(path, None) for paper in PAPERS[capture.name]]
        for readings in await runs(kind, hosts, capture.moments()):
            assert_lawful(kind, readings)
            assert {reading.metric for reading in readings} <= full


@each_monitor
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_file_cut_anywhere_does_no_harm(kind: type[Monitor], data: st.DataObject) -> None:
    capture = data.draw(st.sampled_from(CAPTURES))
    whole = PAPERS[capture.name]
    path = data.draw(st.sampled_from(sorted(whole[0].files)))
    cut = [host.but(path, host.files[path][: data.draw(st.integers(0, len(host.files[path])))]) for host in whole]
    hosts = data.draw(st.sampled_from([(cut[0], whole[1]), (whole[0], cut[1]), (cut[0], cut[1])]))
    for readings in asyncio.run(runs(kind, hosts, capture.moments())):
        assert_lawful(kind, readings)


noise = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.one_of(
            st.text(alphabet="0123456789 .:=-\t\n\\/cpuavgkB\x00é", max_size=30),
            st.integers(-(2**70), 2**70).map(str),
            st.floats().map(str),
            st.sampled_from(["cpu ", "cpu0 ", "MemTotal: ", " kB", "some avg10=", "total=", " - ", "eth0:", "sda "]),
        ),
        max_size=40,
    ).map("".join),
)


@each_monitor
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_file_of_noise_does_no_harm(kind: type[Monitor], data: st.DataObject) -> None:
    capture = data.draw(st.sampled_from(CAPTURES))
    whole = PAPERS[capture.name]
    path = data.draw(st.sampled_from(sorted(whole[0].files)))
    hosts = [host.but(path, data.draw(noise)) for host in whole]
    for readings in asyncio.run(runs(kind, hosts, capture.moments())):
        assert_lawful(kind, readings)


@each_monitor
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_word_replaced_does_no_harm(kind: type[Monitor], data: st.DataObject) -> None:
    """Nearer to the truth than noise: everything is in place but one word."""
    capture = data.draw(st.sampled_from(CAPTURES))
    whole = PAPERS[capture.name]
    path = data.draw(st.sampled_from(sorted(whole[0].files)))
    hosts = []
    for host in whole:
        words = host.files[path].split(" ")
        place = data.draw(st.integers(0, len(words) - 1))
        words[place] = data.draw(st.one_of(st.integers(-5, 2**66).map(str), st.text(max_size=300), st.just("\n")))
        hosts.append(host.but(path, " ".join(words)))
    for readings in asyncio.run(runs(kind, hosts, capture.moments())):
        assert_lawful(kind, readings)


@each_monitor
@each_capture
async def test_it_can_be_cut_off_and_run_again(kind: type[Monitor], capture: Capture) -> None:
    monitor = made(kind)
    host, later = PAPERS[capture.name]
    hanging = PaperHost(host.files, host.spaces, hangs=True)
    try:
        async with asyncio.timeout(0.01):
            await monitor.read(paper_world(hanging), capture.moments()[0])
    except TimeoutError:
        pass
    assert_lawful(kind, only_readings(await monitor.read(paper_world(later), capture.moments()[1])))


@each_monitor
async def test_a_source_that_hangs_ends_before_the_deadline_and_is_skipped_until_it_answers(
    kind: type[Monitor], tmp_path: Path
) -> None:
    """The real door, its threads included, on a machine whose file systems never answer."""
    asked: list[str] = []
    let_go = threading.Event()

    def ask(path: str) -> Space:
        asked.append(path)
        let_go.wait()
        return Space(4096, 2, 1, 1, 2, 1)

    capture = CAPTURES[0]
    shutil.copytree(capture.folder / "first", tmp_path, dirs_exist_ok=True)
    (tmp_path / "statvfs.json").unlink()
    host, monitor = Host(tmp_path, ask_space=ask), made(kind)
    try:
        async with asyncio.timeout(kind.deadline_seconds):
            for moment in capture.moments():
                assert_lawful(kind, only_readings(await monitor.read(paper_world(host), moment)))
        assert len(asked) == len(set(asked)), "asked again before it answered"
    finally:
        let_go.set()
    async with asyncio.timeout(kind.deadline_seconds):
        while host.stuck_mounts:  # noqa: ASYNC110 - threads change what is waited for
            await asyncio.sleep(0.001)
    assert_lawful(kind, only_readings(await monitor.read(paper_world(host), capture.moments()[1])))


@each_monitor
async def test_time_that_stands_still_or_runs_backwards_does_no_harm(kind: type[Monitor]) -> None:
    for capture in CAPTURES:
        moment = capture.moments()[0]
        for other in (moment, Moment(0, 0.0)):
            for readings in await runs(kind, PAPERS[capture.name], (moment, other)):
                assert_lawful(kind, readings)


@each_monitor
async def test_a_run_is_cheap(kind: type[Monitor]) -> None:
    for capture in CAPTURES:
        monitor = made(kind)
        spent = []
        for _ in range(5):
            for host, moment in zip(capture.hosts(), capture.moments(), strict=True):
                start = time.process_time()
                await monitor.read(paper_world(host), moment)
                spent.append(time.process_time() - start)
        assert min(spent) < CPU_SECONDS_PER_RUN
