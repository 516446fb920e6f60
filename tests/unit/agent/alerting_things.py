"""What the tests of the agent's alerting have in common: rules, ticks, a desk with channels."""

from __future__ import annotations

from typing import Any

from twinwatch.agent.alerting.addressing import Addressing
from twinwatch.agent.alerting.desk import Desk
from twinwatch.agent.alerting.judge import Change, Judge
from twinwatch.agent.buffer import Tick
from twinwatch.alerts.conditions import condition_of
from twinwatch.protocol.bundle import Bundle, DirectChannel
from twinwatch.protocol.checks import CheckStanding, CheckState
from twinwatch.protocol.policies import Policy, Step
from twinwatch.protocol.rules import Rule
from twinwatch.protocol.samples import SeriesKey, shape_of

START = 1_767_225_600_000
INTERVAL = 15_000
FULL = Rule("disk full", metric="disk.used", above=0.9)
FAILED = Rule("failed", severity="critical", check="gauge:*")
BUNDLE = Bundle(
    channels=(DirectChannel("c1", "email", "ops"), DirectChannel("c2", "slack", "chat")),
    policies=(
        Policy("p1", severities=("critical",), steps=(Step(0, ("c1", "c2")),)),
        Policy("p2", severities=("warning",), steps=(Step(0, ("c1",)),)),
    ),
)


def tick(time: int, value: float | None, *, mount: str = "/", metric: str = "disk.used") -> Tick:
    return Tick(shape_of("system", (SeriesKey(metric, {"mount": mount}),)), time, [value])


def judge(*rules: Rule, **more: Any) -> Judge:
    made = Judge(lambda kind: INTERVAL, **more)
    made.become(tuple(condition_of(rule) for rule in rules), START)
    return made


def check(state: CheckState, name: str = "gauge:pump") -> CheckStanding:
    return CheckStanding(name, "gauge", state, "" if state == "up" else f"{name} is {state}")


def saw(judge: Judge, state: CheckState, now: int, name: str = "gauge:pump") -> list[Change]:
    return judge.saw([check(state, name)], now, lambda monitor: INTERVAL)


def desk(*, hub: bool = True, bundle: Bundle = BUNDLE, **more: Any) -> Desk:
    return Desk(Addressing("server", bundle=bundle), server="web-1", unit_of=lambda metric: "1", hub=hub, **more)


def kinds(changes: list[Change]) -> list[str]:
    return [change.transition.kind for change in changes]
