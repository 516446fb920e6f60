"""What facts say of a silence, during it and after."""

from __future__ import annotations

import pytest

from twinwatch.alerts.forensics import CAUSES, Outside, cause_of, verdict_of
from twinwatch.alerts.liveness import Signs
from twinwatch.protocol.life import Life, PreviousLife

T = 1_767_225_600_000
MINUTE = 60_000
FROM, TO = T, T + 10 * MINUTE


def life(
    boot: str = "b1", started: int = T - 60 * MINUTE, gap: float = 0.0, previous: PreviousLife | None = None
) -> Life:
    booted = started - MINUTE if boot == "b2" else T - 600 * MINUTE
    return Life(boot, booted, started, gap, previous)


def before(*, clean: bool, boot: str = "b1", last: int = T) -> PreviousLife:
    return PreviousLife(boot, T - 60 * MINUTE, last, clean)


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (life(), "network-lost"),
        (life(gap=540.0), "host-frozen"),
        (life(gap=30.0), "network-lost"),
        (life(started=TO - 5_000, previous=before(clean=False)), "agent-crashed"),
        (life(started=TO - 5_000, previous=before(clean=True)), "agent-restarted"),
        (life("b2", started=TO - 5_000, previous=before(clean=True)), "planned-reboot"),
        (life("b2", started=TO - 5_000, previous=before(clean=False)), "unclean-reboot"),
        (life(started=TO - 5_000, previous=before(clean=True, last=TO - 10_000)), "network-lost"),
        (life(started=TO - 5_000, previous=before(clean=True, last=FROM + 50_000)), "agent-restarted"),
        (life(started=TO - 5_000, previous=before(clean=False, last=FROM + 50_000)), "agent-crashed"),
        (life(started=TO - 5_000, previous=before(clean=False, last=TO - 10_000)), "network-lost"),
        (life(gap=3 * 3600.0), "network-lost"),
        (life("b2", started=TO - 5_000), "unclean-reboot"),
        (life(started=TO - 5_000), "agent-crashed"),
        (Life(), "unknown"),
        (None, "unknown"),
    ],
)
def test_the_cause_follows_from_what_the_agent_knows_of_its_lives(facts: Life | None, cause: str) -> None:
    assert cause_of(facts, FROM, TO) == cause
    assert cause in CAUSES


def test_a_clock_that_is_wrong_changes_no_cause() -> None:
    ahead = 30 * MINUTE
    facts = life(started=TO - 5_000 + ahead, previous=before(clean=False, last=FROM + 5_000 + ahead))
    assert cause_of(facts, FROM, TO, ahead) == "agent-crashed"
    assert cause_of(life(started=FROM - MINUTE + ahead), FROM, TO, ahead) == "network-lost"


@pytest.mark.parametrize(
    ("signs", "outside", "words"),
    [
        (Signs(T), Outside(), "nothing else looks at it"),
        (Signs(T), Outside(probes_up=2), "it answers others"),
        (Signs(T), Outside(probes_down=1, witnesses_down=2), "nobody reaches it"),
        (Signs(T), Outside(probes_down=1, peers_online=True), "cut off in part"),
        (Signs(T, leaving="stop"), Outside(), "its agent was stopped, and said so"),
        (Signs(T, leaving="shutdown"), Outside(probes_down=1), "it said that it shuts down"),
        (Signs(T, leaving="reboot"), Outside(), "has not come back"),
    ],
)
def test_the_verdict_says_what_is_likely_and_why(signs: Signs, outside: Outside, words: str) -> None:
    verdict = verdict_of(signs, outside)
    assert words in verdict.words
    seen = outside.probes_up + outside.probes_down + outside.witnesses_up + outside.witnesses_down
    assert bool(verdict.evidence) == bool(seen or outside.peers_online is not None or signs.control_lost_at)


def test_a_closed_connection_is_evidence() -> None:
    (line,) = verdict_of(Signs(T, control_lost_at=T + 1), Outside()).evidence
    assert line == "control connection: closed without a goodbye"
