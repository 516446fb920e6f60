"""What the bench of alert latency takes for a figure, and what for a failure."""

from __future__ import annotations

import pytest

from bench.alert_latency import _figure, _told_twice
from bench.figures import Peer
from bench.rig import Failed
from bench.rig.receivers import Receivers
from twinwatch.testing.channels.slack import Posted
from twinwatch.testing.channels.twilio import Text


def test_the_longest_of_several_failures_is_the_figure() -> None:
    figure = _figure("unit_to_slack", [0.5, 0.9, 0.1], 2.0, Peer("theirs", 30.0))
    assert (figure.value, figure.unit, figure.budget, figure.peer) == (0.9, "s", 2.0, Peer("theirs", 30.0))


def test_who_was_told_before_the_failure_was_told_of_something_else() -> None:
    with pytest.raises(Failed, match="before the failure"):
        _figure("agent_killed_to_email_fast", [3.0, -11.5])


def test_a_message_that_came_twice_on_one_channel_is_named() -> None:
    got = Receivers()
    got.slack.messages = [Posted(at, "ops", str(at), {"text": "web1 failed"}) for at in (1.0, 2.0)]
    got.twilio.texts = [Text(3.0, "+41", "+1", "web1 failed", "SM1")]
    assert _told_twice(got) == ["slack: web1 failed"]
