from __future__ import annotations

import asyncio

from twinwatch.notify import Delivered, Outcome, Refused, Retry
from twinwatch.notify.discover import flaw_of
from twinwatch.notify.settings import settings_of
from twinwatch.testing.channels import notes
from twinwatch.testing.channels.contract import paper_outside
from twinwatch.testing.channels.paper import PaperPost, ScriptedHttp
from twinwatch.testing.virtual_time import START_SECONDS, run


def test_paper_channels_come_to_what_they_are_told_to_and_keep_who_heard_when() -> None:
    post = PaperPost()
    kind = post.kind("paper-mail")
    assert flaw_of(kind) is None
    post.script("ops", Retry("busy", 5.0), Refused("no"), 3.0, 60.0)
    post.always("boss", Retry("away"))

    async def story() -> list[Outcome]:
        ops, boss = (kind(settings_of(kind, {"to": to})) for to in ("ops", "boss"))
        outside = paper_outside(ScriptedHttp())
        outcomes = [await ops.send(notes.note(id=str(number)), outside) for number in range(5)]
        await asyncio.sleep(100)
        outcomes.append(await boss.send(notes.note(), outside))
        post.always("boss", None)
        outcomes.append(await boss.send(notes.note(), outside))
        return outcomes

    busy, refused, slow, hung, taken, away, there = run(story())
    assert (busy, refused) == (Retry("busy", 5.0), Refused("no"))
    assert isinstance(slow, Delivered)
    assert hung == Retry("no answer within 10 s")
    assert isinstance(taken, Delivered)
    assert away == Retry("away")
    assert isinstance(there, Delivered)
    assert [note.id for note in post.told("ops")] == ["2", "4"]
    assert [round(one.at_seconds - START_SECONDS) for one in post.heard] == [3, 13, 113]
    assert len(post.tried) == 7
