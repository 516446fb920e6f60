"""The agent's judge: each thing by its own rule and time, within bounds; rules that change, things that go."""

from __future__ import annotations

import msgspec

from tests.unit.agent.alerting_things import FAILED, FULL, INTERVAL, START, judge, kinds, saw, tick
from twinwatch.agent.alerting import judge as judging
from twinwatch.agent.alerting.rulebook import conditions_of
from twinwatch.alerts.conditions import condition_of
from twinwatch.protocol.metrics import Metric, MonitorFacts
from twinwatch.protocol.rules import Rule

MINUTE = 60_000


def runs(_: str) -> bool | None:
    return True


def test_each_series_is_judged_for_itself_at_its_own_time() -> None:
    one = judge(FULL)
    (fired,) = one.took([tick(START, 0.95), tick(START, 0.5, mount="/var")], START + 400)
    assert fired.thing == "disk.used{mount=/}"
    assert (fired.transition.time, fired.state.value, fired.labels) == (START, 0.95, {"mount": "/"})
    assert one.took([tick(START, 0.95)], START + 800) == [], "the same sample twice changes nothing"
    assert kinds(one.took([tick(START + INTERVAL, 0.5)], START + INTERVAL)) == ["resolved"]


def test_a_label_selects_and_a_sample_that_is_old_when_it_comes_is_not_judged() -> None:
    one = judge(msgspec.structs.replace(FULL, labels={"mount": "!/backup*"}))
    assert one.took([tick(START, 0.95, mount="/backup/a")], START) == []
    assert one.took([tick(START, 0.95)], START + 11 * MINUTE) == []
    assert one.took([tick(START + 5 * MINUTE, 0.95)], START) == [], "nor one that is ahead"
    assert kinds(one.took([tick(START, 0.95)], START)) == ["fired"]


def test_a_window_is_judged_once_it_is_covered_and_is_filled_from_the_buffer_after_a_start() -> None:
    rule = Rule("mean", metric="disk.used", aggregate="mean", window="5m", above=0.5)
    one = judge(rule)
    times = [START + number * INTERVAL for number in range(30)]
    first = [time for time in times if one.took([tick(time, 0.9)], time)]
    assert first == [START + 5 * MINUTE], "not before there are five minutes to look back on"
    again = judge(rule)
    again.warm([tick(time, 0.9) for time in times])
    assert again.windows() == ({"disk.used"}, 5 * MINUTE)
    assert kinds(again.took([tick(times[-1] + INTERVAL, 0.9)], times[-1] + INTERVAL)) == ["fired"]


def test_checks_are_judged_as_they_are_seen_and_unknown_is_neither_good_nor_bad() -> None:
    one = judge(FAILED)
    assert saw(one, "up", START) == []
    assert kinds(saw(one, "down", START + INTERVAL)) == ["fired"]
    assert saw(one, "unknown", START + 2 * INTERVAL) == []
    assert kinds(saw(one, "up", START + 3 * INTERVAL)) == ["resolved"]


def test_a_check_that_vanishes_ends_its_alert_as_gone() -> None:
    one = judge(FAILED)
    saw(one, "down", START)
    (ended,) = one.gone(["gauge:pump"], START + 1)
    assert (ended.transition.kind, ended.transition.why) == ("resolved", "gone")
    again = judge(FAILED)
    saw(again, "down", START)
    assert again.look(START + MINUTE, runs, {"gauge:pump"}, settled=True) == []
    (ended,) = again.look(START + 2 * MINUTE, runs, set(), settled=True)
    assert ended.transition.why == "gone", "its monitor runs and yields it no more"


def test_a_series_without_samples_ends_its_alert_while_its_monitor_runs_and_not_while_it_does_not() -> None:
    one = judge(FULL)
    one.took([tick(START, 0.95)], START)
    later = START + 20 * MINUTE
    assert one.look(later, lambda name: False, (), settled=True) == []
    assert kinds(one.look(later + 1, runs, (), settled=True)) == ["resolved"]
    again = judge(FULL)
    again.took([tick(START, 0.95)], START)
    (ended,) = again.look(START + MINUTE, lambda name: None, (), settled=True)
    assert ended.transition.why == "gone", "nobody watches it any more"


