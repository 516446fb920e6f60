"""When a probe's tries become an alert, and when they end it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.hub.probing.judge import DEFAULTS, Judgement, Memory, Try, judged, rules_for
from twinwatch.hub.probing.kinds import Outcome
from twinwatch.protocol.rules import Rule

MINUTE = 60_000
DAY = 86_400_000
UP = Outcome("up", seconds=0.2)
DOWN = Outcome("down", "connection-refused", "10.0.0.1:443: connection refused")
LOST = Outcome("unknown", "our-dns-failed", "nobody could tell")


def follow(
    outcomes: Sequence[Outcome], rules: Sequence[Rule] = DEFAULTS, memory: Memory | None = None, start: int = 1
) -> list[Judgement]:
    """One try a minute."""
    found: list[Judgement] = []
    for number, outcome in enumerate(outcomes, start):
        before = found[-1].memory if found else memory or {}
        found.append(judged(before, rules, Try("shop", "shop.example", number * MINUTE, MINUTE, outcome)))
    return found


def told(judgements: Sequence[Judgement]) -> list[tuple[str, str]]:
    return [(one.rule.name, one.transition.kind) for each in judgements for one in each.happened]


def test_two_failures_of_three_are_one_alert_and_two_good_tries_its_end() -> None:
    found = follow([UP, DOWN, UP, DOWN, DOWN, DOWN, UP, UP])
    assert told(found) == [("Probe down", "fired"), ("Probe down", "resolved")]
    assert [one.state for one in found] == ["up", "degraded", "up", "down", "down", "down", "degraded", "up"]


def test_it_is_looked_at_again_soon_while_it_is_not_certain() -> None:
    found = follow([UP, DOWN, DOWN, DOWN, UP, UP, UP])
    assert [one.recheck for one in found] == [False, True, False, False, True, False, False]


def test_what_nobody_could_judge_is_neither_good_nor_bad() -> None:
    found = follow([DOWN, LOST, DOWN, LOST, LOST, UP, LOST, UP])
    assert told(found) == [("Probe down", "fired"), ("Probe down", "resolved")]
    assert [one.recheck for one in found] == [True, False, False, False, False, True, False, False]
    assert found[3].state == "unknown"


@given(st.lists(st.sampled_from([UP, DOWN, LOST, Outcome("degraded", "slow", "slow", 3.0)]), max_size=60))
def test_firing_and_resolved_alternate_whatever_is_seen(outcomes: list[Outcome]) -> None:
    kinds = [kind for _, kind in told(follow(outcomes)) if kind != "settled"]
    assert kinds == ["fired", "resolved"] * (len(kinds) // 2) + ["fired"] * (len(kinds) % 2)


@given(st.lists(st.sampled_from([UP, DOWN, LOST]), max_size=30), st.integers(0, 30))
def test_a_hub_that_takes_over_in_between_judges_the_same(outcomes: list[Outcome], place: int) -> None:
    whole = follow(outcomes)
    first = follow(outcomes[:place])
    second = follow(outcomes[place:], memory=first[-1].memory if first else {}, start=len(outcomes[:place]) + 1)
    assert told(first) + told(second) == told(whole)


def test_a_certificate_is_told_two_weeks_and_three_days_before_its_end_and_when_it_was_renewed() -> None:
    def at(days: float, left: float) -> Try:
        time = round(days * DAY)
        return Try("shop", "shop.example", time, MINUTE, Outcome("up", expires_at=time + round(left * DAY)))

    memory: Memory = {}
    seen = []
    for days, left in ((1, 15), (2, 14.1), (3, 13.1), (13, 3.1), (14, 2.1), (15, 90)):
        judgement = judged(memory, DEFAULTS, at(days, left))
        memory = judgement.memory
        seen += [(one.rule.name, one.transition.kind, days) for one in judgement.happened]
    assert seen == [
        ("Certificate expires soon", "fired", 3),
        ("Certificate expires in days", "fired", 14),
        ("Certificate expires soon", "resolved", 15),
        ("Certificate expires in days", "resolved", 15),
    ]


def test_one_that_is_over_is_told_as_down_and_not_thrice() -> None:
    over = Outcome("down", "tls-expired", "the certificate of shop expired 3 days ago", expires_at=-3 * DAY)
    assert told(follow([over, over, over])) == [("Probe down", "fired")]


def test_a_rule_of_the_same_name_stands_in_place_of_a_default() -> None:
    strict = Rule("Probe down", severity="warning", probe="*")
    assert told(follow([DOWN], rules_for([strict]))) == [("Probe down", "fired")]
    off = Rule("Probe down", probe="*", enabled=False)
    assert told(follow([DOWN] * 5, rules_for([off]))) == []


def test_rules_of_agents_do_not_count_and_patterns_and_labels_choose() -> None:
    other = Rule("cpu", metric="system.cpu.utilization", above=0.9)
    mine = Rule("slow", metric="probe.duration", above=1.0, labels={"probe": "sho*"})
    not_mine = Rule("not mine", metric="probe.duration", above=1.0, labels={"probe": "!shop"})
    rules = rules_for([other, mine, not_mine, Rule("blog", probe="blog*")])
    assert [rule.name for rule in rules[3:]] == ["slow", "not mine", "blog"]
    assert told(follow([Outcome("up", seconds=2.5), UP], rules)) == [("slow", "fired"), ("slow", "resolved")]


def test_a_rule_that_is_no_more_ends_what_it_fired() -> None:
    extra = Rule("any failure", probe="*")
    before = follow([DOWN], rules_for([extra]))
    after = follow([DOWN], DEFAULTS, before[-1].memory, start=2)
    assert ("any failure", "resolved") in told(after)
    assert after[-1].happened[-1].transition.why == "changed"
    assert "any failure" not in after[-1].memory


def test_a_message_of_ones_own_is_filled_with_what_is_known() -> None:
    rule = Rule("Probe down", probe="*", message="{check} is gone: {message} {else}")
    (happened,) = follow([DOWN], rules_for([rule]))[0].happened
    assert happened.message == "shop is gone: 10.0.0.1:443: connection refused {else}"
