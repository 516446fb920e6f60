"""docs/channels.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from twinwatch.notify.discover import discover
from twinwatch.notify.settings import settings_of
from twinwatch.notify.webhook import Webhook
from twinwatch.testing.channels import notes
from twinwatch.testing.channels.contract import paper_outside
from twinwatch.testing.channels.paper import ScriptedHttp
from twinwatch.testing.channels.webhook import SECRET
from twinwatch.world.http import Answer

PAGE = (Path(__file__).parents[3] / "docs" / "channels.md").read_text(encoding="utf-8")


async def test_the_example_verifies_what_is_sent_and_nothing_else() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    example: dict[str, Any] = {}
    exec(compile(program, "docs/channels.md", "exec"), example)
    verify = example["verify"]
    http = ScriptedHttp(Answer(204))
    channel = Webhook(settings_of(Webhook, {"url": "https://example.org/in", "secret": SECRET}))
    await channel.send(notes.note(), paper_outside(http))
    (asked,) = http.asked
    sent = notes.NOW / 1000
    assert verify(SECRET, asked.headers, asked.body, sent)
    assert not verify(SECRET, asked.headers, asked.body + b" ", sent)
    assert not verify(SECRET, {**asked.headers, "webhook-id": "another"}, asked.body, sent)
    assert not verify("whsec_AAAA", asked.headers, asked.body, sent)
    assert not verify(SECRET, asked.headers, asked.body, sent + 301)


def test_every_field_of_the_document_is_described() -> None:
    section = PAGE.partition("## Webhook")[2].partition("\n## ")[0]
    document = Webhook(settings_of(Webhook, {"url": "https://example.org/in"})).render(notes.note())
    named = set(re.findall(r"`(\w+)`", section))
    assert set(document) | set(document["alerts"][0]) | set(document["alerts"][0]["facts"][0]) <= named
    assert set(notes.OCCASIONS) <= named
    assert msgspec.json.encode(document)


def test_every_channel_has_its_section() -> None:
    headings = {line.removeprefix("## ").lower() for line in PAGE.splitlines() if line.startswith("## ")}
    assert set(discover(()).channels) <= headings
