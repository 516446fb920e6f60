"""What every monitor owes, whoever wrote it: tests to inherit from.

In a plug-in's own tests::

    class TestTea(MonitorContract):
        cases = cases_in(Path(__file__).parent / "captures", {"tea": Tea})

Each case is run whole, cut at any byte, with noise in place of a source, without a source, with sources that may not
be read and with sources that never answer. The monitor answers with lawful findings, ``Absent`` or ``Unreadable``.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinwatch.monitors import Absent, Check, Declaration, Finding, Monitor, Reading, Unreadable
from twinwatch.monitors.discover import flaw_of
from twinwatch.monitors.options import options_of, schema_of
from twinwatch.protocol import limits
from twinwatch.testing.cases import Case, Snapshot

SERIES_PER_MONITOR = 1_000
"""Cap for the largest case."""
CPU_SECONDS_PER_RUN = 0.075
"""0.5 % of a core at a run every 15 s, for the largest case."""
NEVER_NEGATIVE = ("By", "/s", "}")
ANY_VALUE = "{value}"
"""The unit of what others measured, and nobody knows what it is."""
REASON = re.compile(r"[a-z0-9-]*")
STATES = {"up", "degraded", "down", "unknown"}

EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck))

NOISE = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.one_of(
            st.text(alphabet='0123456789 .:=-\t\n\\/{}[]"<>cpuavgkB\x00é', max_size=30),
            st.integers(-(2**70), 2**70).map(str),
            st.floats().map(str),
            st.sampled_from(
                ["cpu ", "cpu0 ", "MemTotal: ", " kB", "total=", " - ", "sda ", "200\n\n", "exit 0\n", "{}"]
            ),
        ),
        max_size=40,
    ).map("".join),
)

Runs = list[list[Finding]]


async def runs(case: Case, snapshots: Sequence[Snapshot]) -> tuple[Monitor, Runs]:
    """The findings of a fresh monitor on one snapshot after another. A run that refuses lawfully has none."""
    monitor = case.made()
    found: Runs = []
    for snapshot, moment in zip(snapshots, case.moments(), strict=True):
        try:
            found.append(list(await monitor.read(snapshot.world(moment), moment)))
        except (Absent, Unreadable) as reason:
            assert_keeps_secrets(case, str(reason))
            found.append([])
    return monitor, found


def declared(monitor: Monitor) -> dict[str, str]:
    """Unit of each metric, learned ones included."""
    learned: Declaration = getattr(monitor, "learned", Declaration())
    return {metric.name: metric.unit for metric in (*monitor.metrics, *learned.metrics)}


def assert_lawful(case: Case, monitor: Monitor, findings: Sequence[Finding]) -> None:
    """Every finding can be stored, sent and shown, and none says what it must not."""
    units = declared(monitor)
    readings = [one for one in findings if isinstance(one, Reading)]
    checks = [one for one in findings if isinstance(one, Check)]
    assert len(readings) + len(checks) == len(findings), "a finding is a Reading or a Check"
    for reading in readings:
        _assert_lawful_reading(reading, units)
    series = [(reading.metric, *sorted(reading.labels.items())) for reading in readings]
    assert len(series) == len(set(series)), "a series has two values at one time"
    assert len(series) <= limits.SERIES_PER_SHAPE
    for check in checks:
        assert check.state in STATES, check
        assert 0 < len(check.name) <= limits.CHECK_NAME_CHARACTERS, check
        assert check.name.isprintable(), check
        assert REASON.fullmatch(check.reason), check
        assert check.state == "up" or check.message, f"{check}: says nothing to people"
    assert len({check.name for check in checks}) == len(checks), "a check is found twice"
    assert_keeps_secrets(case, repr(findings))


def _assert_lawful_reading(reading: Reading, units: Mapping[str, str]) -> None:
    assert reading.metric in units, f"{reading.metric} is not declared"
    assert isinstance(reading.value, int | float), reading
    assert isfinite(reading.value), reading
    assert abs(reading.value) < 1 << 63, f"no encoding holds {reading}"
    if units[reading.metric] == "1":
        assert 0 <= reading.value <= 1, reading
    if units[reading.metric].endswith(NEVER_NEGATIVE) and units[reading.metric] != ANY_VALUE:
        assert reading.value >= 0, reading
    assert len(reading.labels) <= limits.LABELS_PER_SERIES
    for name, value in reading.labels.items():
        assert 0 < len(name) <= limits.LABEL_NAME_CHARACTERS
        assert 0 < len(value) <= limits.LABEL_VALUE_CHARACTERS, reading
        assert value.isprintable(), reading


def assert_keeps_secrets(case: Case, text: str) -> None:
    """No secret option stands in what the monitor says."""
    for secret in case.secrets:
        assert secret not in text, "a secret is shown"


def nothing_is_up(found: Runs) -> bool:
    """Whether no check claims that all is well."""
    return not [one for findings in found for one in findings if isinstance(one, Check) and one.state == "up"]


class MonitorContract:
    """The tests. ``cases`` holds at least one case of every monitor that is tested."""

    cases: ClassVar[Sequence[Case]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test that asks for ``case`` runs on every case; one that asks for ``kind``, on every monitor."""
        if "case" in metafunc.fixturenames:
            names = [f"{case.kind.name}-{case.name}" for case in self.cases]
            metafunc.parametrize("case", self.cases, ids=names)
        if "kind" in metafunc.fixturenames:
            kinds = {case.kind.name: case.kind for case in self.cases}
            metafunc.parametrize("kind", kinds.values(), ids=list(kinds))

    def test_its_declaration_is_lawful(self, kind: type[Monitor]) -> None:
        """Names, units, sentences."""
        assert flaw_of(kind) is None
        assert 0 < kind.deadline_seconds <= kind.interval_seconds
        assert kind.__doc__, "the first sentence of its docstring is its help"
        for metric in kind.metrics:
            assert metric.help.endswith("."), f"{metric.name}: help is a sentence"
            assert metric.unit

    def test_its_options_make_a_form(self, kind: type[Monitor]) -> None:
        """Every option has a description, and no default that its own bounds refuse."""
        schema = schema_of(kind)
        for part in (schema, *schema.get("$defs", {}).values()):
            for name, option in part.get("properties", {}).items():
                assert option.get("description"), f"option {name} has no description"
        if not schema.get("required"):
            options_of(kind, {})

    async def test_its_findings_are_lawful(self, case: Case) -> None:
        """Both moments, as recorded."""
        monitor, found = await runs(case, case.snapshots())
        for findings in found:
            assert_lawful(case, monitor, findings)
            assert len(findings) <= SERIES_PER_MONITOR

    async def test_every_declaration_is_seen_in_some_case(self, kind: type[Monitor]) -> None:
        """A metric that no case yields is untested; a chart by a label that is not there draws lines without names."""
        seen: dict[str, list[Reading]] = {metric.name: [] for metric in kind.metrics}
        for case in self.cases:
            if case.kind is kind:
                for findings in (await runs(case, case.snapshots()))[1]:
                    for one in findings:
                        if isinstance(one, Reading):
                            seen.setdefault(one.metric, []).append(one)
        assert [name for name, readings in seen.items() if not readings] == []
        for chart in kind.charts:
            drawn = [reading for metric in chart.metrics for reading in seen[metric]]
            for reading in drawn:
                assert set(chart.by) <= reading.labels.keys(), f"{chart.title}: a line without its name"
            values = {value for reading in drawn for value in reading.labels.values()}
            assert set(chart.mirror) <= values, f"{chart.title}: nothing to mirror"

    async def test_without_its_sources_it_says_so(self, case: Case) -> None:
        """Absent, unreadable, or checks that are not up: never that all is well."""
        nothing = Snapshot({})
        monitor, found = await runs(case, (nothing, nothing))
        assert nothing_is_up(found)
        for findings in found:
            assert_lawful(case, monitor, findings)

    async def test_sources_that_may_not_be_read_are_told(self, case: Case) -> None:
        """Not judged is not ok."""
        refused = Snapshot(case.first.sources, case.first.spaces, refused=True)
        monitor, found = await runs(case, (refused, refused))
        assert nothing_is_up(found)
        for findings in found:
            assert_lawful(case, monitor, findings)

    async def test_a_missing_source_does_no_harm(self, case: Case) -> None:
        """One at a time."""
        for source in case.first.sources:
            snapshots = [snapshot.but(source, None) for snapshot in case.snapshots() if source in snapshot.sources]
            if len(snapshots) == 2:
                monitor, found = await runs(case, snapshots)
                for findings in found:
                    assert_lawful(case, monitor, findings)

    @EXAMPLES
    @given(data=st.data())
    async def test_a_source_cut_anywhere_does_no_harm(self, case: Case, data: st.DataObject) -> None:
        """In one moment or in both."""
        source = data.draw(st.sampled_from(sorted(case.first.sources)))
        text = case.first.sources[source]
        await self._bend(case, data, source, text[: data.draw(st.integers(0, len(text)))])

    @EXAMPLES
    @given(data=st.data())
    async def test_a_source_of_noise_does_no_harm(self, case: Case, data: st.DataObject) -> None:
        """In one moment or in both."""
        await self._bend(case, data, data.draw(st.sampled_from(sorted(case.first.sources))), data.draw(NOISE))

    @EXAMPLES
    @given(data=st.data())
    async def test_a_word_replaced_does_no_harm(self, case: Case, data: st.DataObject) -> None:
        """Nearer to the truth than noise: everything is in place but one word."""
        source = data.draw(st.sampled_from(sorted(case.first.sources)))
        words = re.split(r"([ ,:<>\"\n])", case.first.sources[source])
        place = data.draw(st.integers(0, len(words) - 1))
        words[place] = data.draw(st.one_of(st.integers(-5, 2**66).map(str), st.text(max_size=300), st.just("\n")))
        await self._bend(case, data, source, "".join(words))

    async def _bend(self, case: Case, data: st.DataObject, source: str, text: str) -> None:
        first, second = case.snapshots()
        where = data.draw(st.sampled_from(["first", "second", "both"]))
        snapshots = (
            first.but(source, text) if where != "second" else first,
            second.but(source, text) if where != "first" else second,
        )
        monitor, found = await runs(case, snapshots)
        for findings in found:
            assert_lawful(case, monitor, findings)

    async def test_it_can_be_cut_off_and_run_again(self, case: Case) -> None:
        """A source that hangs costs the run, and nothing after it."""
        monitor = case.made()
        first, second = case.snapshots()
        hanging = Snapshot(first.sources, first.spaces, hangs=True)
        started, later = case.moments()
        try:
            async with asyncio.timeout(0.05):
                await monitor.read(hanging.world(started), started)
        except (TimeoutError, Absent, Unreadable):
            pass
        try:
            findings = await monitor.read(second.world(later), later)
        except (Absent, Unreadable):
            findings = []
        assert_lawful(case, monitor, findings)

    async def test_time_that_stands_still_or_runs_backwards_does_no_harm(self, case: Case) -> None:
        """Suspend, a clock that was set, a virtual machine that was moved."""
        moment = case.moments()[0]
        for other in (moment, type(moment)(0, 0.0)):
            monitor = case.made()
            for snapshot, at in zip(case.snapshots(), (moment, other), strict=True):
                try:
                    assert_lawful(case, monitor, await monitor.read(snapshot.world(at), at))
                except (Absent, Unreadable):
                    continue

    async def test_a_run_is_cheap(self, case: Case) -> None:
        """The cheapest of several, so that a busy machine fails nobody."""
        monitor = case.made()
        spent = []
        for _ in range(5):
            for snapshot, moment in zip(case.snapshots(), case.moments(), strict=True):
                world = snapshot.world(moment)
                started = time.process_time()
                try:
                    await monitor.read(world, moment)
                except (Absent, Unreadable):
                    continue
                finally:
                    spent.append(time.process_time() - started)
        assert min(spent) < CPU_SECONDS_PER_RUN
