from __future__ import annotations

from typing import Any

import msgspec
import pytest

from twinwatch.notify import Delivered, Note, Outcome, Refused, Retry
from twinwatch.notify.settings import settings_of
from twinwatch.notify.slack import Slack, escaped
from twinwatch.testing.channels import notes
from twinwatch.testing.channels.contract import paper_outside
from twinwatch.testing.channels.paper import Asked, ScriptedHttp
from twinwatch.world.http import Answer, Unreachable

TOKEN = "xoxb-123456789012-abcdef"
FIRST = "C0123456789:1767362600.000100"


def ok(asked: Asked) -> Answer:
    return Answer(200, msgspec.json.encode({"ok": True, "channel": "C0123456789", "ts": "1767362600.000100"}))


def error(word: str, status: int = 200, **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, msgspec.json.encode({"ok": False, "error": word}), fields)


async def sent(http: ScriptedHttp, note: Note) -> Outcome:
    channel = Slack(settings_of(Slack, {"bot_token": TOKEN, "channel": "#ops"}))
    return await channel.send(note, paper_outside(http))


def calls(http: ScriptedHttp) -> list[tuple[str, dict[str, Any]]]:
    return [(asked.url.rpartition("/")[2], msgspec.json.decode(asked.body)) for asked in http.asked]


async def test_the_first_message_is_posted_and_its_place_kept() -> None:
    http = ScriptedHttp(ok)
    assert await sent(http, notes.note("firing")) == Delivered(FIRST)
    ((method, message),) = calls(http)
    assert (method, message["channel"]) == ("chat.postMessage", "#ops")
    assert "thread_ts" not in message
    assert http.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert http.asked[0].url == "https://slack.com/api/chat.postMessage"


async def test_the_end_changes_the_first_message_and_is_told_in_its_thread() -> None:
    http = ScriptedHttp(ok)
    end = notes.note("resolved", first=False, reference=FIRST)
    assert await sent(http, end) == Delivered(FIRST)
    (update, changed), (post, answer) = calls(http)
    assert (update, changed["channel"], changed["ts"]) == ("chat.update", "C0123456789", "1767362600.000100")
    assert (post, answer["channel"], answer["thread_ts"]) == ("chat.postMessage", "C0123456789", "1767362600.000100")
    assert answer["reply_broadcast"] is False
    assert changed["blocks"] == answer["blocks"]
    assert "🟢 Resolved" in changed["blocks"][0]["elements"][0]["elements"][0]["text"]


@pytest.mark.parametrize("occasion", ["worse", "repeat", "escalation", "settled"])
async def test_what_people_must_see_is_shown_outside_of_the_thread_too(occasion: Any) -> None:
    http = ScriptedHttp(ok)
    await sent(http, notes.note(occasion, first=False, reference=FIRST))
    ((method, message),) = calls(http)
    assert (method, message["reply_broadcast"]) == ("chat.postMessage", True)


async def test_an_acknowledgement_changes_the_first_message_and_rings_nobody() -> None:
    http = ScriptedHttp(ok)
    assert await sent(http, notes.note("acknowledged", first=False, reference=FIRST)) == Delivered(FIRST)
    assert [method for method, _ in calls(http)] == ["chat.update"]


async def test_a_message_about_several_is_changed_when_all_of_them_are_over() -> None:
    http = ScriptedHttp(ok)
    outcome = await sent(http, notes.crowd(3))
    assert outcome == Delivered(f"{FIRST}:3")
    over = [notes.subject(number, occasion="resolved", resolved_at=notes.NOW) for number in range(3)]
    await sent(http, notes.note("resolved", over[0], first=False, reference=f"{FIRST}:3"))
    await sent(http, notes.note("resolved", *over, first=False, reference=f"{FIRST}:3"))
    methods = [method for method, _ in calls(http)]
    assert methods == ["chat.postMessage", "chat.postMessage", "chat.update", "chat.postMessage"]


async def test_a_change_that_fails_for_good_does_not_keep_the_answer_back() -> None:
    http = ScriptedHttp(error("cant_update_message"), ok)
    assert await sent(http, notes.note("resolved", first=False, reference=FIRST)) == Delivered(FIRST)
    assert [method for method, _ in calls(http)] == ["chat.update", "chat.postMessage"]


async def test_a_change_that_may_succeed_later_is_tried_again_before_the_answer() -> None:
    for failure in (Unreachable("cut"), error("ratelimited", 429, retry_after="3"), error("internal_error")):
        http = ScriptedHttp(failure)
        assert isinstance(await sent(http, notes.note("resolved", first=False, reference=FIRST)), Retry)
        assert len(http.asked) == 1, "no answer was posted that would be posted twice"


@pytest.mark.parametrize("word", ["thread_not_found", "message_not_found"])
async def test_where_the_first_message_was_deleted_a_new_one_is_posted(word: str) -> None:
    http = ScriptedHttp(error(word), ok)
    assert await sent(http, notes.note("repeat", first=False, reference=FIRST)) == Delivered(FIRST)
    (_, answer), (_, fresh) = calls(http)
    assert answer["thread_ts"]
    assert "thread_ts" not in fresh


@pytest.mark.parametrize(
    ("word", "kind", "remedy"),
    [
        ("invalid_auth", Refused, "copy it anew"),
        ("channel_not_found", Refused, "invite it there"),
        ("not_in_channel", Refused, "invite it there"),
        ("is_archived", Refused, "archived"),
        ("missing_scope", Refused, "chat:write"),
        ("msg_too_long", Refused, ""),
        ("ratelimited", Retry, ""),
        ("rate_limited", Retry, ""),
        ("internal_error", Retry, ""),
        ("fatal_error", Retry, ""),
        ("service_unavailable", Retry, ""),
    ],
)
async def test_errors_of_the_api_are_passing_or_for_good(word: str, kind: type[Any], remedy: str) -> None:
    outcome = await sent(ScriptedHttp(error(word)), notes.note())
    assert isinstance(outcome, kind)
    assert not isinstance(outcome, Delivered)
    assert word in outcome.reason
    assert remedy in outcome.reason


async def test_what_is_no_lawful_answer_is_tried_again() -> None:
    """A page of a captive portal, say."""
    for body in (b"<html>", b"", b"{}", b'{"ok":"yes"}'):
        assert isinstance(await sent(ScriptedHttp(Answer(200, body)), notes.note()), Retry)


def test_control_characters_are_entities() -> None:
    assert escaped("<!channel> & <@U1> *x*") == "&lt;!channel&gt; &amp; &lt;@U1&gt; *x*"
