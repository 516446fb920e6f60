"""What an alert stream says, in any piece, whatever stands between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinwatch.monitors.hikvision.events import BUFFER_BYTES, HEARTBEAT_SECONDS, HELD_SECONDS, SHOWN_SECONDS, Events
from twinwatch.testing.hikvision import PERSONALITIES, Device

DEVICE = Device(PERSONALITIES["nvr-old"], lambda: 1_700_000_000_000)


def _part(kind: str, state: str, channel: str = "0") -> bytes:
    return b"--boundary\r\nContent-Type: application/xml\r\n\r\n" + DEVICE.alert(kind, state, channel) + b"\r\n"


def _states(events: Events, now: float) -> dict[str, str]:
    return {one.name: one.state for one in events.checks(now)}


@given(size=st.integers(1, 400))
def test_events_are_understood_in_pieces_of_any_size(size: int) -> None:
    content = _part("videoloss", "inactive") + _part("videoloss", "active", "3") + _part("VMD", "active", "1")
    events = Events()
    news = [events.feed(content[start : start + size], 0.0) for start in range(0, len(content), size)]
    assert news.count(True) == 1
    assert _states(events, 1.0) == {"event:videoloss:3": "degraded", "events": "up"}


def test_an_event_ends_when_it_is_told_to_or_is_not_repeated_and_is_forgotten_later() -> None:
    events = Events()
    assert events.feed(_part("diskerror", "active"), 0.0)
    assert not events.feed(_part("diskerror", "active"), 10.0)
    assert events.feed(_part("diskerror", "inactive"), 20.0)
    assert _states(events, 21.0)["event:diskerror"] == "up"
    assert events.feed(_part("nicbroken", "active"), 30.0)
    assert _states(events, 30.0 + HELD_SECONDS + 1)["event:nicbroken"] == "up"
    assert "event:nicbroken" not in _states(events, 31.0 + SHOWN_SECONDS)


def test_without_a_heartbeat_nothing_is_heard() -> None:
    events = Events()
    assert _states(events, 0.0) == {"events": "unknown"}
    events.feed(_part("videoloss", "inactive"), 5.0)
    assert _states(events, 6.0) == {"events": "up"}
    assert _states(events, 6.0 + HEARTBEAT_SECONDS) == {"events": "unknown"}


@given(st.lists(st.binary(max_size=500), max_size=20))
def test_noise_does_no_harm_and_takes_no_room(pieces: list[bytes]) -> None:
    events = Events()
    for piece in [*pieces, b"\xff" * BUFFER_BYTES * 2, b"<EventNotificationAlert>" * 100]:
        events.feed(piece, 0.0)
    assert len(events._buffer) <= BUFFER_BYTES
    assert events.feed(_part("diskerror", "active"), 1.0)