def test_a_rule_that_is_taken_away_or_means_something_else_ends_its_alert_as_changed() -> None:
    for after in ((), (msgspec.structs.replace(FULL, severity="critical"),)):
        one = judge(FULL)
        one.took([tick(START, 0.95)], START)
        (ended,) = one.become(tuple(condition_of(rule) for rule in after), START + 1)
        assert ended.transition.why == "changed"
    one = judge(FULL)
    one.took([tick(START, 0.95)], START)
    higher = (condition_of(msgspec.structs.replace(FULL, above=0.97)),)
    assert one.become(higher, START + 1) == [], "another bound is judged by the next sample"
    assert kinds(one.took([tick(START + INTERVAL, 0.95)], START + INTERVAL)) == ["resolved"]


def test_silence_of_a_metric_alerts_whether_it_was_ever_seen_or_not() -> None:
    rule = Rule("no orders", metric="disk.used", no_data="5m")
    never = judge(rule)
    assert never.look(START + 1, runs, (), settled=True) == []
    (fired,) = [
        change
        for minute in range(2, 8)
        for change in never.look(START + minute * MINUTE, runs, (), settled=True)
    ]  # fmt: skip
    assert fired.thing == "disk.used"
    assert never.took([tick(START + 9 * MINUTE, 1.0)], START + 9 * MINUTE) == []
    once = judge(rule)
    once.took([tick(START, 1.0)], START)
    assert once.look(START + 4 * MINUTE, runs, (), settled=True) == []
    assert kinds(once.look(START + 6 * MINUTE, runs, (), settled=True)) == ["fired"]
    assert kinds(once.took([tick(START + 7 * MINUTE, 1.0)], START + 7 * MINUTE)) == ["resolved"]


def test_a_clock_that_is_set_makes_nothing_seem_long_ago() -> None:
    one = judge(Rule("no orders", metric="disk.used", no_data="5m"), FULL)
    one.took([tick(START, 0.95)], START)
    hour = 60 * MINUTE
    one.shift(hour)
    assert one.look(START + hour + MINUTE, runs, (), settled=False) == []
    one.shift(-2 * hour)
    assert kinds(one.took([tick(START - hour + INTERVAL, 0.5)], START - hour + INTERVAL)) == ["resolved"]


def test_what_is_kept_is_what_a_fresh_start_would_not_find() -> None:
    one = judge(FULL, FAILED)
    one.took([tick(START, 0.5), tick(START, 0.95, mount="/var")], START)
    saw(one, "up", START)
    kept = [thing.remembered for thing in one.touched.values() if thing.remembered]
    assert [each.thing for each in kept] == ["disk.used{mount=/var}"]
    again = judge(FULL, FAILED, remembered=kept)
    assert again.took([tick(START + INTERVAL, 0.95, mount="/var")], START + INTERVAL) == []
    assert kinds(again.took([tick(START + 2 * INTERVAL, 0.1, mount="/var")], START + 2 * INTERVAL)) == ["resolved"]


def test_there_are_only_so_many_things(monkeypatch: object) -> None:
    before, judging.THINGS = judging.THINGS, 3
    try:
        one = judge(FULL)
        fired = one.took([tick(START, 0.95, mount=f"/{number}") for number in range(9)], START)
        assert len(fired) == 3
    finally:
        judging.THINGS = before


def test_of_one_name_the_latest_rule_stands_and_means_every_monitor_of_its_type() -> None:
    facts = MonitorFacts("http", "HTTP", 30.0, (Metric("http.up", "1", ""),), rules=(Rule("down", check="*"),))

    def named(*layers: tuple[Rule, ...]) -> list[tuple[str, str, str]]:
        found = conditions_of([facts], {"http": ["shop", "http"]}, *layers)
        return [(one.rule.name, one.rule.check, one.rule.severity) for one in found]

    assert named() == [("http: down", "http:*", "warning"), ("http: down", "shop:*", "warning")]
    graver = Rule("http: down", check="http:*", severity="critical")
    assert named((graver,)) == [("http: down", "http:*", "critical"), ("http: down", "shop:*", "critical")]
    assert named((graver,), (msgspec.structs.replace(graver, enabled=False),)) == []
    assert named((Rule("silent", silent="5m"), Rule("broken", metric="m"))) == named(), "not the agent's to judge"
