"""What alerts by default, of Tailscale and MinIO: on what real and constructed sources said."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinwatch.alerts.conditions import condition_of, matcher
from twinwatch.alerts.wording import message_of
from twinwatch.monitors import Check, Finding, Monitor, Reading
from twinwatch.monitors.minio import Minio
from twinwatch.monitors.tailscale import Tailscale
from twinwatch.protocol.rules import Rule
from twinwatch.testing.cases import Case, cases_in

CAPTURES = Path(__file__).parents[2] / "captures"
KINDS: dict[str, type[Monitor]] = {"minio": Minio, "tailscale": Tailscale}
CASES = {case.name: case for case in cases_in(CAPTURES, KINDS)}


async def last_run(case: Case) -> list[Finding]:
    monitor = case.made()
    for snapshot, moment in zip(case.snapshots(), case.moments(), strict=True):
        found = list(await monitor.read(snapshot.world(moment), moment))
    return found


def rules_of(kind: type[Monitor]) -> tuple[Rule, ...]:
    rules: tuple[Rule, ...] = getattr(kind, "rules", ())
    return rules


def holds(rule: Rule, one: Finding) -> bool:
    """Whether a rule's condition holds for a finding, however long it has to."""
    if isinstance(one, Check):
        return bool(rule.check) and matcher(rule.check)(one.name) and one.state in rule.states
    if rule.metric != one.metric or not condition_of(rule).admits(one.labels):
        return False
    above = rule.above is not None and one.value > rule.above
    return above or (rule.below is not None and one.value < rule.below)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("minio-drive-lost", {"drives offline", "no drive to spare"}),
        ("minio-quorum-lost", {"write quorum lost", "canary dead", "objects missing", "metrics not readable"}),
        ("minio-v2", {"replication target away", "replication fails", "full soon"}),
        ("tailscale-socket", {"key expires soon", "key expires now", "routes not approved", "peer lost"}),
        (
            "tailscale-relayed",
            {
                "key expires soon",
                "routes not approved",
                "peer lost",
                "peer ails",
                "warnings",
                "security update",
                "exit node offline",
            },
        ),
        ("tailscale-tailnet", {"key expires soon", "peer lost", "warnings"}),
    ],
)
async def test_what_alerts_and_what_does_not(name: str, expected: set[str]) -> None:
    case = CASES[name]
    found = await last_run(case)
    assert {rule.name for rule in rules_of(case.kind) if any(holds(rule, one) for one in found)} == expected


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
async def test_every_rule_judges_something_that_is_seen(kind: type[Monitor]) -> None:
    seen = [one for case in CASES.values() if case.kind is kind for one in await last_run(case)]
    metrics = {one.metric for one in seen if isinstance(one, Reading)}
    checks = {one.name for one in seen if isinstance(one, Check)}
    for rule in rules_of(kind):
        assert rule.metric in metrics if rule.metric else any(map(matcher(rule.check), checks)), rule.name


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_message_names_the_server_and_leaves_nothing_open(kind: type[Monitor]) -> None:
    units = {metric.name: metric.unit for metric in kind.metrics}
    for rule in rules_of(kind):
        said = message_of(
            rule, "thing", {}, server="web-1", value=0.9, unit=units.get(rule.metric, ""), message="it broke: mend it"
        )
        assert "web-1" in said, rule.name
        assert "{" not in said, said
        assert rule.metric or "it broke: mend it" in said, rule.name
