"""Who tells of an alert, when, and what the hub is told of it: decisions about one record, without I/O."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.agent.alerting_things import BUNDLE, FAILED, FULL, START, desk, judge, saw, tick
from twinwatch.agent.alerting.addressing import FileAlerts, FileChannel
from twinwatch.agent.alerting.alert import RETRY_MILLISECONDS, Alert
from twinwatch.agent.alerting.desk import Desk
from twinwatch.agent.alerting.judge import Judge
from twinwatch.agent.alerting.memory import Writing
from twinwatch.protocol.alerts import AlertAnswer, AlertEvent
from twinwatch.protocol.policies import Policy, Recurring, Silence, Step

SECOND = 1_000
HOUR = 3_600_000


class Table:
    """A desk, a judge that feeds it, and a clock."""

    def __init__(self, **more: Any) -> None:
        self.desk: Desk = desk(**more)
        self.judge: Judge = judge(FULL, FAILED)
        self.now = START
        self.events: list[AlertEvent] = []

    def warn(self, value: float = 0.95) -> Alert | None:
        """A sample of the thing that warns; the alert, if there is one."""
        for change in self.judge.took([tick(self.now, value)], self.now):
            self.desk.happened(change, self.now)
        return self.kept()

    def fail(self, state: Any = "down") -> Alert | None:
        """An outcome of the check that is critical."""
        for change in saw(self.judge, state, self.now):
            self.desk.happened(change, self.now)
        return self.kept()

    def passes(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)
        self.desk.look(self.now)
        self.desk.questions(self.now)
        self.kept()

    def kept(self) -> Alert | None:
        """What was decided is kept; the events of it are in ``events``."""
        self.events += [msgspec.msgpack.decode(body, type=AlertEvent) for _, _, body in self.desk.writing.events]
        self.desk.writing = Writing()
        return self.desk.alerts[-1] if self.desk.alerts else None

    def hears(self, alert: Alert, **answer: Any) -> bool:
        """The hub answers."""
        closed = self.desk.answered(alert, AlertAnswer("", **answer), self.now, 0)
        self.kept()
        return closed

    def stances(self) -> list[str]:
        return [alert.stance for alert in self.desk.alerts]

    def kinds(self) -> list[tuple[str, list[str]]]:
        return [(event.kind, [f"{told.channel} {told.state}" for told in event.told]) for event in self.events]


def test_a_critical_alert_and_what_is_being_tried_are_one_decision() -> None:
    table = Table()
    alert = table.fail()
    assert alert is not None
    assert table.kinds() == [("fired", ["c1 trying", "c2 trying"])]
    assert [one.channel for one in alert.tellings] == ["c1", "c2"]
    table.desk.delivered(alert, alert.tellings[0], table.now, "m1")
    table.desk.refused(alert, alert.tellings[1], table.now, "no such channel")
    table.kept()
    assert table.kinds()[1:] == [("told", ["c1 delivered"]), ("told", ["c2 refused"])]
    table.now += 60 * SECOND
    table.fail("up")
    assert table.kinds()[3:] == [("resolved", ["c1 trying"])], "the hub knows whose the end is to say"
    assert [told.occasion for told in table.events[3].told] == ["resolved"]
    assert [(one.channel, one.occasion) for one in alert.tellings if not one.over] == [("c1", "resolved")]
    table.desk.delivered(alert, alert.tellings[2], table.now, "")
    assert table.desk.alerts == [], "it is over once everybody knows who is to"


def test_what_was_told_to_nobody_ends_in_silence_and_what_may_have_arrived_does_not() -> None:
    for doubtful in (False, True):
        table = Table()
        alert = table.fail()
        assert alert is not None
        for telling in alert.tellings:
            table.desk.failed(alert, telling, table.now + 5 * SECOND, "429", doubtful=doubtful)
        table.now += 60 * SECOND
        table.fail("up")
        assert [one.occasion for one in alert.tellings if not one.over] == ["resolved", "resolved"] * doubtful


def test_a_message_under_way_when_all_is_well_again_is_followed_by_its_end() -> None:
    table = Table()
    alert = table.fail()
    assert alert is not None
    table.now += 20 * SECOND
    table.fail("up")
    assert [one.occasion for one in alert.tellings] == ["firing", "firing"]
    table.desk.delivered(alert, alert.tellings[0], table.now, "")
    table.desk.failed(alert, alert.tellings[1], table.now, "500", doubtful=False)
    assert [(one.channel, one.occasion) for one in alert.tellings if not one.over] == [("c1", "resolved")]


def test_a_try_that_fails_for_long_is_left_to_a_hub_that_knows_and_goes_on_without_its_answer() -> None:
    for known in (False, True):
        table = Table()
        alert = table.fail()
        assert alert is not None
        if known:
            table.hears(alert)
        telling = alert.tellings[0]
        table.desk.failed(alert, telling, table.now, "500", doubtful=False)
        table.now += RETRY_MILLISECONDS + 1
        assert table.desk.may_try(alert, telling, table.now) is not known
        if known:
            assert list(table.desk.asking.values()) == [alert]
            table.passes(39)
            table.passes(9)
            assert table.desk.may_try(alert, telling, table.now), "the hub does not answer: better twice than never"
            assert alert.fence == 2


def test_a_try_that_the_hub_made_good_is_not_made_again() -> None:
    table = Table()
    alert = table.fail()
    assert alert is not None
    table.hears(alert)
    table.desk.failed(alert, alert.tellings[0], table.now, "500", doubtful=False)
    table.now += RETRY_MILLISECONDS + 1
    assert not table.desk.may_try(alert, alert.tellings[0], table.now)
    table.hears(alert, told=True)
    assert alert.tellings[0].state == "dropped"
    table.passes(600)
    assert not table.desk.may_try(alert, alert.tellings[0], table.now)


def test_what_could_not_be_said_is_left_to_the_hub_before_it_is_due_again_and_once() -> None:
    table = Table()
    alert = table.fail()
    assert alert is not None
    due = table.now + 300 * SECOND
    for telling in alert.tellings:
        table.desk.trying(alert, telling, "note")
        table.desk.failed(alert, telling, due, "429", doubtful=True)
    table.passes(30)
    assert table.stances() == ["mine"], "the hub has not heard of it"
    table.hears(alert)
    assert table.desk.next_look() == START + RETRY_MILLISECONDS + 1
    table.passes(1)
    assert (table.stances(), list(table.desk.asking.values())) == (["hub"], [alert])
    for _ in range(48):
        table.passes(1)
    assert table.stances() == ["mine"], "the hub does not answer"
    assert [one.due for one in alert.tellings] == [due, due], "the provider said when"
    table.passes(120)
    assert table.stances() == ["mine"]
    table.passes(120)
    assert not any(table.desk.may_try(alert, one, table.now) for one in alert.tellings)
    assert table.stances() == ["hub"]
    table.hears(alert, told=True)
    table.fail("up")
    assert [one.occasion for one in alert.tellings] == ["firing", "firing"]


def test_who_heard_that_it_began_hears_its_end_whatever_was_left_to_the_hub() -> None:
    table = Table()
    alert = table.fail()
    assert alert is not None
    table.hears(alert)
    began = alert.tellings
    table.desk.delivered(alert, began[0], table.now, "m1")
    table.desk.failed(alert, began[1], table.now, "500", doubtful=False)
    table.now += RETRY_MILLISECONDS + 1
    assert not table.desk.may_try(alert, began[1], table.now)
    assert table.stances() == ["hub"]
    table.fail("up")
    (end,) = [one for one in alert.tellings if not one.over]
    assert (end.channel, end.occasion) == ("c1", "resolved")
    table.hears(alert, told=True)
    assert table.desk.may_try(alert, end, table.now)


def under_way_when_left() -> tuple[Table, Alert]:
    """One channel fails and the other is being told when the hub says that it has told."""
    table = Table()
    alert = table.fail()
    assert alert is not None
    table.hears(alert)
    table.desk.trying(alert, alert.tellings[0], "n1")
    table.desk.failed(alert, alert.tellings[0], table.now + 200 * SECOND, "500", doubtful=False)
    table.now += 20 * SECOND
    table.desk.trying(alert, alert.tellings[1], "n2")
    table.now += RETRY_MILLISECONDS
    table.passes(1)
    table.hears(alert, told=True)
    assert (table.stances(), [one.state for one in alert.tellings]) == (["theirs"], ["dropped", "trying"])
    return table, alert


@pytest.mark.parametrize("over_first", [False, True])
def test_what_was_under_way_when_the_hub_had_told_is_followed_by_its_end_if_it_arrives(over_first: bool) -> None:
    table, alert = under_way_when_left()
    if over_first:
        table.fail("up")
    table.desk.delivered(alert, alert.tellings[1], table.now, "m2")
    if not over_first:
        table.fail("up")
    assert table.desk.alerts == [alert], "the running desk knows of it, not only the next one"
    assert [(one.channel, one.occasion) for one in alert.tellings if not one.over] == [("c2", "resolved")]


@pytest.mark.parametrize("ends", ["fails", "starts anew"])
@pytest.mark.parametrize("over_first", [False, True])
def test_what_was_under_way_when_the_hub_had_told_is_the_hubs_if_it_fails(ends: str, over_first: bool) -> None:
    table, alert = under_way_when_left()
    if over_first:
        table.fail("up")
    if ends == "fails":
        table.desk.failed(alert, alert.tellings[1], table.now + 5 * SECOND, "no answer within 15 s", doubtful=True)
    else:
        table.desk.resume(table.now)
    assert alert.tellings[1].state == "dropped"
    if not over_first:
        table.fail("up")
    assert [one.occasion for one in alert.tellings] == ["firing", "firing"]
    assert table.desk.alerts == []


def test_what_the_hub_has_told_on_one_channel_is_not_told_there_again_when_the_agent_takes_over() -> None:
    table = Table()
    alert = table.fail()
    assert alert is not None
    for telling in alert.tellings:
        table.desk.trying(alert, telling, "n1")
        table.desk.failed(alert, telling, table.now + 200 * SECOND, "no answer within 15 s", doubtful=True)
    table.hears(alert)
    table.passes(RETRY_MILLISECONDS / SECOND + 1)
    assert table.stances() == ["hub"]
    table.hears(alert, on=("c1",))
    assert [one.state for one in alert.tellings] == ["dropped", "waiting"]
    while table.stances() == ["hub"]:
        table.passes(5)
    assert (table.stances(), [one.channel for one in alert.tellings if not one.over]) == (["mine"], ["c2"])
    table.fail("up")
    assert [one.channel for one in alert.tellings if one.occasion == "resolved"] == ["c2"], "in c1 the hub says it"


def test_an_answer_that_comes_when_it_is_over_begins_nothing() -> None:
    table = Table()
    table.desk._addressing.file = FileAlerts((FileChannel("mine", "email"),), tell={"warning": ("mine",)})
    alert = table.warn()
    assert alert is not None
    table.desk.delivered(alert, alert.tellings[0], table.now, "")
    table.now += 60 * SECOND
    table.warn(0.1)
    assert alert.resolved_at
    table.hears(alert, accepted=False)
    assert [(one.channel, one.occasion) for one in alert.tellings] == [
        ("file:mine", "firing"),
        ("file:mine", "resolved"),
    ]


def test_a_warning_goes_from_asked_to_yielded_to_told_by_the_hub() -> None:
    table = Table()
    alert = table.warn()
    assert alert is not None
    assert (table.kinds(), alert.stance) == ([("fired", [])], "asked")
    table.hears(alert, fence=1)
    assert [(event.kind, event.fence) for event in table.events] == [("fired", 0), ("yielded", 1)]
    asked = 0
    for _ in range(30):
        table.passes(1)
        asked += alert in table.desk.asking.values()
        table.desk.asking.clear()
    assert asked == 3, "not every second"
    table.hears(alert, fence=1, told=True)
    table.passes(600)
    assert (alert.stance, alert.tellings) == ("theirs", [])


def test_a_hub_that_declines_or_does_not_answer_or_does_not_tell_leaves_it_to_the_agent() -> None:
    answers: tuple[tuple[dict[str, Any] | None, tuple[int, ...]], ...] = (
        ({"accepted": False}, ()),
        (None, (8,)),
        ({"fence": 1}, (39, 8)),
    )
    for answer, spans in answers:
        table = Table()
        alert = table.warn()
        assert alert is not None
        if answer is not None:
            table.hears(alert, **answer)
        for seconds in spans:
            assert alert.tellings == []
            table.passes(seconds)
        assert [one.channel for one in alert.tellings] == ["c1"]
        assert table.events[-1].fence == 2


def test_a_hub_that_is_reminded_and_has_not_told_is_relieved_at_once() -> None:
    table = Table()
    alert = table.warn()
    assert alert is not None
    table.hears(alert, fence=1)
    for _ in range(38):
        table.passes(1)
        if alert in table.desk.asking.values():
            table.hears(alert, fence=1)
    assert table.stances() == ["mine"]
    assert [one.channel for one in alert.tellings] == ["c1"]
    assert (table.events[-1].kind, table.events[-1].fence) == ("told", 2), "the hub hears of it before it tells too"


def test_a_warning_that_is_over_before_anybody_was_told_is_told_to_nobody() -> None:
    table = Table()
    table.warn()
    table.now += 5 * SECOND
    table.warn(0.1)
    assert [kind for kind, _ in table.kinds()] == ["fired", "resolved"]
    assert table.desk.alerts == []


def test_channels_of_the_file_are_the_agents_whoever_is_first() -> None:
    table = Table()
    table.desk._addressing.file = FileAlerts((FileChannel("mine", "email"),), tell={"warning": ("mine",)})
    alert = table.warn()
    assert alert is not None
    assert [one.channel for one in alert.tellings] == ["file:mine"]
    assert (alert.stance, table.events[0].told) == ("asked", ()), "the hub must not take it for told"
    alone = Table(hub=False, bundle=msgspec.structs.replace(BUNDLE, channels=(), policies=()))
    alone.desk._addressing.file = FileAlerts((FileChannel("mine", "email"),))
    alert = alone.warn()
    assert alert is not None
    assert ([one.channel for one in alert.tellings], alone.events) == (["file:mine"], [])


def test_a_silence_holds_back_and_its_end_tells_what_is_still_so() -> None:
    silence = Silence("s", until=START + 600 * SECOND)
    table = Table(bundle=msgspec.structs.replace(BUNDLE, silences=(silence,)))
    alert = table.fail()
    assert alert is not None
    assert (alert.stance, table.kinds(), table.events[0].silenced) == ("held", [("fired", [])], True)
    table.passes(599)
    assert alert.tellings == []
    table.passes(2)
    assert [one.channel for one in alert.tellings] == ["c1", "c2"], "the hub has never answered"
    known = Table(bundle=msgspec.structs.replace(BUNDLE, silences=(silence,)))
    alert = known.fail()
    assert alert is not None
    known.hears(alert)
    known.passes(601)
    assert (alert.stance, alert.tellings) == ("hub", []), "which has the same silence, and tells"
    known.hears(alert, told=True)
    known.passes(600)
    assert alert.tellings == []


def test_quiet_hours_hold_back_until_they_end_and_a_silence_that_is_ended_early_does_not() -> None:
    night = Recurring("UTC", "22:00", "06:00")
    policy = Policy("p", steps=(Step(0, ("c1",)),), quiet=night)
    table = Table(bundle=msgspec.structs.replace(BUNDLE, policies=(policy,)))
    alert = table.fail()
    assert alert is not None
    assert alert.until == START + 6 * HOUR, "the story begins at midnight"
    table.desk._addressing.bundle = BUNDLE
    table.passes(1)
    assert [one.channel for one in alert.tellings] == ["c1", "c2"]


def test_an_alert_closed_by_hand_is_open_no_more_and_fires_anew_only_after_it_was_well() -> None:
    table = Table()
    alert = table.fail()
    assert alert is not None
    for telling in alert.tellings:
        table.desk.delivered(alert, telling, table.now, "")
    assert table.hears(alert, closed=True)
    assert table.desk.open == []
    events = len(table.events)
    table.now += 15 * SECOND
    table.fail("down")
    table.now += 15 * SECOND
    table.fail("up")
    assert (table.desk.alerts, len(table.events)) == ([], events)
    table.now += 15 * SECOND
    assert table.fail("down") is not None
    assert len(table.desk.open) == 1


def test_a_hub_that_has_never_heard_of_it_gets_its_beginning_again() -> None:
    table = Table()
    alert = table.fail()
    assert alert is not None
    table.desk.delivered(alert, alert.tellings[0], table.now, "m1")
    table.now += HOUR
    table.hears(alert, unknown=True)
    again = table.events[-1]
    assert (again.kind, again.at, again.number) == ("fired", START, table.desk.number)
    assert [told.state for told in again.told] == ["delivered", "trying"]


def test_after_a_start_what_was_being_told_is_told_and_what_the_hub_was_asked_is_asked() -> None:
    table = Table()
    alert = table.fail()
    warned = table.warn()
    assert alert is not None
    assert warned is not None
    encoded = [msgspec.msgpack.encode(one) for one in table.desk.alerts]
    later = Table(alerts=[msgspec.msgpack.decode(one, type=Alert) for one in encoded], number=9)
    later.now = START + HOUR
    later.desk.resume(later.now)
    first, second = later.desk.alerts
    assert [(one.state, one.due, one.doubtful) for one in first.tellings] == [("waiting", later.now, True)] * 2
    assert (first.stance, first.until) == ("hub", later.now + 8 * SECOND), "it may have told meanwhile"
    assert (second.stance, second.until) == ("asked", later.now + 8 * SECOND)
    assert list(later.desk.asking.values()) == [first, second]
    later.passes(8)
    assert [one.channel for one in second.tellings] == ["c1"]
    assert later.events[0].number == 10
    assert not any(later.desk.may_try(first, one, later.now) for one in first.tellings)
    later.passes(8)
    assert all(later.desk.may_try(first, one, later.now) for one in first.tellings), "the hub does not answer"


def test_after_a_start_what_the_hub_told_meanwhile_is_the_hubs_to_end() -> None:
    table = Table()
    alert = table.fail()
    assert alert is not None
    later = Table(alerts=[alert], number=9)
    later.judge = table.judge
    later.now = START + HOUR
    later.desk.resume(later.now)
    later.hears(alert, told=True)
    assert [one.state for one in alert.tellings] == ["dropped", "dropped"]
    later.fail("up")
    assert [one.occasion for one in alert.tellings] == ["firing", "firing"], "whoever told that it began tells its end"


def test_after_a_short_stop_and_without_a_hub_what_was_being_told_is_told_at_once() -> None:
    for seconds, hub in ((5, True), (3_600, False)):
        table = Table(hub=hub)
        alert = table.fail()
        assert alert is not None
        later = Table(alerts=[alert], number=9, hub=hub)
        later.now = START + seconds * SECOND
        later.desk.resume(later.now)
        assert (alert.stance, len(later.desk.asking)) == ("mine", 0)
        assert all(later.desk.may_try(alert, one, later.now) for one in alert.tellings)
